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

import math
from typing import NamedTuple

import ase
import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings

# Most points of the finest grid: one field of so many takes 3 GiB.
MOST_POINTS = 2e8


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
    number = max(1, math.ceil(least - 1e-9))
    while _without_small_factors(number) > 1:
        number += 1
    return number


def _without_small_factors(number: int) -> int:
    """Return what is left of a number after dividing by 2, 3 and 5."""
    for factor in (2, 3, 5):
        while number % factor == 0:
            number = number // factor
    return number


def choose_grid(settings: ScatteringSettings, atoms: ase.Atoms, stretch: float = 1.0) -> ScatteringGrid:
    """Return the grid of a structure.

    Args:
        settings: settings.
        atoms: structure; its positions matter along axes that are not periodic.
        stretch: factor by which edges may grow before the spacing of `settings` is exceeded, >= 1.

    Raises:
        ValueError: a periodic axis without a cell vector, a flat cell, a stretch below 1, or a grid of too many points.
    """
    positions, cell = torch.from_numpy(atoms.positions), torch.from_numpy(np.asarray(atoms.cell.array, dtype=float))
    grid: ScatteringGrid = GridRule(settings)(
        positions, cell, torch.from_numpy(np.asarray(atoms.pbc, dtype=bool)), stretch
    )
    points = float(np.prod([float(count) for count in grid.points[0]]))
    if points > MOST_POINTS:
        raise ValueError(
            f"the grid of a structure must have at most {MOST_POINTS:.0e} points, got {points:.1e}; "
            "bring its atoms together, or leave the structure out"
        )
    return grid


class GridRule(nn.Module):
    """`choose_grid` for tensors; TorchScript compiles it, so that a model carries it.

    Args:
        settings: settings.
    """

    spacings: list[float]

    def __init__(self, settings: ScatteringSettings) -> None:
        super().__init__()
        self.spacings = [settings.grid_spacing * 2.0**scale for scale in settings.scales]
        self.least_points: int = settings.least_points
        self.full: bool = settings.grids == "full"
        self.vacuum: float = settings.vacuum

    def forward(self, positions: Tensor, cell: Tensor, pbc: Tensor, stretch: float) -> ScatteringGrid:
        """Return the grid for positions (N, 3) and cell (3, 3) in A, pbc (3,); see `choose_grid`."""
        if stretch < 1:
            raise ValueError(f"stretch must be at least 1, got {stretch}; 1.1 lets edges grow by 10 %")
        periodic = cell[pbc]
        if len(periodic) > 0 and int(torch.linalg.matrix_rank(periodic)) < len(periodic):
            raise ValueError("cell must have independent vectors along periodic axes, got a flat one; set the cell")
        known: list[float] = [0.0 if bool(pbc[axis]) else 1.0 for axis in range(3)]
        directions = boxed_cell(cell, pbc, known)
        lengths: list[float] = [0.0, 0.0, 0.0]
        edges: list[float] = [0.0, 0.0, 0.0]
        for axis in range(3):
            if bool(pbc[axis]):
                edges[axis] = float(torch.linalg.vector_norm(cell[axis])) * stretch
            else:
                along = positions @ directions[axis]
                extent = float(torch.max(along) - torch.min(along)) if len(along) > 0 else 0.0
                lengths[axis] = extent + self.vacuum
                edges[axis] = lengths[axis]
        points: list[list[int]] = []
        for scale in range(len(self.spacings)):
            own: list[int] = []
            for axis in range(3):
                finest = fast_length(edges[axis] / self.spacings[0])
                coarse = fast_length(max(float(self.least_points), edges[axis] / self.spacings[scale]))
                own.append(finest if self.full else min(finest, coarse))
            points.append(own)
        return ScatteringGrid(points, lengths)


def pack_grid(grid: ScatteringGrid) -> Tensor:
    """Return a grid as numbers (3 S + 3,): points of every scale, then lengths."""
    numbers: list[float] = []
    for own in grid.points:
        for count in own:
            numbers.append(float(count))
    packed = torch.zeros([len(numbers) + 3], dtype=torch.float64)
    for place, number in enumerate(numbers + grid.lengths):
        packed[place].fill_(number)  # neither `torch.tensor` nor assignment: TorchScript rounds theirs to float32
    return packed


def unpack_grid(numbers: Tensor) -> ScatteringGrid:
    """Return the grid that `pack_grid` wrote."""
    points: list[list[int]] = []
    lengths: list[float] = [float(numbers[-3]), float(numbers[-2]), float(numbers[-1])]
    for scale in range(len(numbers) // 3 - 1):
        points.append([int(numbers[3 * scale]), int(numbers[3 * scale + 1]), int(numbers[3 * scale + 2])])
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
    # Its own Cartesian axis, or the next where the row lies along it: a choice that no small strain turns round.
    unit[axis if float(torch.abs(row.detach()[axis])) < 0.9 else after] = 1.0
    normal = unit - torch.dot(unit, row) * row
    return normal / torch.linalg.vector_norm(normal)
