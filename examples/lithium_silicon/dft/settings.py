"""The DFT settings behind all lithium-silicon data: GPAW, PBE, plane waves to 320 eV, Fermi smearing of 0.1 eV.

Needs GPAW with its setups (Debian: ``gpaw``, ``gpaw-data``), run with the Python that has it; rhopot is not imported.
Energies are eV relative to GPAW's atomic references, and free energies: the ones the forces are derivatives of.
"""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from ase.io.trajectory import Trajectory
from ase.optimize import LBFGS
from gpaw import GPAW, PW, FermiDirac, Mixer

# The 2x2x2 mesh with the Gamma point of a 32-atom cell, in fractions of its reciprocal cell.
MESH = [(x, y, z) for x in (0.0, 0.5) for y in (0.0, 0.5) for z in (0.0, 0.5)]
# The same points for a cell twice as long in x, where both planes k_x = 0 and 1/2 become k_x = 0. A doubled cell then
# has exactly twice the energy, so the step to larger cells is not one to another mesh.
DOUBLED_MESH = [(0.0, y, z) for y in (0.0, 0.5) for z in (0.0, 0.5)]


def calculator(kpts, text: Path) -> GPAW:
    """A calculator with k-points ``kpts`` (fractions of the reciprocal cell) that writes its report to ``text``."""
    # Bolder than GPAW's default for periodic cells (0.05, 5, 50): the same energy after 14 cycles in the place of 24.
    mixer = Mixer(0.2, 8, 20)
    return GPAW(mode=PW(320), xc="PBE", occupations=FermiDirac(0.1), kpts=kpts, mixer=mixer, txt=str(text))


def labelled(atoms: Atoms, calc: GPAW, **info) -> Atoms:
    """``atoms`` with the free energy, forces and stress (eV/A^3, tensile positive) of one calculation, and ``info``."""
    atoms = atoms.copy()
    atoms.calc = calc
    energy = atoms.get_potential_energy(force_consistent=True)
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    plain.arrays["REF_forces"] = forces
    plain.info = {**info, "REF_energy": energy, "REF_stress": stress}
    return plain


def relaxation(start: Atoms, kpts, trajectory: Path, steps: int, fmax: float) -> list[Atoms]:
    """Geometries of an LBFGS relaxation at constant cell, the start first, each kept in ``trajectory``.

    Atoms that ``start`` holds by constraints stay. It ends after ``steps`` steps or below ``fmax`` (eV/A); one that was
    stopped is continued.
    """
    done = read(trajectory, ":") if trajectory.exists() else []
    if len(done) <= steps and not (done and np.linalg.norm(done[-1].get_forces(), axis=1).max() < fmax):
        last = done[-1] if done else start
        atoms = Atoms(last.symbols, positions=last.positions, cell=last.cell, pbc=True, constraint=start.constraints)
        atoms.calc = calculator(kpts, trajectory.with_suffix(".txt"))
        optimizer = LBFGS(atoms, maxstep=0.15, logfile=None)
        if done:
            optimizer.replay_trajectory(done[:-1])  # the last one is computed again: it starts the next step
        with Trajectory(str(trajectory), "a", atoms) as writer:
            optimizer.attach(lambda: None if done and optimizer.nsteps == 0 else writer.write())
            optimizer.run(fmax=fmax, steps=steps + 1 - max(len(done), 1))
    return read(trajectory, ":")


def write_whole(path: Path, frames: list[Atoms]) -> None:
    """Write ``frames`` as extended XYZ so that ``path`` is never seen half-written."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    plain = [frame.copy() for frame in frames]
    for frame in (
        each for each in plain if "REF_stress" in each.info
    ):  # nine numbers, which every reader of extended XYZ takes for a 3x3 tensor
        frame.info["REF_stress"] = np.ravel(frame.info["REF_stress"])
    write(partial, plain, format="extxyz")
    partial.replace(path)


def once(path: Path, make) -> list[Atoms]:
    """The frames in ``path``; where the file is missing, those of ``make()``, kept there."""
    if not path.exists():
        write_whole(path, make())
    return read(path, ":")


@contextmanager
def claimed(folder: Path):
    """True where this process alone works in ``folder``; several workers share one list of work through it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
