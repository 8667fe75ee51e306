"""From the triangle of all equations to coefficients and their posterior.

In the coordinates w of `coordinates` (prior N(0, 1)) the weighted equations are R w = q, and the posterior is

    w ~ N(w0, (S^T S)^-1),    [ R ; 1 ] = Q S,    S w0 = Q^T [ q ; 0 ]

Only orthogonal transformations and substitutions in triangles stand between the equations and w: no normal equations
are formed. The diagonal of S is made positive, which makes S unique: the same for every order of the equations and
every number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.qr import SequentialQR

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior:
    """Mean w0 (r) and the triangle S (r, r) of the coefficients' posterior; u = S (w - w0) are standard normals."""

    mean: Floats
    factor: Floats
    coordinates: Coordinates

    @property
    def coefficients(self) -> Floats:
        """The mean as coefficients c (n)."""
        return self.coordinates.expand(self.mean[:, None])[:, 0]

    def whiten(self, rows: Floats) -> Floats:
        """Return rows (m, r) that act on w as rows that act on u: their norms are the posterior's deviations."""
        return np.asarray(solve_triangular(self.factor, rows.T, trans="T")).T

    def expand(self, whitened: Floats) -> Floats:
        """Return departures u (r, k) from the mean as departures (n, k) of the coefficients."""
        return self.coordinates.expand(solve_triangular(self.factor, whitened))


def solve(qr: SequentialQR, coordinates: Coordinates) -> Posterior:
    """Return the posterior of the coefficients from the triangle [R | q] of the equations in w."""
    rank = coordinates.rank
    stacked = SequentialQR(rank)
    stacked.merge(qr.triangle, qr.n_rows)
    stacked.add(np.eye(rank, rank + 1))
    factor = stacked.factor
    signs = np.where(np.diag(factor) < 0, -1.0, 1.0)
    return Posterior(solve_triangular(factor, stacked.target), signs[:, None] * factor, coordinates)
