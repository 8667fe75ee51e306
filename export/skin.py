"""Verlet skin: neighbours are searched within cutoff + skin, and kept while no pair can have come inside unseen.

Positions move as r' = r F + d, where F maps the old cell on the new one (row vectors). A pair outside the search
radius R = cutoff + skin then still is at least sigma_min(F) R - 2 max|d| apart, with the smallest singular value of
F, so the list is complete as long as

    sigma_min(F) R - 2 max|d| >= cutoff

which for a fixed cell is the usual 2 max|d| <= skin. Edge vectors are formed anew at every call. Other species,
numbers of atoms, periodic directions, or atoms wrapped into the cell (d is then a cell vector) lead to a new search.
"""

from __future__ import annotations

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.neighbours import Edges, find_edges


class SkinEdges:
    """Edges shorter than `cutoff` (A) of a structure that moves; `n_searches` counts the neighbour searches made."""

    def __init__(self, cutoff: float, skin: float) -> None:
        if not (np.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin must be a length of 0 A or more, got {skin}; 0.3 to 1 suits most runs")
        self.cutoff = cutoff
        self.skin = skin
        self.n_searches = 0
        self._atoms: ase.Atoms | None = None
        self._edges: Edges | None = None

    def __call__(self, atoms: ase.Atoms) -> Edges:
        """Edges (see `find_edges`) of `atoms` as they are now."""
        edges = self._edges
        if edges is None or not self._is_complete_for(atoms):
            edges = find_edges(atoms, self.cutoff + self.skin)
            self.n_searches += 1
            self._atoms, self._edges = atoms.copy(), edges
        return _within(edges, _vectors(edges, atoms), self.cutoff)

    def _is_complete_for(self, atoms: ase.Atoms) -> bool:
        """Whether no pair of `atoms` inside the cutoff can be missing from the list."""
        old = self._atoms
        if old is None or len(old) != len(atoms) or not np.array_equal(old.pbc, atoms.pbc):
            return False
        if not np.array_equal(old.numbers, atoms.numbers):
            return False
        if len(atoms) == 0:
            return True
        deformation = np.eye(3)
        if not np.array_equal(old.cell.array, atoms.cell.array):
            deformation = np.linalg.solve(old.cell.complete().array, atoms.cell.complete().array)
        moved = atoms.positions - old.positions @ deformation
        shrink = np.linalg.svd(deformation, compute_uv=False).min()
        nearest_unseen = shrink * (self.cutoff + self.skin) - 2.0 * np.linalg.norm(moved, axis=1).max()
        return bool(nearest_unseen >= self.cutoff)


def _vectors(edges: Edges, atoms: ase.Atoms) -> NDArray[np.float64]:
    """r_ij = r_j - r_i + S @ cell (E, 3) for the present positions and cell; S is 0 where there is no periodicity."""
    positions = atoms.positions
    cell = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
    return positions[edges.neighbour] - positions[edges.edge_centre] + edges.shift @ cell


def _within(edges: Edges, vectors: NDArray[np.float64], cutoff: float) -> Edges:
    """The edges, with new vectors, that are strictly shorter than the cutoff."""
    inside = np.einsum("ec,ec->e", vectors, vectors) < cutoff * cutoff
    count = np.concatenate([[0], np.cumsum(inside)])
    return Edges(
        vectors=vectors[inside],
        first_edge=count[edges.first_edge],
        neighbour=edges.neighbour[inside],
        centre=edges.centre,
        shift=edges.shift[inside],
    )
