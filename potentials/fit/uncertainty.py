"""Member columns: seeded draws from the posterior, calibrated on errors that the fit has not seen.

    member k = mean + s T V diag(d^g) z_k,    z_k ~ N(0, 1)

with V, d the directions and deviations of the posterior (`solve`). g = 1 is the posterior itself. Its width relies on
the sigmas of the targets and on independent errors, which real data do not have, so two numbers are fitted on the
validation part: g by the largest likelihood of the energy errors, with a normal prior around 1.5, then s by matching
the 68.27% quantile of |error| / deviation. A few dozen energies give that quantile to 20% only; the same quantile of
the many force errors takes part with the weight that its usual agreement deserves (`FORCES_SPREAD`). g > 1 gives the
directions that no data determine a larger share, which follows real errors better inside the data and widens the
members faster outside. The draws are centred, so that the members' mean is the prediction and the deviation (divisor
K) is unbiased.

In : errors per validation frame (eV per atom) and the members' deviations there;  out: s and g
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NORMAL_QUANTILE = 0.6827
EXPONENTS = (1.0, 1.25, 1.5, 1.75, 2.0)
# What g is taken to be, and how surely, before the validation errors are seen (a few dozen hardly tell 1 from 2).
USUAL_EXPONENT, EXPONENT_SPREAD = 1.5, 0.25
# Variance of the logarithm of the quantile's scale is this over the number of frames; the scale that forces need, which
# is known far better, agrees with it to about this factor in the logarithm.
QUANTILE_VARIANCE, FORCES_SPREAD = 1.3, 0.4
# Fewest validation frames with energies that a calibration is based on.
FEWEST = 3


@dataclass(frozen=True)
class Calibration:
    """The fitted scale s and exponent g, and how well the validation errors follow the deviations."""

    scale: float
    exponent: float
    n_frames: int
    within_one: float
    rank_correlation: float
    forces_scale: float | None


def normals(rank: int, members: int, seed: int) -> Floats:
    """Return centred standard normals (rank, members) whose deviation (divisor K) is one on average."""
    drawn = np.random.default_rng(seed).standard_normal((rank, members))
    return (drawn - drawn.mean(axis=1, keepdims=True)) * np.sqrt(members / (members - 1.0))


def quantile_scale(errors: Floats, deviations: Floats) -> float:
    """Return the factor on the deviations that brings 68.27% of |errors| within one."""
    return float(np.quantile(np.abs(errors) / deviations, NORMAL_QUANTILE))


def log_likelihood(errors: Floats, deviations: Floats) -> float:
    """Return the mean log-likelihood of errors under Student's t (4 degrees), at the best factor on the deviations."""
    best = -np.inf
    ratio = np.abs(errors) / deviations
    for scale in quantile_scale(errors, deviations) * np.geomspace(0.3, 3.0, 41):
        value = np.mean(-2.5 * np.log1p((ratio / scale) ** 2 / 4.0) - np.log(scale * deviations))
        best = max(best, float(value))
    return best


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation of two samples, 0 when one of them is constant."""
    ranks = [np.argsort(np.argsort(x)).astype(float) for x in (a, b)]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def calibrate(
    errors: Floats, deviations: dict[float, Floats], force_errors: Floats, force_deviations: dict[float, Floats]
) -> Calibration:
    """Return the calibration from energy errors (V) and, per exponent, the members' deviations (V), in eV per atom.

    Force errors and deviations (components) steady the scale when there are few energies.
    """

    def evidence(g: float) -> float:
        doubt = (g - USUAL_EXPONENT) / EXPONENT_SPREAD
        return len(errors) * log_likelihood(errors, deviations[g]) - 0.5 * doubt**2

    exponent = max(deviations, key=evidence)
    chosen = deviations[exponent]
    scale = quantile_scale(errors, chosen)
    forces_scale = None
    if len(force_errors):
        forces_scale = quantile_scale(force_errors, force_deviations[exponent])
        share = 1.0 / (1.0 + len(errors) * FORCES_SPREAD**2 / QUANTILE_VARIANCE)
        scale = scale ** (1.0 - share) * forces_scale**share
    within = float(np.mean(np.abs(errors) <= scale * chosen))
    correlation = rank_correlation(np.abs(errors), chosen)
    return Calibration(scale, exponent, len(errors), within, correlation, forces_scale)


def deviation(members: Floats) -> Floats:
    """Return the standard deviation (divisor K) over the last axis."""
    return np.asarray(members.std(axis=-1))


def check_members(members: int, n_validation: int) -> None:
    """Refuse a number of members, or a validation part, that cannot be calibrated."""
    if members < 0 or members == 1:
        raise ValueError(f"members must be 0 or at least 2, got {members}; 16 is customary")
    if members and n_validation < FEWEST:
        raise ValueError(
            f"validation must hold at least {FEWEST} frames with energies to calibrate the members, "
            f"got {n_validation}; give a validation part or set members to 0"
        )
