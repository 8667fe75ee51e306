"""Neighbour edges of a structure: who lies within the cutoff of whom, through every periodic image.

    r_ij = r_j - r_i + S @ cell,   |r_ij| < cutoff strictly,   (i = j, S = 0) excluded

Every pair appears twice, once from each end, and an atom is its own neighbour through its images: a cell smaller
than the cutoff needs nothing special. Edges are sorted by centre, so `first_edge[c]:first_edge[c + 1]` are those of
centre c. The search is vesin's cell list, O(N) at fixed density; vectors are formed here, in float64. Where almost all
cells would be empty (fragments that flew apart) or the structure is a thin and very wide one, vesin's grid of cells
has no valid size, and a k-d tree searches instead.

Cell vectors along directions that are not periodic carry no physics and are ignored (they may be zero).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from vesin import NeighborList

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The search radius exceeds the cutoff by this relative margin; the strict test is then made on our own vectors.
SEARCH_MARGIN = 1e-9

# Distance (A) below which two atoms are in one place: well above rounding, well below any distance of atoms. As in
# lammps_plugin/same_place.h.
SAME_PLACE = 1e-8
# The cell list of vesin has at most so many cells; it scales larger grids down, along a short axis to none at all.
MOST_CELLS = 1e5
# Below so many cells it is safe however few atoms there are.
SPARSE_CELLS = 2e4
# Neighbours of an atom that no structure in A has: a hundred times those of a dense solid within 6 A.
MOST_NEIGHBOURS = 2e4
# Cell vectors whose squares are still finite (A).
LONGEST = 1e150
# Beyond this distance from the origin (A) doubles hold no more than 1e-7 A of a position.
FARTHEST = 1e9


@dataclass(frozen=True)
class Edges:
    """Edges of one structure, or of several as one graph, sorted by centre.

    vectors    (E, 3) r_ij in A;   neighbour (E,) row of j;   shift (E, 3) periodic image of j
    first_edge (C + 1,) where each centre's edges begin;      centre (C,) row of each centre
    """

    vectors: Floats
    first_edge: Integers
    neighbour: Integers
    centre: Integers
    shift: Integers

    @property
    def n_edges(self) -> int:
        """Number of directed edges E."""
        return len(self.neighbour)

    @property
    def n_centres(self) -> int:
        """Number of centres C."""
        return len(self.centre)

    @property
    def edge_centre(self) -> Integers:
        """Row of the centre of every edge (E,)."""
        return np.repeat(self.centre, np.diff(self.first_edge))

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(part.nbytes for part in (self.vectors, self.first_edge, self.neighbour, self.centre, self.shift))

    def within(self, cutoff: float) -> Edges:
        """Return the edges shorter than `cutoff` (A); a centre's may stand in another order than from `find_edges`."""
        kept = np.einsum("ec,ec->e", self.vectors, self.vectors) < cutoff * cutoff
        first_edge = np.concatenate([[0], np.cumsum(kept)])[self.first_edge]
        return Edges(self.vectors[kept], first_edge, self.neighbour[kept], self.centre, self.shift[kept])

    def batches(self, max_edges: int) -> Iterator[Edges]:
        """Consecutive centres in batches of at most `max_edges` edges (always at least one centre); rows are kept."""
        if max_edges < 1:
            raise ValueError(f"max_edges must be at least 1, got {max_edges}; a few thousand suits most models")
        begin = 0
        while begin < self.n_centres:
            limit = self.first_edge[begin] + max_edges
            end = max(int(np.searchsorted(self.first_edge, limit, side="right")) - 1, begin + 1)
            end = min(end, self.n_centres)
            rows = slice(int(self.first_edge[begin]), int(self.first_edge[end]))
            yield Edges(
                vectors=self.vectors[rows],
                first_edge=self.first_edge[begin : end + 1] - self.first_edge[begin],
                neighbour=self.neighbour[rows],
                centre=self.centre[begin:end],
                shift=self.shift[rows],
            )
            begin = end


# What finds the edges of a structure: `find_edges` or a cache of it.
Search = Callable[[ase.Atoms, float], Edges]


