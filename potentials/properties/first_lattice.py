"""Where the relaxation of a crystal begins whose lattice constant is only guessed: energies of scaled cells.

From a guess that is 20 % off, a relaxation may run into a minimum that a model has outside of its training data.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from rhopot.potentials.properties.engine import Engine, in_cell
from rhopot.potentials.units import Floats

# Of sums of covalent radii: close-packed uranium is at 0.7 of the guess of `prototypes`, close-packed carbon at 1.25.
SCALES = np.linspace(0.65, 1.35, 29)


@dataclass(frozen=True)
class FirstLattice:
    """The crystal as its relaxation begins; bound: its energies have a minimum there, it is no guess."""

    atoms: Atoms
    bound: bool


def first_lattice(atoms: Atoms, engine: Engine, grade: Callable[[Atoms], float] | None = None) -> FirstLattice:
    """Return the crystal, its cell scaled to the minimum of the energy from which it is to be relaxed.

    Of several minima: the deepest of those within the training data, else the one that is nearest to them. grade:
    largest extrapolation grade of a structure, at most 1 within the training data; without it, the deepest one of all.
    A crystal without any minimum within `SCALES` stays as it is.
    """
    cells = [scale * atoms.cell.array for scale in SCALES]
    with warnings.catch_warnings():
        # Of global models, that their grids change from cell to cell: by less than what minima here differ by.
        warnings.filterwarnings("ignore", "model .* was prepared again", UserWarning)
        energies = engine.in_cells(atoms, cells, relax=False, fmax=0.0).energies

    def rank(k: int) -> tuple[float, float]:
        return max(1.0, grade(in_cell(atoms, cells[k]))) if grade else 1.0, float(energies[k])

    found = minima(energies)
    return FirstLattice(in_cell(atoms, cells[min(found, key=rank)]) if found else atoms, bool(found))


def minima(energies: Floats) -> list[int]:
    """Rows of the values of a curve that are below both of their neighbors; no ends, no plateaus, no NaN."""
    inner = energies[1:-1]
    return [int(k) + 1 for k in np.flatnonzero((inner < energies[:-2]) & (inner < energies[2:]))]
