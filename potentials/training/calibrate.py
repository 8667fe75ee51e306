"""The factor on an ensemble's departures from its mean: 68.27% of the errors of further energies within one deviation.

Errors and deviations are those of structures that the members which predict them have not seen (see `judges`, and
`ensembles.spread`); `quantile_scale` widens the factor by what their number allows to know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fit.uncertainty import FEWEST_ERRORS, ROUNDING, plain_scale, quantile_scale, rank_correlation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpreadCalibration:
    """Factor on the members' departures from their mean, and how errors follow the deviations so scaled.

    n_energies in n_groups (None: not all carry one): errors it is based on; widening: part of the factor that is due to
    their small number; within_one, rank_correlation: of these errors.
    """

    factor: float
    n_energies: int
    n_groups: int | None
    widening: float
    within_one: float
    rank_correlation: float


def calibrate_spread(errors: Floats, deviations: Floats, n_groups: int | None = None) -> SpreadCalibration | None:
    """Return the calibration from errors and deviations (n) in eV per atom.

    None with fewer than `FEWEST_ERRORS` structures, or members that agree but for rounding.
    """
    if len(errors) < FEWEST_ERRORS or deviations.min() <= 0.0:
        return None
    if np.median(deviations) < ROUNDING * np.median(np.abs(errors)):
        return None
    factor = quantile_scale(errors, deviations)
    return SpreadCalibration(
        factor=factor,
        n_energies=len(errors),
        n_groups=n_groups,
        widening=factor / plain_scale(errors, deviations),
        within_one=float(np.mean(np.abs(errors) <= factor * deviations)),
        rank_correlation=rank_correlation(np.abs(errors), deviations),
    )
