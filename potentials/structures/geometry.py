"""Geometric validity of a structure: known elements, distinct atoms, linearly independent cell vectors."""

from __future__ import annotations

import ase
import numpy as np
from ase.geometry import complete_cell
from scipy.spatial import cKDTree

from rhopot.potentials.graph.neighbours import require_resolved
from rhopot.potentials.structures.frames import DataError, Floats

# Atoms closer than this (A) are in one place.
COINCIDENT = 1e-3
# Least singular value of the periodic cell vectors, each divided by its length.
DEPENDENT = 1e-6


def check_geometry(atoms: ase.Atoms) -> None:
    """Raise DataError, one sentence without the frame's name, for a structure that no descriptor can be computed of."""
    if len(atoms) == 0:
        raise DataError("a frame must hold atoms, got none; remove the frame")
    if (atoms.numbers < 1).any():
        first = int(np.argmax(atoms.numbers < 1))
        raise DataError(f"atoms must be chemical elements, got {atoms.symbols[first]} (atom {first}); name its element")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise DataError("positions and cell must be finite, got NaN or infinity; remove or recompute the frame")
    try:
        require_resolved(atoms.positions)
    except ValueError as error:
        raise DataError(str(error)) from None
    _check_cell(atoms)
    pair = coincident_pair(atoms)
    if pair is not None:
        raise DataError(f"positions must be distinct, got atoms {pair[0]} and {pair[1]} in one place; remove one")


def volume(atoms: ase.Atoms) -> float:
    """Volume of the cell in A^3, zero where it has none."""
    return abs(float(np.linalg.det(atoms.cell.array)))


def coincident_pair(atoms: ase.Atoms) -> tuple[int, int] | None:
    """Two atoms closer than `COINCIDENT`, periodic images included; the cell must span its periodic directions.

    The tree is built in coordinates along the cell vectors, periodic where the cell is: safe at any distance.
    """
    pbc = np.asarray(atoms.pbc, dtype=bool)
    cell = atoms.cell.array.copy()
    cell[~pbc] = 0.0
    cell = complete_cell(cell)
    inverse = np.linalg.inv(cell)
    scaled: Floats = atoms.positions @ inverse
    scaled[:, pbc] %= 1.0
    scaled[scaled == 1.0] = 0.0
    scaled[:, ~pbc] -= scaled[:, ~pbc].min(axis=0, initial=np.inf)
    tree = cKDTree(scaled, boxsize=np.where(pbc, 1.0, 0.0))
    reach = COINCIDENT * float(np.linalg.norm(inverse, axis=0).max())
    for i, j in sorted(tree.query_pairs(min(reach, 0.49), p=np.inf)):
        step = scaled[j] - scaled[i]
        step[pbc] -= np.round(step[pbc])
        if np.linalg.norm(step @ cell) < COINCIDENT:
            return int(i), int(j)
    return None


def _check_cell(atoms: ase.Atoms) -> None:
    pbc = np.asarray(atoms.pbc, dtype=bool)
    periodic = atoms.cell.array[pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    if not len(periodic):
        return
    got = f"pbc {' '.join('FT'[int(p)] for p in pbc)} and cell {atoms.cell.array.round(6).tolist()}"
    if lengths.min() == 0.0:
        raise DataError(
            f"cell must have a vector in every periodic direction, got {got}; give the vector or set pbc to F there"
        )
    if np.linalg.svd(periodic / lengths[:, None])[1].min() < DEPENDENT:
        raise DataError(f"cell vectors must be linearly independent, got {got}; correct the cell or set pbc to F there")
