"""Every number of features from one triangle: coefficients, predictions and errors equal explicit refits."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_problems import correlated, design

from rhopot.potentials.fitting.sparse_regression import make_rows, stack
from rhopot.potentials.fitting.sparse_regression.path import errors, factor
from rhopot.potentials.fitting.sparse_regression.weighted_rows import make_design_table


def refit(rows, weights, order):
    """Coefficients of the columns `order` by weighted least squares, with scaled columns."""
    root = np.sqrt(weights)[:, None]
    a = design(rows)[:, order]
    size = np.linalg.norm(a * root, axis=0)
    return np.linalg.lstsq(a * root / size, rows.targets * root[:, 0], rcond=None)[0] / size


@pytest.mark.parametrize("constant", ["first", "candidate"])
def test_all_prefixes_equal_explicit_refits(constant) -> None:
    energies = correlated(seed=1)
    rng = np.random.default_rng(2)
    forces = make_rows(
        rng.standard_normal((70, 40)), rng.standard_normal(70), ["path-1"] * 70, weights=0.3, constant=False
    )
    rows = stack([energies, forces])
    weights = rows.weights * rng.integers(0, 3, len(rows.targets))
    order = np.array([40, *rng.permutation(40)[:15]]) if constant == "first" else rng.permutation(41)[:16]
    table = make_design_table(rows, np.arange(40), constant)
    path, left = factor(table, weights, order)
    outside = np.flatnonzero(weights == 0)
    energy, other = errors(path, table, outside, order, rows.weights)
    predictions = path.predictions(energies.features)
    for m in range(1, 17):
        w = refit(rows, weights, order[:m])
        dense, offset = path.coefficients(m)
        expected = np.zeros(41)
        expected[order[:m]] = w
        if constant == "first" or 40 in order[:m]:
            np.testing.assert_allclose(offset, expected[40], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(dense, expected[:40], rtol=1e-7, atol=1e-12 * np.abs(expected).max())
        wrong = design(rows)[:, order[:m]] @ w - rows.targets
        np.testing.assert_allclose(left[m - 1], np.sum(weights * wrong**2), rtol=1e-9)
        squares = (rows.weights * wrong**2)[outside]
        np.testing.assert_allclose(energy[m - 1], squares[rows.constant[outside]].sum(), rtol=1e-8)
        np.testing.assert_allclose(other[m - 1], squares[~rows.constant[outside]].sum(), rtol=1e-8)
        np.testing.assert_allclose(predictions[:, m - 1], energies.features @ dense + offset, rtol=1e-9, atol=1e-9)
        derivatives = path.predictions(forces.features, constant=False)[:, m - 1]
        np.testing.assert_allclose(
            derivatives, forces.features @ dense, rtol=1e-7, atol=1e-9 * np.abs(derivatives).max()
        )


def test_rows_in_several_blocks_give_the_same(monkeypatch) -> None:
    rows = correlated(seed=3)
    table, order = make_design_table(rows, np.arange(40), "first"), np.arange(40, 20, -1)
    whole, left = factor(table, np.ones(120), order)
    monkeypatch.setattr("rhopot.potentials.fitting.sparse_regression.path.BLOCK", 17)
    blocks, left_of_blocks = factor(table, np.ones(120), order)
    np.testing.assert_allclose(left_of_blocks, left, rtol=1e-10)
    np.testing.assert_allclose(blocks.coefficients(20)[0], whole.coefficients(20)[0], rtol=1e-8)


def test_numbers_of_columns_outside_the_path_are_refused() -> None:
    rows = correlated()
    path, _ = factor(make_design_table(rows, np.arange(40), "first"), np.ones(120), np.array([40, 1]))
    assert path.coefficients(0)[1] == pytest.approx(rows.targets.mean())
    with pytest.raises(ValueError, match=r"n_columns must be in 0\.\.2, got 3"):
        path.coefficients(3)
