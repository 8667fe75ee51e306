"""Coordinates in which the prior of the coefficients is the unit normal, and which spans the model keeps.

Kernel. Coefficients c of the sparse points have the prior covariance delta^2 K_MM^-1, so that energies have delta^2 k.
With the eigenvalues K_MM = V diag(lambda) V^T and T = delta V diag(lambda)^(-1/2), c = T w and w ~ N(0, 1): the
columns K_NM T are coordinates in the kernel's own function space, at most delta in norm for every atom, whatever the
sparse points. We take eigenvalues, not a Cholesky factor, because many sparse points of a kernel matrix nearly repeat
one another: directions below `rank_tolerance` of the largest eigenvalue carry rounding error only and are dropped,
where Cholesky needs a jitter that changes the prior [1, sec. 3.4.3, 8.3].

Linear. c_f = prior / s_f^scaling w_f, s_f the standard deviation of the feature.

[1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.dot_product import dot_product_kernel

Floats = NDArray[np.float64]

# Least standard deviation that a feature is scaled by, as a fraction of the largest.
LEAST_DEVIATION = 1e-6
# Deviations of features that are all alike, as a fraction of the features.
ROUNDING = 1e-12


class Coordinates(Protocol):
    """A linear map c = T w from unit-normal w (r) to coefficients c (n)."""

    rank: int

    def compress(self, matrix: Floats) -> Floats:
        """Return matrix (m, n) times T: (m, r)."""

    def expand(self, weights: Floats) -> Floats:
        """Return T times weights (r, k): (n, k)."""


class DiagonalCoordinates:
    """T = diag(scale)."""

    def __init__(self, scale: Floats) -> None:
        self.rank = len(scale)
        self.scale = scale

    def compress(self, matrix: Floats) -> Floats:
        """Return matrix (m, n) times T."""
        return matrix * self.scale

    def expand(self, weights: Floats) -> Floats:
        """Return T times weights (n, k)."""
        return self.scale[:, None] * weights


class BlockCoordinates:
    """T = block diagonal, one block (M_a, r_a) per element."""

    def __init__(self, blocks: Sequence[Floats]) -> None:
        self.blocks = list(blocks)
        self._rows = np.cumsum([0, *(len(block) for block in blocks)])
        self._columns = np.cumsum([0, *(block.shape[1] for block in blocks)])
        self.rank = int(self._columns[-1])

    def compress(self, matrix: Floats) -> Floats:
        """Return matrix (m, n) times T."""
        # By torch, not NumPy: the equations before and after come from torch, and while its threads work, those of
        # NumPy's BLAS would go on spinning for the cores and double the time.
        columns = torch.from_numpy(matrix).split(np.diff(self._rows).tolist(), dim=1)
        parts = [part @ torch.from_numpy(block) for part, block in zip(columns, self.blocks, strict=True)]
        return torch.cat(parts, dim=1).numpy()

    def expand(self, weights: Floats) -> Floats:
        """Return T times weights (r, k)."""
        columns = self._columns
        return np.concatenate([block @ weights[columns[a] : columns[a + 1]] for a, block in enumerate(self.blocks)])


def kernel_coordinates(points: Sequence[torch.Tensor], zeta: int, delta: float, tolerance: float) -> BlockCoordinates:
    """Return the coordinates of the sparse-kernel model with normalised sparse points (M_a, F) per element."""
    blocks: list[Floats] = []
    for part in points:
        if len(part) == 0:
            blocks.append(np.zeros((0, 0)))
            continue
        values, vectors = np.linalg.eigh(dot_product_kernel(part, part, zeta).numpy())
        kept = values > tolerance * values[-1]
        blocks.append(delta * vectors[:, kept] / np.sqrt(values[kept]))
    return BlockCoordinates(blocks)


def linear_coordinates(pool: Sequence[Floats], prior: float, scaling: float) -> DiagonalCoordinates:
    """Return the coordinates of the linear model from candidate features (n, F') per element."""
    scales: list[Floats] = []
    for features in pool:
        deviation = features.std(axis=0) if len(features) else np.ones(features.shape[1])
        magnitude = np.sqrt(np.square(features).mean(axis=0)) if len(features) else deviation
        if deviation.max(initial=0.0) <= ROUNDING * magnitude.max(initial=0.0):
            deviation = magnitude  # one environment alone, as of an isolated atom: nothing varies
        largest = float(deviation.max(initial=0.0)) or 1.0
        scales.append(prior / np.maximum(deviation, LEAST_DEVIATION * largest) ** scaling)
    return DiagonalCoordinates(np.concatenate(scales))
