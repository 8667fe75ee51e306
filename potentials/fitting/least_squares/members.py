"""Member columns: a jackknife committee widened by the posterior, calibrated on errors that the fit has not seen.

    member k = mean + T S^-1 (a V Z_k + b z_k),    z_k ~ N(0, 1)

V holds the departures of the fits without one fold of the data each (`jackknife`), Z mixes them into K columns, and S
is the triangle of the posterior (`solve`). The deviation of a prediction x is then the root of

    a^2 |x S^-1 V|^2 + b^2 |x S^-1|^2

The first term is the sampling error of the fit, misfit and correlated errors included; the second, which
ends at the prior, keeps directions that no data determine uncertain. Each alone is brought to the 68.27% quantile of
|error| / deviation; their shares are chosen from `SHARES` by the likelihood of the errors, and the quantile once more
sets the scale of both. The errors are those of the validation set and of every training energy under the fit that
left its fold out, so that a few hundred energies speak where the validation set has twenty.

K columns whose mean is the prediction hold G < K departures exactly: Z has orthonormal columns, and only the
posterior's term is a random draw. For smaller K both are.

In : evidence, energies in eV per atom;  out: a and b
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.calibration import log_likelihood, quantile_scale, rank_correlation
from rhopot.potentials.fitting.least_squares.jackknife import HeldOutEnergies
from rhopot.potentials.fitting.least_squares.solve import Posterior

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# What part of the variance can be the posterior's. Never none: a jackknife says nothing where no fold has data.
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
# Folds of the jackknife.
FOLDS = 10


@dataclass(frozen=True)
class MemberCalibration:
    """Factors a and b of the two parts, the posterior's share of the variance, and how errors follow the deviations.

    n_energies: errors it is based on; within_one, rank_correlation: of these.
    """

    jackknife_scale: float
    posterior_scale: float
    posterior_share: float
    n_energies: int
    within_one: float
    rank_correlation: float


def calibrate_members(evidence: HeldOutEnergies) -> MemberCalibration:
    """Return the calibration that the evidence asks for."""
    errors = evidence.errors
    scales = [quantile_scale(errors, part) for part in (evidence.jackknife, evidence.posterior)]

    def mixed(share: float) -> Floats:
        squares = (1.0 - share) * (scales[0] * evidence.jackknife) ** 2 + share * (scales[1] * evidence.posterior) ** 2
        return np.asarray(np.sqrt(squares))

    share = max(SHARES, key=lambda one: log_likelihood(errors, mixed(one)))
    scale = quantile_scale(errors, mixed(share))
    deviations = scale * mixed(share)
    return MemberCalibration(
        jackknife_scale=scale * scales[0] * (1.0 - share) ** 0.5,
        posterior_scale=scale * scales[1] * share**0.5,
        posterior_share=share,
        n_energies=len(errors),
        within_one=float(np.mean(np.abs(errors) <= deviations)),
        rank_correlation=rank_correlation(np.abs(errors), deviations),
    )


def member_departures(
    posterior: Posterior, departures: Floats, calibration: MemberCalibration, members: int, seed: int
) -> Floats:
    """Return the members' departures from the mean (n, K) as coefficients, from whitened departures V (r, G)."""
    mixing = centred_columns(departures.shape[1], members, seed)
    drawn = normals(len(posterior.mean), members, seed)
    return posterior.expand(calibration.jackknife_scale * (departures @ mixing) + calibration.posterior_scale * drawn)


def normals(rank: int, members: int, seed: int | list[int]) -> Floats:
    """Return centred standard normals (rank, members) whose deviation (divisor K) is one on average."""
    drawn = np.random.default_rng(seed).standard_normal((rank, members))
    return (drawn - drawn.mean(axis=1, keepdims=True)) * np.sqrt(members / (members - 1.0))


def centred_columns(count: int, members: int, seed: int) -> Floats:
    """Return Z (count, K), rows of mean zero with Z Z^T = K (exactly where K > count, else on average)."""
    drawn = normals(count, members, [seed, 1])
    if count >= members:
        return drawn
    return np.asarray(np.sqrt(members) * np.linalg.qr(drawn.T)[0].T)
