"""Supercells for force constants, and the primitive cell of a crystal."""

from __future__ import annotations

import warnings

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import ArrayLike

from rhopot.potentials.units import Floats

SYMMETRY = 1e-4  # A, within which atoms of a relaxed crystal are equivalent
HEIGHT = 10.0  # A
MAX_ATOMS = 512


def smallest_supercell(crystal: Atoms, height: float = HEIGHT, max_atoms: int = MAX_ATOMS) -> Floats:
    """Return the supercell (3, 3) of fewest atoms whose heights are all at least `height` (A).

    Rows are its lattice vectors in those of the crystal: multiples of the crystal's own or of the conventional cell.
    Where it would have more than `max_atoms` atoms, the height is lowered until it has not; see `heights` for what it
    came to. A crystal of more atoms is left as it is.
    """
    if height <= 0.0:
        raise ValueError(f"height must be a positive number, got {height}; 10 A is usual")
    bases = [np.eye(3), *_conventional(crystal)]
    while True:
        found = [np.diag(_multiples(base @ crystal.cell.array, height)) @ base for base in bases]
        best = min(found, key=lambda each: round(abs(np.linalg.det(each))))
        size = round(abs(np.linalg.det(best)))
        if size == 1 or size * len(crystal) <= max_atoms:
            return best
        height *= 0.98


def heights(cell: Floats) -> Floats:
    """Return distances (3,) between the opposite faces of a cell (3, 3)."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def primitive_cell(crystal: Atoms) -> Floats:
    """Return the primitive cell (3, 3) as columns, in the lattice vectors of the crystal; its own cell where primitive.

    Atoms of one element and different masses are different.
    """
    cell = (crystal.cell.array, crystal.get_scaled_positions(), kinds(crystal.numbers, crystal.get_masses()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib, about how it reports errors
        found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=SYMMETRY)
    if found is None or len(found[2]) == len(crystal):
        return np.eye(3)
    return np.asarray((found[0] @ np.linalg.inv(crystal.cell.array)).T)


def kinds(numbers: ArrayLike, masses: ArrayLike) -> list[int]:
    """Return a number for each atom, equal for those of the same element and mass."""
    pairs = list(zip(np.asarray(numbers).tolist(), np.asarray(masses, dtype=np.float64).round(6).tolist(), strict=True))
    order = {pair: k + 1 for k, pair in enumerate(sorted(set(pairs)))}
    return [order[pair] for pair in pairs]


def _multiples(cell: Floats, height: float) -> Floats:
    return np.maximum(np.ceil(height / heights(cell) - 1e-6), 1.0)


def _conventional(crystal: Atoms) -> list[Floats]:
    """The conventional cell in the lattice vectors of the crystal as rows, where it is a supercell of the crystal."""
    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY)
    if found is None:
        return []
    rows = np.linalg.inv(found.transformation_matrix).T
    whole = np.rint(rows)
    return [whole] if np.abs(rows - whole).max() < 1e-4 and abs(np.linalg.det(whole)) > 0.5 else []
