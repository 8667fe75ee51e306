"""The factor on the committee's spread: 68.27% of the validation energies' errors lie within one deviation.

The deviation of a structure is that of the members' totals (see `export.evaluate`); errors are those of their mean. The
weights are the best by the same validation part, so the factor is that of a part the committee has been chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fit.uncertainty import FEWEST_ERRORS, ROUNDING, quantile_scale, rank_correlation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpreadCalibration:
    """Factor on the members' departures from their mean, and how errors follow the deviations so scaled.

    n_energies: errors it is based on; within_one, rank_correlation: of these.
    """

    factor: float
    n_energies: int
    within_one: float
    rank_correlation: float


def calibrate_spread(energies: Floats, reference: Floats, n_atoms: Floats) -> SpreadCalibration | None:
    """Return the calibration from the members' energies (K, n), labels (n) and sizes (n) of validation structures.

    None with fewer than `FEWEST_ERRORS` structures, or members that agree but for rounding.
    """
    errors = (energies.mean(axis=0) - reference) / n_atoms
    return spread_calibration(errors, energies.std(axis=0) / n_atoms)


def spread_calibration(errors: Floats, deviations: Floats) -> SpreadCalibration | None:
    """Return the calibration from errors and deviations (n) of one kind; None as in `calibrate_spread`."""
    if len(errors) < FEWEST_ERRORS or deviations.min() <= 0.0:
        return None
    if np.median(deviations) < ROUNDING * np.median(np.abs(errors)):
        return None
    factor = quantile_scale(errors, deviations)
    return SpreadCalibration(
        factor=factor,
        n_energies=len(errors),
        within_one=float(np.mean(np.abs(errors) <= factor * deviations)),
        rank_correlation=rank_correlation(np.abs(errors), deviations),
    )
