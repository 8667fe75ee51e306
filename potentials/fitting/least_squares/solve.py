"""From the sums of all equations to coefficients and their posterior.

In the coordinates w of `coordinates` (prior N(0, 1)) the weighted equations are A w = y, and the posterior is

    w ~ N(w*, (S^T S)^-1),    S^T S = 1 + A^T A = P^T W P,    S = L^T P

with P and W of `normal_equations` and the Cholesky factor W = L L^T of a matrix that is well conditioned: the squares
of A's condition number never occur. The diagonals of L and P are positive, which makes S unique: the same for every
order of the equations and every number of ranks. The mean alone needs no S: it is solved for with the preconditioner
of the assembly, rows that are held back brought in by `narrow`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dtrtri

from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.narrow import Narrow
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations, symmetric, whiten

Floats = NDArray[np.float64]

# Steps from w_0 to the mean: the solution and two refinements, which take residuals from the rows that are held back.
STEPS = 3


class Posterior:
    """Mean w* (r) and the triangle S (r, r) of the coefficients' posterior; u = S (w - w*) are standard normals.

    misfit: norm of A w* - y.
    """

    def __init__(self, mean: Floats, equations: NormalEquations, coordinates: Coordinates, misfit: float) -> None:
        self.mean = mean
        self.coordinates = coordinates
        self.misfit = misfit
        self._equations = equations

    @cached_property
    def factor(self) -> Floats:
        """S, made when it is first asked for."""
        triangle, upper = self._equations.whole()
        p = np.asfortranarray(triangle[:-1, :-1])
        inverse = prior_inverse(p)
        whole = inverse.T @ inverse
        whole += symmetric(upper)[:-1, :-1]
        return np.triu(dtrmm(1.0, p, cholesky(whole, lower=True, overwrite_a=True).T, side=1))

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


def solve(equations: NormalEquations, coordinates: Coordinates) -> Posterior:
    """Return the posterior of the coefficients from all groups of equations."""
    p, q = equations.triangle[:-1, :-1], equations.triangle[:-1, -1]
    rows = equations.held.all()[0]
    held = whiten(equations.triangle, rows)[:, :-1]
    narrow = Narrow(held)
    prior = narrow.rows(prior_inverse(p))  # P^-1 E
    square = symmetric(equations.total())
    whole = prior.T @ prior
    whole += narrow.square(square[:-1, :-1], held)
    factor = np.asarray(cholesky(whole, lower=True, overwrite_a=True))
    held = narrow.rows(held)
    mean = solve_triangular(p, q)
    for _ in range(STEPS):
        departure = np.append(p @ mean - q, -1.0)
        pull = narrow.rows((square @ departure)[None, :-1])[0] + prior.T @ mean
        pull += held.T @ (rows[:, :-1] @ mean - rows[:, -1])
        mean = mean - prior @ cho_solve((factor, True), pull)
    departure = np.append(p @ mean - q, -1.0)
    unexplained = rows[:, :-1] @ mean - rows[:, -1]
    misfit = float(max(departure @ square @ departure, 0.0) + unexplained @ unexplained) ** 0.5
    return Posterior(mean, equations, coordinates, misfit)


def prior_inverse(preconditioner: Floats) -> Floats:
    """Return P^-1 (n, n): rows of the prior of w in the coordinates v."""
    return np.asarray(dtrtri(preconditioner)[0])
