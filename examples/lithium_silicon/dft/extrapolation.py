"""Compute the energies that models are asked to extrapolate to: strained cells, larger cells, lithium that migrates.

    python3 examples/lithium_silicon/dft/extrapolation.py --work runs/dft [--tasks strained tiled migration]

strained   the last frame of a path, its edges scaled by -9 % to +9 %                                     32 atoms
tiled      the last frame of a path twice along x, every coordinate displaced by 0.1 A (normal)            64 atoms
migration  a lithium atom taken to a void near it, through a host that is held; images interpolated       32 atoms

Every energy is kept in `--work` as soon as it is known; runs side by side share the list. What is known is collected
into `--output`, one file per task, and is not computed again where it stands there.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.io import read
from ase.neb import NEB
from ase.neighborlist import neighbor_list
from scipy.spatial import Voronoi
from settings import DOUBLED_MESH, MESH, calculator, claimed, labelled, once, relaxation, write_whole

PATHS = Path(__file__).resolve().parents[2] / "data" / "lisi_gpaw"
DATA = PATHS.with_name("lisi_gpaw_extrapolation")
STRAINS = (-0.09, -0.06, -0.04, -0.02, 0.02, 0.04, 0.06, 0.09)  # 0 is the path's own last frame
STRAINED = ("Li4Si28_0", "Li24Si8_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0")
TILED = ("Li8Si24_0", "Li16Si16_0", "Li22Si10_0", "Li12Si20_0", "Li4Si28_0", "Li20Si12_0", "Li3Si29_0", "Li25Si7_0")
MIGRATION = ("Li4Si28_0", "Li8Si24_0")
IMAGES = 7  # both ends included
STEPS, FMAX = 20, 0.05  # of the relaxation of each end: LBFGS steps at most, and the force in eV/A that ends it
HOP = (2.4, 4.5)  # A, how far the atom goes


def last_frame(path: str) -> Atoms:
    """The last frame of a shipped path, without labels."""
    atoms = read(PATHS / f"{path}.xyz", -1)
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)


def strained() -> Iterator[tuple[str, Atoms, list]]:
    """Name, structure and mesh of every strained cell, path by path."""
    for path in STRAINED:
        for strain in STRAINS:
            atoms = last_frame(path)
            atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
            atoms.info = {"config_type": "strained", "path": path, "strain": strain}
            yield f"{path}_{strain:+.2f}", atoms, MESH


def tiled() -> Iterator[tuple[str, Atoms, list]]:
    """Name, structure and mesh of every doubled cell."""
    for path in TILED:
        atoms = last_frame(path) * (2, 1, 1)
        atoms.rattle(0.1, seed=1)
        atoms.info = {"config_type": "tiled", "path": path}
        yield path, atoms, DOUBLED_MESH


def hop(atoms: Atoms) -> tuple[int, np.ndarray]:
    """The lithium atom with the roomiest void near it, and the void: a vertex of the Voronoi cells of all atoms.

    Of vertices within `HOP` of a lithium atom, the one farthest from all other atoms; the atom itself does not count.
    """
    shifts = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)])
    best = (0.0, -1, np.zeros(3))
    for atom in np.flatnonzero(np.array(atoms.symbols) == "Li"):
        others = np.delete(atoms.positions, atom, axis=0)
        crowd = (others[None] + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3)
        vertices = Voronoi(crowd).vertices
        away = np.linalg.norm(vertices - atoms.positions[atom], axis=1)
        for vertex in vertices[(away > HOP[0]) & (away < HOP[1])]:
            room = np.linalg.norm(crowd - vertex, axis=1).min()
            if room > best[0]:
                best = (room, atom, vertex)
    return int(best[1]), best[2]


def migration(work: Path, known: Mapping[str, Atoms]) -> Iterator[tuple[str, Atoms, list]]:
    """Name, structure and mesh of every image, path by path, of migration paths that are not complete.

    The atom moves through a fixed host: a start that relaxes completely runs downhill (Li4Si28_0 fell by 3 eV in
    27 steps, not ended), and the path would not cross a barrier. Both ends are minima of the atom alone, with
    the mesh of the labels; images are interpolated with the image dependent pair potential, which keeps atoms apart.
    They are a plausible path, not the minimum-energy path: the question is whether a model has the energies along it.
    """
    for path in MIGRATION:
        if all(f"{path}_{image}" in known for image in range(IMAGES)):
            continue
        folder = work / "migration" / path
        with claimed(folder) as mine:
            if not mine:
                continue
            start = last_frame(path)
            atom, void = hop(start)
            start.set_constraint(FixAtoms([other for other in range(len(start)) if other != atom]))
            moved = start.copy()
            moved.positions[atom] = void
            start = relaxation(start, MESH, folder / "start.traj", STEPS, FMAX)[-1]
            end = relaxation(moved, MESH, folder / "end.traj", STEPS, FMAX)[-1]
        if max(np.linalg.norm(each.get_forces(), axis=1).max() for each in (start, end)) >= FMAX:
            print(f"migration {path}: no minimum at an end within {STEPS} steps, left out", flush=True)
            continue
        images = [start.copy() for _ in range(IMAGES - 1)] + [end.copy()]
        NEB(images).interpolate(method="idpp", mic=True, apply_constraint=True)
        for image, atoms in enumerate(images):
            plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
            plain.info = {"config_type": "migration", "path": path, "image": image, "atom": atom}
            yield f"{path}_{image}", plain, MESH


def shipped(output: Path, task: str) -> dict[str, Atoms]:
    """The frames of a task that `output` holds, by name."""
    file = output / f"{task}.xyz"
    return {frame.info["name"]: frame for frame in read(file, ":")} if file.exists() else {}


def run(task: str, work: Path, output: Path) -> None:
    """Compute one task, and collect after every energy what is known of it."""
    known = shipped(output, task)
    structures = {"strained": strained, "tiled": tiled, "migration": lambda: migration(work, known)}[task]
    for name, atoms, mesh in structures():
        if name in known:
            continue
        result = work / task / f"{name}.xyz"
        with claimed(result.parent / "working" / name) as mine:
            if not (mine or result.exists()):
                continue
            if not result.exists():
                calc = calculator(mesh, result.with_suffix(".txt"))
                atoms.info["name"] = name
                (frame,) = once(result, lambda atoms=atoms, calc=calc: [labelled(atoms, calc, **atoms.info)])
                nearest = neighbor_list("d", atoms, 3.0).min()
                print(f"{task} {name}: {frame.info['REF_energy']:.4f} eV, shortest {nearest:.2f} A", flush=True)
            known |= shipped(output, task) | {name: read(result)}
            output.mkdir(parents=True, exist_ok=True)
            write_whole(output / f"{task}.xyz", list(known.values()))


def main() -> None:
    """Compute the tasks asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of single energies")
    parser.add_argument(
        "--output", type=Path, default=DATA, help="folder of collected files (default: the shipped data)"
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=("strained", "tiled", "migration"), default=["strained", "tiled", "migration"]
    )
    options = parser.parse_args()
    for task in options.tasks:
        run(task, options.work, options.output)


if __name__ == "__main__":
    main()
