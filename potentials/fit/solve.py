"""From the triangle of all equations to coefficients and their posterior.

In the coordinates w of `coordinates` (prior N(0, 1)) the weighted equations are R T w = q, and the posterior is

    w ~ N(w0, (S^T S)^-1),    [ R T ; 1 ] = Q S,    S w0 = Q^T [ q ; 0 ]

S is reduced once more to singular values, S = U diag(s) V^T, which are the reciprocal deviations of the posterior along V.
Only orthogonal transformations of R stand between the equations and w: no normal equations are formed.

R is that of the columns before the change of coordinates, so that the expensive assembly does not depend on the prior; R T
carries the rounding errors eps |R| |T| that forming the rows of K_NM T would have as well.
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
    """Return the posterior of the coefficients."""
    rank = coordinates.rank
    system = np.zeros((len(qr.factor) + rank, rank + 1))
    system[: len(qr.factor), :rank] = coordinates.compress(qr.factor)
    system[: len(qr.factor), rank] = qr.target
    system[len(qr.factor) :, :rank] = np.eye(rank)
    triangle = scipy.linalg.qr(system, mode="r", overwrite_a=True)[0][:rank]
    left, values, right = scipy.linalg.svd(triangle[:, :rank], overwrite_a=False)
    mean = right.T @ ((left.T @ triangle[:, rank]) / values)
    return Posterior(mean, right.T, 1.0 / values, coordinates)
