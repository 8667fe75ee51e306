"""Compute relaxation paths of amorphous Li-Si as in `examples/data/lisi_gpaw`: some 15 minutes each on one idle core.

    python3 examples/lithium_silicon/dft/relaxation_paths.py --work runs/dft [--names Li6Si26_0 ...]

A path named `LiXSiY_K` starts from the K-th random packing of that composition. Every geometry step and every label is
kept in `--work`: a stopped run goes on where it was, and several runs side by side share the list. A finished path
appears whole in `--output`.
"""

import argparse
import re
import zlib
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.optimize import FIRE
from settings import MESH, calculator, claimed, labelled, once, relaxation, write_whole

DATA = Path(__file__).resolve().parents[2] / "data" / "lisi_gpaw"
STEPS = (0, 1, 3, 5, 8, 11, 14, 17, 21, 25)
COMPOSITIONS = (3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 25)  # lithium atoms of 32
# Closer pairs than these (A) repel in the soft-sphere packing.
DIAMETERS = {("Li", "Li"): 2.6, ("Li", "Si"): 2.45, ("Si", "Li"): 2.45, ("Si", "Si"): 2.3}


class SoftSpheres(Calculator):
    """E = sum over pairs k (d - r)^2 / 2 for r < d, k = 10 eV/A^2: pushes atoms of a random packing apart."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Fill `results` (called by ASE)."""
        super().calculate(atoms, properties, system_changes)
        i, j, r, vector = neighbor_list("ijdD", atoms, DIAMETERS)
        symbols = np.array(atoms.symbols)
        diameter = np.array([DIAMETERS[pair] for pair in zip(symbols[i], symbols[j], strict=True)])
        overlap = diameter - r
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, -10.0 * overlap[:, None] * vector / r[:, None])
        self.results = {"energy": 2.5 * np.sum(overlap**2), "forces": forces}


def packing(name: str) -> Atoms:
    """The start of path `name`: at random in a cube of 20.4 + 14.3 x A^3 per Si (x = Li/Si), soft spheres relaxed."""
    lithium, silicon, _ = (int(number) for number in re.fullmatch(r"Li(\d+)Si(\d+)_(\d+)", name).groups())
    random = np.random.default_rng(zlib.crc32(name.encode()))
    length = (20.4 * silicon + 14.3 * lithium) ** (1 / 3)
    atoms = Atoms(f"Li{lithium}Si{silicon}", cell=[length] * 3, pbc=True)
    atoms.set_scaled_positions(random.random((len(atoms), 3)))
    atoms.calc = SoftSpheres()
    FIRE(atoms, logfile=None).run(fmax=0.02, steps=500)
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)


def path(name: str, folder: Path) -> list[Atoms]:
    """The ten labelled frames of path ``name``."""
    relaxing = relaxation(packing(name), [(0, 0, 0)], folder / "geometries.traj", STEPS[-1], fmax=1e-3)
    calc = calculator(MESH, folder / "labels.txt")
    frames = []
    for step in STEPS:
        info = {"config_type": "relaxation", "path": name, "step": step}
        atoms = relaxing[step]
        frames += once(folder / f"step{step}.xyz", lambda atoms=atoms, info=info: [labelled(atoms, calc, **info)])
        print(f"{name}: step {step}, {frames[-1].info['REF_energy']:.4f} eV", flush=True)
    return frames


def main() -> None:
    """Compute the paths asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of unfinished paths")
    parser.add_argument(
        "--output", type=Path, default=DATA, help="folder of finished paths (default: the shipped data)"
    )
    parser.add_argument("--names", nargs="+", help="paths to compute (default: four starts of thirteen compositions)")
    options = parser.parse_args()
    names = options.names or [f"Li{n}Si{32 - n}_{k}" for k in range(4) for n in COMPOSITIONS]
    for name in names:
        result, folder = options.output / f"{name}.xyz", options.work / name
        if result.exists():
            continue
        with claimed(folder) as mine:
            if mine and not result.exists():
                write_whole(result, path(name, folder))


if __name__ == "__main__":
    main()
