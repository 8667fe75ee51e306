"""Jackknife: fits without one fold of the data each, from the triangles of the folds.

With whitened coefficients u = S (w - w0) (see `solve`) and the triangle [R_g | q_g] of fold g,

    Z_g = R_g S^-1,    t_g = Z_g^T (R_g w0 - q_g),    (1 - Z_g^T Z_g) u_g = t_g

is exactly the fit to all data but fold g, the prior included, and the fit without two folds follows from the sums of
both. No equation is read again.

The delete-a-group jackknife [1] estimates the covariance of a fit from these departures, whatever the errors are like:
correlated within a fold, larger for some structures than for others, or due to a model that cannot follow the data,

    covariance = (G - 1)/G sum_g (u_g - <u>) (u_g - <u>)^T = V V^T

where the posterior, which believes the sigmas and independent errors, only knows where equations are. Every fold is
also a part that its own u_g has not seen: there `HeldOutEnergies` compares errors with the deviations that the fit
without this fold claims, the jackknife's (from the fits without it and a second fold) and the posterior's.
Both shrink as the root of the amount of data, errors of misfit do not: both are scaled by ((G - 1)/G)^(1/2) to the size
of all folds.

Cost: G (G - 1) / 2 factorisations of r^3 / 3 operations; memory 2 G r^2 numbers

[1] B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (SIAM, 1982), ch. 3, 6
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.least_squares.qr import SequentialQR
from rhopot.potentials.fitting.least_squares.solve import Posterior

Floats = NDArray[np.float64]

# Added to 1 - Z^T Z, whose smallest eigenvalue is the prior's share and may vanish to rounding.
KEPT = 1e-12


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
    squares, pulls = _whitened_folds(assembly.triangles, posterior)
    fits = _fits(squares, pulls)
    rows = posterior.whiten(assembly.energies[:, :-1])
    errors = assembly.energies[:, :-1] @ posterior.mean - assembly.energies[:, -1]
    evidence, shrink = NOTHING, np.sqrt(1.0 - 1.0 / len(fits))
    for g in range(len(fits)):
        unseen = assembly.energy_folds == g
        whitened = solve_triangular(_factor(squares[g]), rows[unseen].T, lower=True)
        departures = centred_departures(np.delete(fits[g], g, axis=0))
        evidence = evidence.join(
            HeldOutEnergies(
                errors[unseen] + rows[unseen] @ fits[g, g],
                shrink * np.linalg.norm(rows[unseen] @ departures, axis=1),
                shrink * np.linalg.norm(whitened, axis=0),
            )
        )
    return centred_departures(np.einsum("ggr->gr", fits)), evidence


def _whitened_folds(triangles: list[SequentialQR], posterior: Posterior) -> tuple[list[Floats], list[Floats]]:
    """Return Z^T Z (r, r) and t (r) of every fold."""
    squares, pulls = [], []
    for qr in triangles:
        whitened = posterior.whiten(qr.factor)
        squares.append(whitened.T @ whitened)
        pulls.append(whitened.T @ (qr.factor @ posterior.mean - qr.target))
    return squares, pulls


def _fits(squares: list[Floats], pulls: list[Floats]) -> Floats:
    """Return u (G, G, r) of the fits without folds g and h; without g alone where g = h."""
    count = len(squares)
    fits = np.zeros((count, count, len(pulls[0])))
    for g in range(count):
        fits[g, g] = cho_solve((_factor(squares[g]), True), pulls[g])
        for h in range(g):
            fits[g, h] = fits[h, g] = cho_solve((_factor(squares[g] + squares[h]), True), pulls[g] + pulls[h])
    return fits


def _factor(square: Floats) -> Floats:
    """Return the lower Cholesky factor of 1 - Z^T Z.

    Raises:
        ValueError: equations outweigh the prior by more than double precision holds.
    """
    try:
        return np.asarray(cholesky((1.0 + KEPT) * np.eye(len(square)) - square, lower=True))
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "sigmas of targets must leave the prior some weight in fits without a fold of the data, got some that are "
            "too small for double precision; take larger sigmas, a smaller regressor.prior, or uncertainty.members=0"
        ) from error
