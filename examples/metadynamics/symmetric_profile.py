"""Biased runs whose profile is symmetric about zero, which can be continued, and their barriers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from rhopot.potentials.free_energy.grid import Variable, make_grid
from rhopot.potentials.free_energy.run_files import load_hills
from rhopot.potentials.free_energy.surface import surfaces_in_time
from rhopot.potentials.lammps.input_decks import header, write_data
from rhopot.potentials.lammps.process import run_lammps

RESTARTS = 20  # restart files of a run
PARTS = 8  # of the second half of a run, whose barriers' fluctuation is an estimate of the error
NOT_AGAIN = ("units", "atom_style", "boundary", "newton")  # commands that a restart file stands for
NODES = 361


@dataclass(frozen=True)
class Profile:
    """Free energy (eV) at values of a variable; barrier above the wells and its error; where the wells are."""

    values: np.ndarray
    energy: np.ndarray
    barrier: float
    error: float
    well: float


def run(folder: Path, start: Atoms, model: Path, fixes: str, temperature: float, steps: int, ranks: int) -> None:
    """Langevin dynamics of `steps` steps of 1 fs, from the last restart file where there is one.

    fixes: lines of the bias; the word KNOWN(Ti, O) in them becomes the types' elements, NULL for others
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = max((int(path.name.split(".")[1]) for path in folder.glob("run.*.restart")), default=0)
    if done >= steps:
        return
    data = write_data(folder / "structure.data", start)
    begin = header(data, model.resolve())
    if done:
        begin = begin.replace(f"read_data {data.path}", f"read_restart run.{done}.restart")
        begin = "".join(f"{line}\n" for line in begin.splitlines() if not line.startswith(NOT_AGAIN))
    else:
        begin += f"velocity all create {2 * temperature:g} 7 mom yes rot no\n"
    lines = f"""{named(fixes, data.symbols)}timestep 0.001
fix integrate all nve
fix heat all langevin {temperature:g} {temperature:g} 0.2 {7 + done}
thermo 1000
restart {max(steps // RESTARTS, 1)} run.*.restart
run {steps} upto
write_restart run.*.restart
"""
    run_lammps(begin + lines, folder, ranks=ranks, timeout=24 * 3600)


def named(fixes: str, symbols: Sequence[str]) -> str:
    """Lines in which the elements of a variable have become those of the types."""

    def elements(match: re.Match[str]) -> str:
        known = match.group(1).split(", ")
        return " ".join(symbol if symbol in known else "NULL" for symbol in symbols)

    return re.sub(r"KNOWN\((.*?)\)", elements, fixes)


def read(folder: Path, variable: Variable, half: float) -> Profile:
    """The profile between -half and half.

    The two sides are the same by symmetry: the barrier is the mean of both, its error half of their difference or the
    standard deviation of the barriers in the second half of the run, whichever is larger.
    """
    grid = make_grid([variable], [-half], [half], [NODES])
    values = grid.axes[0]
    fractions = np.linspace(0.5, 1.0, PARTS + 1)
    _, surfaces = surfaces_in_time(load_hills([folder / "HILLS"]), grid, fractions.tolist())
    sides = np.array([_both_sides(values, surface.energy) for surface in surfaces])
    means = sides.mean(axis=1)
    error = max(float(means.std(ddof=1)), 0.5 * abs(float(sides[-1, 0] - sides[-1, 1])))
    energy = surfaces[-1].energy
    left, right = (float(values[side][np.argmin(energy[side])]) for side in (values < 0, values > 0))
    return Profile(values, energy, float(means[-1]), error, 0.5 * (right - left))


def _both_sides(values: np.ndarray, energy: np.ndarray) -> tuple[float, float]:
    """Barriers (eV) from the left and from the right: the lowest point on each side, and the highest between them."""
    left = int(np.argmin(np.where(values < 0, energy, np.inf)))
    right = int(np.argmin(np.where(values > 0, energy, np.inf)))
    top = energy[left : right + 1].max()
    return float(top - energy[left]), float(top - energy[right])
