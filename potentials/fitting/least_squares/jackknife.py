"""Jackknife: fits without one fold of the data each, from the sums of the folds.

In the coordinates v of `normal_equations`, with the sums z^T z = C_g and z^T e = c_g of fold g, their like W of all
folds with the prior, and v* the fit to all,

    (W - C_g) (v_g - v*) = C_g v* - c_g

is exactly the fit to all data but fold g, the prior included, and the fit without two folds follows from the sums of
both. No equation is read again. Rows that are held back from the sums are brought in as `narrow` says.

The delete-a-group jackknife [1] estimates the covariance of a fit from these departures, whatever the errors are like:
correlated within a fold, larger for some structures than for others, or due to a model that cannot follow the data,

    covariance = (G - 1)/G sum_g (u_g - <u>) (u_g - <u>)^T = V V^T

where the posterior, which believes the sigmas and independent errors, only knows where equations are. Every fold is
also a part that its own u_g has not seen: there `HeldOutEnergies` compares errors with the deviations that the fit
without this fold claims, the jackknife's (from the fits without it and a second fold) and the posterior's.
Both shrink as the root of the amount of data, errors of misfit do not: both are scaled by ((G - 1)/G)^(1/2) to the size
of all folds.

Cost: G (G + 1) / 2 factorisations of r^3 / 3 operations; memory (G + 4) r^2 numbers

[1] B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (SIAM, 1982), ch. 3, 6
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpotrf, dpotrs

from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.least_squares.narrow import Narrow
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations, symmetric, whiten
from rhopot.potentials.fitting.least_squares.solve import Posterior, prior_inverse

Floats = NDArray[np.float64]

# Added to the part of W that is left, whose smallest eigenvalue is the prior's share and may vanish to rounding.
KEPT = 1e-12
# Share of every direction's weight that must be left in fits without folds: at 1e-8 deviations have three digits,
# at 1e-10 hardly one. It is above 0.1 where more than one fold knows of each direction.
LEAST_LEFT = 1e-8
INVERSE_ITERATIONS = 4


@dataclass(frozen=True)
class HeldOutEnergies:
    """Errors (m) of energies that a fit has not seen, and its two deviations (m) there, all in eV per atom."""

    errors: Floats
    jackknife: Floats
    posterior: Floats

    @staticmethod
    def of(errors: Floats, whitened: Floats, departures: Floats) -> HeldOutEnergies:
        """Return the evidence of whitened energies (m, r) under one fit with jackknife departures V (r, G)."""
        return HeldOutEnergies(errors, np.linalg.norm(whitened @ departures, axis=1), np.linalg.norm(whitened, axis=1))

    @property
    def undetermined(self) -> HeldOutEnergies:
        """The evidence without energies that no coefficient enters (a free atom without features): they are exact."""
        known = (self.jackknife > 0.0) & (self.posterior > 0.0)
        return HeldOutEnergies(self.errors[known], self.jackknife[known], self.posterior[known])

    def join(self, other: HeldOutEnergies) -> HeldOutEnergies:
        """Return both together."""
        names = ("errors", "jackknife", "posterior")
        return HeldOutEnergies(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


NOTHING = HeldOutEnergies(np.zeros(0), np.zeros(0), np.zeros(0))


def centred_departures(fits: Floats) -> Floats:
    """Return V (r, G) with the jackknife covariance V V^T from the fits u_g (G, r) without one fold each."""
    count = len(fits)
    return np.sqrt((count - 1.0) / count) * (fits - fits.mean(axis=0)).T


def jackknife(assembly: Assembly, posterior: Posterior) -> tuple[Floats, HeldOutEnergies]:
    """Return the departures V (r, G) of the whitened coefficients, and the evidence of the kept energies."""
    equations = assembly.equations
    preconditioner = equations.triangle[:-1, :-1]
    rest = _Rest(equations, posterior.mean)
    rows = rest.narrow.rows(whiten(equations.triangle, assembly.energies)[:, :-1])
    errors = assembly.energies[:, :-1] @ posterior.mean - assembly.energies[:, -1]
    count, evidence = len(equations.squares), NOTHING
    fits = np.zeros((count, count, equations.n_columns))
    variances = np.zeros(len(rows))
    for g in range(count):
        unseen = assembly.energy_folds == g
        fits[g, g], whitened = rest.fit(g, g, rows[unseen].T)
        variances[unseen] = np.einsum("rm,rm->m", whitened, rows[unseen].T)
        for h in range(g):
            fits[g, h] = fits[h, g] = rest.fit(g, h)[0]
    shrink = np.sqrt(1.0 - 1.0 / count)
    for g in range(count):
        unseen = assembly.energy_folds == g
        departures = centred_departures(np.delete(fits[g], g, axis=0))
        evidence = evidence.join(
            HeldOutEnergies(
                errors[unseen] + rows[unseen] @ fits[g, g],
                shrink * np.linalg.norm(rows[unseen] @ departures, axis=1),
                shrink * np.sqrt(np.maximum(variances[unseen], 0.0)),
            )
        )
    alone = rest.narrow.rows(np.einsum("ggr->gr", fits)).T
    return centred_departures((posterior.factor @ solve_triangular(preconditioner, alone)).T), evidence


class _Rest:
    """The equations without some of the folds, in the coordinates x of `narrow`."""

    def __init__(self, equations: NormalEquations, mean: Floats) -> None:
        triangle = equations.triangle
        held, groups = equations.held.all()
        held = whiten(triangle, held)
        self.narrow = Narrow(held[:, :-1])
        prior = self.narrow.rows(prior_inverse(triangle[:-1, :-1]))
        fitted = np.append(triangle[:-1, :-1] @ mean - triangle[:-1, -1], -1.0)
        self._squares, self._pulls = [], []
        for g, upper in enumerate(equations.squares):
            square, mine = symmetric(upper), held[groups == g]
            pull = self.narrow.rows((square @ fitted)[None, :-1])[0]
            self._pulls.append(pull + self.narrow.rows(mine[:, :-1]).T @ (mine @ fitted))
            self._squares.append(self.narrow.square(square[:-1, :-1], mine[:, :-1]))
        self._whole = np.add.reduce([prior.T @ prior, *self._squares])
        self._whole *= 1.0 + KEPT
        self._first, self._left = -1, self._whole
        self._start = np.random.default_rng(0).standard_normal(len(self._whole))
        self._work = np.empty_like(self._whole)

    def fit(self, g: int, h: int, others: Floats | None = None) -> tuple[Floats, Floats]:
        """Return v - v* (r) of the fit without folds g and h (the same: without one), and (W - C)^-1 others (r, m).

        Raises:
            ValueError: equations outweigh the prior by more than double precision holds.
        """
        if g != self._first:
            self._first, self._left = g, self._whole - self._squares[g]
        pull = self._pulls[g]
        if g == h:
            self._work[:] = self._left
        else:
            np.subtract(self._left, self._squares[h], out=self._work)
            pull = pull + self._pulls[h]
        factor, info = dpotrf(self._work.T, clean=0, overwrite_a=1)  # symmetric, and in Fortran's order
        if info != 0 or self._least(factor) < LEAST_LEFT:
            raise ValueError(
                "sigmas of targets must leave the prior some weight in fits without a fold of the data, got some that "
                "are too small for double precision; take larger sigmas, a smaller regressor.prior, or "
                "uncertainty.members=0"
            )
        right = pull[:, None] if others is None else np.column_stack([pull, others])
        found = dpotrs(factor, right)[0]
        return found[:, 0], found[:, 1:]

    def _least(self, factor: Floats) -> float:
        """Return the smallest eigenvalue of what a Cholesky factor stands for, by inverse iteration; that of W is 1."""
        x, least = self._start / np.linalg.norm(self._start), 1.0
        for _ in range(INVERSE_ITERATIONS):
            x = dpotrs(factor, x)[0]
            least = 1.0 / float(np.linalg.norm(x))
            x *= least
        return least
