"""Calibration of deviations: by errors of members that had not seen a structure, and of no others."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.families.scattering.calibration import calibrated, unseen_by_all, unseen_by_some
from rhopot.potentials.fitting.minimum_counts import FEWEST_LEFT_OUT
from rhopot.potentials.fitting.sparse_regression import (
    SparseRegressionSettings,
    WeightedRows,
    fit_ensemble,
    make_rows,
    stack,
)


def problem(n: int, seed: int) -> WeightedRows:
    """Energies of a hidden model with noise, and forces of the same groups."""
    random = np.random.default_rng(seed)
    w = np.random.default_rng(99).standard_normal(12)
    x, dx = random.standard_normal((n, 12)), random.standard_normal((n, 12))
    energies = make_rows(x, x @ w + 0.3 * random.standard_normal(n) - 2.0, np.arange(n) // 2)
    return stack([energies, make_rows(dx, dx @ w, np.arange(n) // 2, 0.1, constant=False)])


def test_a_structure_is_predicted_by_the_members_that_left_it_out() -> None:
    rows = problem(40, 0)
    ensemble = fit_ensemble(rows, SparseRegressionSettings(n_members=30, max_features=8))
    expected = []
    for k in np.flatnonzero(rows.constant):
        outside = [m for m in ensemble.members if m.multiplicity[rows.groups[k]] == 0]
        if len(outside) >= FEWEST_LEFT_OUT:
            values = np.array([rows.features[k] @ m.coefficients + m.constant for m in outside])
            expected.append((values.mean() - rows.targets[k], values.std()))
    assert 20 < len(expected) <= 40
    np.testing.assert_allclose(np.array(unseen_by_some(ensemble, rows)).T, expected, rtol=1e-9)


def test_unseen_structures_are_predicted_by_all() -> None:
    rows, other = problem(40, 0), problem(10, 1)
    ensemble = fit_ensemble(rows, SparseRegressionSettings(n_members=12, max_features=8))
    x, y = other.features[other.constant], other.targets[other.constant]
    errors, deviations = unseen_by_all(ensemble, x, y)
    each = np.array([x @ m.coefficients + m.constant for m in ensemble.members])
    np.testing.assert_allclose(errors, each.mean(axis=0) - y, rtol=1e-9)
    np.testing.assert_allclose(deviations, each.std(axis=0), rtol=1e-9)
    found = calibrated(ensemble, rows, x, y)
    assert found is not None
    assert found.n_energies == 10 + len(unseen_by_some(ensemble, rows)[0])


def test_calibrated_deviations_hold_for_structures_that_calibrated_nothing() -> None:
    rows, some, many = problem(80, 0), problem(20, 1), problem(600, 2)
    ensemble = fit_ensemble(rows, SparseRegressionSettings(n_members=40, max_features=8))
    found = calibrated(ensemble, rows, some.features[some.constant], some.targets[some.constant])
    assert found is not None
    errors, deviations = unseen_by_all(ensemble, many.features[many.constant], many.targets[many.constant])
    assert np.mean(np.abs(errors) < found.factor * deviations) == pytest.approx(0.68, abs=0.1)


def test_nothing_is_calibrated_on_too_little() -> None:
    rows = problem(40, 0)
    ensemble = fit_ensemble(rows, SparseRegressionSettings(n_members=4, max_features=8))
    assert calibrated(ensemble, rows, rows.features[:2], rows.targets[:2]) is None
