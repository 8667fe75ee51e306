"""Calibration of the predicted uncertainty: errors of structures that members had not seen against their deviation.

A structure of the validation set was seen by no member. One of the training set was left out by some of them (a share
of 37% of a bootstrap): their average predicts it, and their deviation goes with it. Both kinds of errors together set
one factor on the members' departures from their average: 68.27% of them lie within one deviation.

In : predictions in eV per atom; out: `fitting.calibration.EnergyCalibration`
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.calibration import EnergyCalibration, calibrate_energies
from rhopot.potentials.fitting.minimum_counts import FEWEST_LEFT_OUT
from rhopot.potentials.fitting.sparse_regression import Ensemble, WeightedRows

Floats = NDArray[np.float64]


def calibrated(ensemble: Ensemble, rows: WeightedRows, features: Floats, reference: Floats) -> EnergyCalibration | None:
    """Return the calibration of an ensemble.

    Args:
        ensemble: fitted to `rows`.
        rows: its equations; energies are those that the constant enters.
        features, reference: (v, F) and (v) of the validation set.
    """
    found = [unseen_by_some(ensemble, rows), unseen_by_all(ensemble, features, reference)]
    errors, deviations = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return calibrate_energies(errors, deviations)


def unseen_by_all(ensemble: Ensemble, features: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return errors of the average and the deviations (v) for structures that no member has seen."""
    predicted = ensemble.predict(features)
    return predicted[:, 0] - reference, predicted[:, 1:].std(axis=1)


def unseen_by_some(ensemble: Ensemble, rows: WeightedRows) -> tuple[Floats, Floats]:
    """Return errors and deviations of the members that left a row out, for energies that enough members did."""
    energies = np.flatnonzero(rows.constant)
    predicted = ensemble.predict(rows.features[energies])[:, 1:]
    counts = np.column_stack([member.multiplicity for member in ensemble.members])
    outside = counts[rows.groups[energies]] == 0
    enough = outside.sum(axis=1) >= FEWEST_LEFT_OUT
    predicted = np.ma.masked_array(predicted[enough], ~outside[enough])
    errors = predicted.mean(axis=1) - rows.targets[energies][enough]
    return np.asarray(errors, dtype=np.float64), np.asarray(predicted.std(axis=1), dtype=np.float64)
