"""Grids of a periodic cell: one per scale, chosen once and kept while the cell changes.

A field of band |k_i| < n_i/2 stands on n_1 x n_2 x n_3 points, n_i >= |a_i| / s_j with s_j = 2^j s: the plane
k_i = n_i/2 of the reciprocal lattice lies pi n_i / |a_i| >= pi / s_j from the origin, for every triclinic cell, so all
frequencies below pi/s_j are in the band. The Nyquist frequency of an even n_i has no sign and is left out.

Features are smooth functions of the cell only while the numbers of points stay: choose a grid once per run (or per
curve of energies against volume), from the largest cell that will occur.

Axes that are not periodic get a box of fixed length, the structure's extent plus a vacuum, orthogonal to what stands
before: images then see each other only through the wavelets' tails (`parameters.padding_error`). One cross product
makes the box of a slab turn with the slab; wires and molecules use Cartesian axes, so their rotations hold to the
error of the grid.
"""

from typing import NamedTuple

import ase
import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from rhopot.potentials.scattering.hypers import ScatteringHypers


class ScatteringGrid(NamedTuple):
    """Numbers of points of every scale, finest first, and lengths (A) of padded axes (0: periodic, the cell's own)."""

    points: list[list[int]]
    lengths: list[float]


def finest_spacing(grid: ScatteringGrid, cell: np.ndarray) -> float:
    """Return the largest distance (A) between points of the finest grid along the edges of `cell` (3, 3)."""
    edges = [length or float(np.linalg.norm(row)) for row, length in zip(cell, grid.lengths, strict=True)]
    return max(edge / n for edge, n in zip(edges, grid.points[0], strict=True))


def fast_length(least: float) -> int:
    """Return the smallest number >= `least` without prime factors above 5."""
    return int(next_fast_len(max(1, int(np.ceil(least - 1e-9))), real=True))


def choose_grid(hypers: ScatteringHypers, atoms: ase.Atoms, stretch: float = 1.0) -> ScatteringGrid:
    """Return the grid of a structure.

    Args:
        hypers: settings.
        atoms: structure; its positions matter along axes that are not periodic.
        stretch: factor by which edges may grow before the spacing of `hypers` is exceeded, >= 1.

    Raises:
        ValueError: a periodic axis without a cell vector, a flat cell, or a stretch below 1.
    """
    if stretch < 1:
        raise ValueError(f"stretch must be at least 1, got {stretch:g}; 1.1 lets edges grow by 10 %")
    cell, pbc = np.asarray(atoms.cell.array, dtype=float), np.asarray(atoms.pbc, dtype=bool)
    if np.linalg.matrix_rank(cell[pbc]) < pbc.sum():
        raise ValueError(f"cell must have independent vectors along periodic axes, got {cell.tolist()}; set the cell")
    directions = boxed_cell(torch.from_numpy(cell), torch.from_numpy(pbc), [0.0 if p else 1.0 for p in pbc]).numpy()
    extents = np.ptp(atoms.positions @ directions.T, axis=0) if len(atoms) else np.zeros(3)
    lengths = [0.0 if p else float(extent + hypers.vacuum) for p, extent in zip(pbc, extents, strict=True)]
    edges = [
        float(np.linalg.norm(row)) * stretch if p else length for row, p, length in zip(cell, pbc, lengths, strict=True)
    ]
    full = [fast_length(edge / hypers.grid_spacing) for edge in edges]
    points = [
        [min(n, fast_length(max(hypers.least_points, n_exact))) for n, n_exact in zip(full, coarse, strict=True)]
        for coarse in ([edge / hypers.grid_spacing / 2.0**scale for edge in edges] for scale in hypers.scales)
    ]
    if hypers.grids == "full":
        points = [points[0]] * len(points)
    return ScatteringGrid(points, lengths)


def boxed_cell(cell: Tensor, pbc: Tensor, lengths: list[float]) -> Tensor:
    """Return the cell (3, 3) with axes that are not periodic replaced by orthogonal ones of the given lengths (A).

    Differentiable in `cell`; `pbc` (3) holds booleans.
    """
    rows: list[Tensor] = [cell[0], cell[1], cell[2]]
    known = [bool(pbc[0]), bool(pbc[1]), bool(pbc[2])]
    for axis in range(3):
        if not known[axis]:
            rows[axis] = lengths[axis] * _orthogonal(rows, known, axis)
            known[axis] = True
    return torch.stack(rows)


def _orthogonal(rows: list[Tensor], known: list[bool], axis: int) -> Tensor:
    """Return a unit vector orthogonal to the known rows: a right-handed frame for two of them."""
    after, before = (axis + 1) % 3, (axis + 2) % 3
    if known[after] and known[before]:
        normal = torch.linalg.cross(rows[after], rows[before])
        return normal / torch.linalg.vector_norm(normal)
    unit = torch.zeros_like(rows[axis])
    if not known[after] and not known[before]:
        unit[axis] = 1.0
        return unit
    row = rows[after] if known[after] else rows[before]
    row = row / torch.linalg.vector_norm(row)
    # The Cartesian axis farthest from the row, its own where equal.
    overlap = torch.abs(row.detach()) - 1e-9 * torch.eye(3, dtype=row.dtype, device=row.device)[axis]
    unit[int(torch.argmin(overlap))] = 1.0
    normal = unit - torch.dot(unit, row) * row
    return normal / torch.linalg.vector_norm(normal)
