"""Mean squared displacements of the atoms of each element, averaged over all origins of time.

    MSD_a(k) = 1/(N_a (F - k)) sum_i sum_f |r_i(f + k) - r_i(f)|^2,      k = 0 .. F - 1 frames apart

The motion of the center of mass is removed. In a cell that changes, positions are fractional coordinates times the mean
cell, so that atoms do not move with it. All origins at once by Fourier transforms (V. Calandrini et al., Collection SFN
12, 201 (2011), doi:10.1051/sfn/201112010), in O(F log F).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from rhopot.potentials.units import Floats


def paths_of(frames: Sequence[Atoms]) -> Floats:
    """Positions (F, N, 3) in A of unwrapped frames, without the motion of the center of mass and of the cell."""
    positions = np.array([frame.positions for frame in frames])
    cells = np.array([frame.cell.array for frame in frames])
    if all(frames[0].pbc) and np.ptp(cells, axis=0).max() > 1e-9:
        positions = positions @ np.linalg.inv(cells) @ cells.mean(axis=0)
    masses = frames[0].get_masses()
    center = np.einsum("i,fij->fj", masses, positions) / masses.sum()
    return np.asarray(positions - center[:, None, :])


def mean_squared_displacements(paths: Floats) -> Floats:
    """MSD (F,) in A^2 of the atoms with paths (F, N, 3), by the number of frames between."""
    return np.asarray(of_atoms(paths).mean(axis=1))


def of_atoms(paths: Floats) -> Floats:
    """MSD (F, N) in A^2 of each atom."""
    count = len(paths)
    left = (count - np.arange(count))[:, None]
    squares = (paths**2).sum(axis=2)
    padded = np.concatenate([squares, np.zeros((1, squares.shape[1]))])
    # sum over origins of |r(f + k)|^2 + |r(f)|^2, by dropping one term from either end for each k
    ends = 2.0 * squares.sum(axis=0) - np.cumsum(
        padded[np.arange(-1, count - 1)] + padded[count - np.arange(count)], axis=0
    )
    transformed = np.fft.rfft(paths, n=2 * count, axis=0)
    products = np.fft.irfft(np.abs(transformed) ** 2, n=2 * count, axis=0)[:count].sum(axis=2)
    return np.maximum((ends - 2.0 * products) / left, 0.0)


def by_element(frames: Sequence[Atoms]) -> dict[str, Floats]:
    """MSD (F,) in A^2 of each element of frames with equal times between them."""
    paths = paths_of(frames)
    symbols = np.array(frames[0].get_chemical_symbols())
    return {str(symbol): mean_squared_displacements(paths[:, symbols == symbol]) for symbol in np.unique(symbols)}
