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
import torch
from numpy.typing import NDArray

from rhopot.potentials import operators
from rhopot.potentials.graph.neighbours import Edges, complete_cell, find_edges, require_lengths

operators.load()

Floats = NDArray[np.float64]


class VerletList:
    """Edges shorter than `cutoff` (A) of a structure that moves; `n_searches` counts the neighbour searches made."""

    def __init__(self, cutoff: float, skin: float) -> None:
        if not (np.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin must be a length of 0 A or more, got {skin}; 0.3 to 1 suits most runs")
        self.cutoff = cutoff
        self.skin = skin
        self.n_searches = 0
        self._atoms: ase.Atoms | None = None
        self._edges: Edges | None = None
        self._offsets: Floats | None = None
        self._cell: Floats = np.zeros((3, 3))

    def __reduce__(self) -> tuple[type[VerletList], tuple[float, float]]:
        """Copied and pickled without its edges, which are found again."""
        return VerletList, (self.cutoff, self.skin)

    def __call__(self, atoms: ase.Atoms) -> Edges:
        """Edges (see `find_edges`) of `atoms` as they are now; two atoms in one place are refused in every step."""
        if self._edges is None or not self._is_complete_for(atoms):
            self._edges = find_edges(atoms, self.cutoff + self.skin)
            self.n_searches += 1
            self._atoms, self._offsets = atoms.copy(), None
        if self._offsets is None or not np.array_equal(self._cell, _periodic_cell(atoms)):
            self._cell = _periodic_cell(atoms)
            self._offsets = self._edges.shift @ self._cell
        return _within(self._edges, atoms.positions, self._offsets, self.cutoff)

    def _is_complete_for(self, atoms: ase.Atoms) -> bool:
        """Whether no pair of `atoms` inside the cutoff can be missing from the list."""
        old = self._atoms
        if old is None or len(old) != len(atoms) or not np.array_equal(old.pbc, atoms.pbc):
            return False
        if not np.array_equal(old.numbers, atoms.numbers):
            return False
        if len(atoms) == 0:
            return True
        moved, shrink = atoms.positions - old.positions, 1.0
        if not np.array_equal(_periodic_cell(old), _periodic_cell(atoms)):
            before, now = (complete_cell(each.cell.array, each.pbc) for each in (old, atoms))
            if before is None or now is None:
                return False
            deformation = np.linalg.solve(before, now)
            moved = atoms.positions - old.positions @ deformation
            shrink = np.linalg.svd(deformation, compute_uv=False).min()
        nearest_unseen = shrink * (self.cutoff + self.skin) - 2.0 * np.sqrt(np.einsum("nc,nc->n", moved, moved).max())
        return bool(nearest_unseen >= self.cutoff)


def _periodic_cell(atoms: ase.Atoms) -> Floats:
    """Cell vectors (3, 3), 0 where there is no periodicity."""
    return np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)


def _within(edges: Edges, positions: Floats, offsets: Floats, cutoff: float) -> Edges:
    """The edges r_j - r_i + offset that are strictly shorter than the cutoff; `offsets` (E, 3) are S @ cell."""
    vectors, first_edge, neighbour, kept = torch.ops.rhopot.edges_within(
        torch.from_numpy(np.ascontiguousarray(positions, dtype=np.float64)),
        torch.from_numpy(offsets),
        torch.from_numpy(edges.first_edge),
        torch.from_numpy(edges.centre),
        torch.from_numpy(edges.neighbour),
        cutoff,
    )
    found = Edges(
        vectors=vectors.numpy(),
        first_edge=first_edge.numpy(),
        neighbour=neighbour.numpy(),
        centre=edges.centre,
        shift=edges.shift.take(kept.numpy(), axis=0),
    )
    require_lengths(found)
    return found