def find_edges(atoms: ase.Atoms, cutoff: float) -> Edges:
    """All edges shorter than `cutoff` (A); every atom is a centre.

    Raises ValueError for a cutoff that is not positive, positions that are not finite or beyond FARTHEST, a cell that
    is not finite, two atoms in one place, periodic directions whose cell vectors do not span them, or so many
    neighbours that lengths cannot be in A.
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff must be a positive length in A, got {cutoff}; typical values are 4 to 7")
    positions = np.ascontiguousarray(atoms.get_positions(), dtype=np.float64)
    pbc = np.asarray(atoms.pbc, dtype=bool)
    require_resolved(positions)
    n_atoms = len(positions)
    if n_atoms == 0:
        return _pack(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64), 0)
    cell = _search_cell(positions, np.asarray(atoms.cell.array, dtype=np.float64), pbc)
    i, j, shift = _search(positions, cell, pbc, cutoff * (1.0 + SEARCH_MARGIN))
    vectors = positions[j] - positions[i] + shift.astype(np.float64) @ cell
    squared = np.einsum("ec,ec->e", vectors, vectors)
    _refuse_same_place(squared, i, j)
    inside = squared < cutoff * cutoff
    if not inside.all():
        vectors, i, j, shift = vectors[inside], i[inside], j[inside], shift[inside]
    return _pack(vectors, i, j, shift, n_atoms)


def require_resolved(positions: Floats) -> None:
    """Raise ValueError for positions (N, 3) in A that are not numbers, or too large for doubles to tell atoms apart."""
    farthest = float(np.abs(positions).max(initial=0.0))
    if not np.isfinite(farthest):
        raise ValueError("positions must be finite, got NaN or infinity; remove or repair this structure")
    if farthest > FARTHEST:
        raise ValueError(
            f"positions must lie within {FARTHEST:g} A of the origin to be known to 1e-7 A, got {farthest:.10g} A; "
            "wrap the atoms into the cell, or move them towards the origin"
        )


def require_distinct(atoms: ase.Atoms) -> None:
    """Raise ValueError for two atoms in one place, which global models do not notice."""
    find_edges(atoms, 0.1)


def require_lengths(edges: Edges) -> None:
    """Raise ValueError for edges without length: two atoms have come to one place since their search."""
    squared = np.einsum("ec,ec->e", edges.vectors, edges.vectors)
    _refuse_same_place(squared, edges.edge_centre, edges.neighbour)


def _refuse_same_place(squared: Floats, i: Integers, j: Integers) -> None:
    """Raise ValueError when the shortest squared length (E,) of edges i -> j is none."""
    if len(squared) and squared.min() < SAME_PLACE**2:
        edge = int(squared.argmin())
        raise ValueError(f"positions must be distinct, got atoms {i[edge]} and {j[edge]} in one place; remove one")


def concatenate(parts: Sequence[Edges], sizes: Sequence[int]) -> Edges:
    """Several structures as one graph: rows of part k are offset by the atoms of the parts before it.

    `sizes` are the numbers of atoms (rows) of the parts.
    """
    if len(parts) != len(sizes):
        raise ValueError(f"sizes must have one entry per part ({len(parts)}), got {len(sizes)}; give len(atoms)")
    if not parts:
        return _pack(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.int64), 0)
    row_offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    edge_offset = np.concatenate([[0], np.cumsum([part.n_edges for part in parts])]).astype(np.int64)
    first = [part.first_edge[:-1] + offset for part, offset in zip(parts, edge_offset, strict=False)]
    return Edges(
        vectors=np.concatenate([part.vectors for part in parts]),
        first_edge=np.concatenate([*first, edge_offset[-1:]]),
        neighbour=np.concatenate([part.neighbour + o for part, o in zip(parts, row_offset, strict=False)]),
        centre=np.concatenate([part.centre + o for part, o in zip(parts, row_offset, strict=False)]),
        shift=np.concatenate([part.shift for part in parts]),
    )


def _pack(vectors: Floats, i: Integers, j: Integers, shift: Integers, n_atoms: int) -> Edges:
    """Edges of all atoms from pairs already sorted by centre."""
    first_edge = np.searchsorted(i, np.arange(n_atoms + 1)).astype(np.int64)
    return Edges(np.ascontiguousarray(vectors), first_edge, j, np.arange(n_atoms, dtype=np.int64), shift)


def _search(
    positions: Floats, cell: Floats, pbc: NDArray[np.bool_], radius: float
) -> tuple[Integers, Integers, Integers]:
    """Pairs i, j and shifts S of all edges shorter than `radius`, perhaps with some that are not, sorted by i."""
    inverse = np.linalg.inv(cell)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)  # distances between opposite faces
    _refuse_crowds(len(positions), heights, abs(np.linalg.det(cell)), pbc, radius)
    whole = np.where(pbc, np.floor(positions @ inverse), 0.0)
    wrapped = positions - whole @ cell
    cells = np.maximum(np.floor(heights / radius), 1.0)
    n_cells = cells.prod()
    is_sparse = n_cells > max(SPARSE_CELLS, 100.0 * len(positions))
    is_flat = n_cells > MOST_CELLS and cells.min() * (MOST_CELLS / n_cells) ** (1.0 / 3.0) < 2.0
    if is_sparse or is_flat:
        radius += 1e-15 * max(
            float(np.abs(positions).max()), float(np.abs(cell).max())
        )  # rounding of wrapped positions
        i, j, shift = _search_tree(wrapped, cell, pbc, radius)
    else:
        search = NeighborList(cutoff=radius, full_list=True, sorted=True, n_threads=1)
        found = search.compute(wrapped, cell, periodic=pbc, quantities="ijS")
        i, j, shift = (part.astype(np.int64) for part in found)
    if whole.any():
        shift += (whole[i] - whole[j]).astype(np.int64)
    return i, j, shift


def _refuse_crowds(n_atoms: int, heights: Floats, volume: float, pbc: NDArray[np.bool_], radius: float) -> None:
    """Raise ValueError where atoms have so many neighbours on average that lengths cannot be in A."""
    images = np.maximum(radius / heights[pbc], 1.0).prod() if pbc.any() else 1.0
    filled = volume * np.maximum(radius / heights[~pbc], 1.0).prod()
    n_neighbours = max(images, n_atoms * 4.19 * radius**3 / filled)
    if not n_neighbours < MOST_NEIGHBOURS:
        raise ValueError(
            f"positions and cell must be in A, got about {n_neighbours:.0e} neighbours of every atom within "
            f"{radius:.3g} A; look at the units of this structure"
        )


def _search_tree(
    wrapped: Floats, cell: Floats, pbc: NDArray[np.bool_], radius: float
) -> tuple[Integers, Integers, Integers]:
    """The pairs of atoms inside the cell, from a k-d tree of them and of the images near its faces, sorted by i."""
    inverse = np.linalg.inv(cell)
    fractions = wrapped @ inverse
    reach = np.where(pbc, radius * np.linalg.norm(inverse, axis=0), 0.0)
    rows, shifts = [], []
    for shift in product(*(range(-n, n + 1) for n in np.ceil(reach).astype(int).tolist())):
        image = fractions + np.array(shift)
        near = np.flatnonzero((((image >= -reach) & (image <= 1.0 + reach)) | ~pbc).all(axis=1))
        rows.append(near)
        shifts.append(np.broadcast_to(np.array(shift, dtype=np.int64), (len(near), 3)))
    row, image_shift = np.concatenate(rows), np.concatenate(shifts)
    images = cKDTree(wrapped[row] + image_shift @ cell)
    pairs = cKDTree(wrapped).sparse_distance_matrix(images, radius, output_type="ndarray")
    i, j, shift = pairs["i"].astype(np.int64), row[pairs["j"]], image_shift[pairs["j"]]
    order = np.lexsort((j, i))
    order = order[((i != j) | (shift != 0).any(axis=1))[order]]
    return i[order], j[order], shift[order]


def complete_cell(cell: Floats, pbc: NDArray[np.bool_]) -> Floats | None:
    """The periodic cell vectors, and unit vectors normal to them along open directions; None where they are no cell."""
    periodic = np.asarray(cell, dtype=np.float64)[pbc]
    if not (np.abs(periodic) < LONGEST).all():
        return None
    lengths = np.linalg.norm(periodic, axis=1)
    if len(periodic) and (lengths.min() < 1.0 / LONGEST or np.linalg.svd(periodic / lengths[:, None])[1].min() < 1e-6):
        return None
    complete = np.zeros((3, 3))
    complete[pbc] = periodic
    if not pbc.all():
        complete[~pbc] = np.linalg.svd(periodic)[2][len(periodic) :] if len(periodic) else np.eye(3)
    return complete


def _search_cell(positions: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """The periodic cell vectors, completed by vectors normal to them that span the atoms."""
    if not (np.abs(cell[pbc]) < LONGEST).all():
        raise ValueError("cell must be finite, got NaN or infinity; remove or repair this structure")
    complete = complete_cell(cell, pbc)
    if complete is None:
        raise ValueError(
            f"cell must span the periodic directions pbc = {pbc.tolist()}, got cell {cell.tolist()}; "
            "give the missing cell vectors or set pbc to False there"
        )
    extent = np.ptp(positions @ complete[~pbc].T, axis=0)
    complete[~pbc] *= (extent + 1.0)[:, None]
    return complete
