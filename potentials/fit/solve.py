"""From the triangle of all equations to coefficients and their posterior.

In the coordinates w of `coordinates` (prior N(0, 1)) the weighted equations are R w = q, and the posterior is

    w ~ N(w0, (S^T S)^-1),    [ R ; 1 ] = Q S,    S w0 = Q^T [ q ; 0 ]

S is reduced once more to singular values, S = U diag(s) V^T, which are the reciprocal deviations of the posterior along
V. Only orthogonal transformations stand between the equations and w: no normal equations are formed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rhopot.potentials.fit.coordinates import Coordinates
from rhopot.potentials.fit.qr import SequentialQR

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Mean w0 (r), directions V (r, r) in columns, and the deviation (r) along each, of the coefficients' posterior."""

    mean: Floats
    directions: Floats
    deviations: Floats
    coordinates: Coordinates

    @property
    def coefficients(self) -> Floats:
        """The mean as coefficients c (n)."""
        return self.coordinates.expand(self.mean[:, None])[:, 0]

    def draw(self, normals: Floats, exponent: float) -> Floats:
        """Return departures from the mean (n, K) for standard normals (r, K): T V diag(deviation^exponent) normals."""
        return self.coordinates.expand(self.directions @ (self.deviations[:, None] ** exponent * normals))


def solve(qr: SequentialQR, coordinates: Coordinates) -> Posterior:
    """Return the posterior of the coefficients from the triangle [R | q] of the equations in w."""
    rank = coordinates.rank
    stacked = SequentialQR(rank)
    stacked.merge(qr.triangle, qr.n_rows)
    stacked.add(np.eye(rank, rank + 1))
    left, values, right = scipy.linalg.svd(stacked.factor)
    mean = right.T @ ((left.T @ stacked.target) / values)
    return Posterior(mean, right.T, 1.0 / values, coordinates)
