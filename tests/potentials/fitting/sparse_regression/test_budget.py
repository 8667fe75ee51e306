"""Budgets: which features are kept, alone or in sets, and what is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sparse_problems import correlated

from rhopot.potentials.fitting.sparse_regression import (
    SparseRegressionSettings,
    best_features,
    fit_ensemble,
    make_rows,
    refit,
    usage,
)

HYPERS = SparseRegressionSettings(n_members=12, max_features=25, candidates=8)


def planted(n: int, seed: int):
    """Six features of falling strength among fifty."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 50))
    y = x[:, [7, 30, 2, 45, 19, 33]] @ [4.0, 2.0, 1.0, 0.5, 0.25, 0.125] + 0.05 * rng.standard_normal(n) + 3
    return make_rows(x, y, np.arange(n) // 10)


def test_usage_counts_members_and_adds_up_what_each_choice_explained() -> None:
    ensemble = fit_ensemble(correlated(), HYPERS)
    expected = np.zeros(40)
    for member in ensemble.members:
        for position in range(member.best):
            if member.order[position] < 40:
                expected[member.order[position]] += member.gains[position]
    counts, gains = usage(ensemble)
    np.testing.assert_array_equal(counts, np.count_nonzero(ensemble.coefficients[:, 1:], axis=1))
    np.testing.assert_allclose(gains, expected, rtol=1e-12)


def test_gains_of_a_first_feature_count_too() -> None:
    rows = correlated()
    member = fit_ensemble(rows, HYPERS.model_copy(update={"constant": "none", "n_members": 1})).members[0]
    copies = member.multiplicity[rows.groups]
    before = np.sum(copies * rows.targets**2) / copies.sum()
    assert member.gains[0] == pytest.approx(1 - member.training[0] ** 2 / before, rel=1e-8)


def test_planted_features_are_the_best_and_a_budget_keeps_them() -> None:
    rows, unseen = planted(200, 0), planted(500, 1)
    ensemble = fit_ensemble(rows, HYPERS)
    np.testing.assert_array_equal(best_features(ensemble, 6), [2, 7, 19, 30, 33, 45])
    small = refit(rows, ensemble, 6)
    assert set(small.used) <= {2, 7, 19, 30, 33, 45}
    errors = [np.std(e.predict(unseen.features)[:, 0] - unseen.targets) for e in (ensemble, small)]
    assert errors[1] < errors[0]
    for one, other in zip(ensemble.members, small.members, strict=True):
        np.testing.assert_array_equal(one.multiplicity, other.multiplicity)


def test_sets_are_kept_whole() -> None:
    ensemble = fit_ensemble(planted(200, 0), HYPERS)
    # Five features to a set: 7 in set 1, 30 and 33 in set 6, 2 in set 0; each in every member.
    counts, gains = usage(ensemble, np.arange(50) // 5)
    assert counts[[0, 1, 6]].tolist() == [12, 12, 12]
    assert gains.sum() == pytest.approx(usage(ensemble)[1].sum())
    kept = best_features(ensemble, 3, np.arange(50) // 5)
    np.testing.assert_array_equal(kept, [*range(10), *range(30, 35)])
    small = refit(planted(200, 0), ensemble, 3, np.arange(50) // 5)
    assert set(small.used // 5) <= {0, 1, 6}


def test_elimination_beats_a_single_ranking_among_substitutes(tmp_path: Path) -> None:
    # Six directions, each seen by eight features with a little noise: the first twelve of one ranking repeat some
    # directions and miss others.
    rng = np.random.default_rng(3)
    hidden = rng.standard_normal((400, 6))
    x = np.repeat(hidden, 8, axis=1) + 0.1 * rng.standard_normal((400, 48))
    y = hidden @ [3.0, 2.5, 2.0, 0.5, 0.4, 0.3] + 0.02 * rng.standard_normal(400)
    rows, unseen = (make_rows(x[part], y[part], np.arange(200) // 10) for part in (slice(0, 200), slice(200, 400)))
    ensemble = fit_ensemble(rows, HYPERS)
    single = fit_ensemble(rows, HYPERS, best_features(ensemble, 12))
    small = refit(rows, ensemble, 12, folder=tmp_path)
    assert len(small.used) <= 12
    errors = [np.std(e.predict(unseen.features)[:, 0] - unseen.targets) for e in (single, small)]
    assert errors[1] < errors[0]
    again = refit(rows, ensemble, 12, folder=tmp_path, resume=True)
    np.testing.assert_array_equal(again.coefficients, small.coefficients)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["round-0", "round-1", "round-2"]


def test_a_budget_beyond_what_is_used_keeps_what_is_used() -> None:
    ensemble = fit_ensemble(planted(200, 0), HYPERS)
    np.testing.assert_array_equal(best_features(ensemble, 1000), ensemble.used)


def test_wrong_budgets_are_refused() -> None:
    ensemble = fit_ensemble(correlated(), HYPERS.model_copy(update={"n_members": 2}))
    with pytest.raises(ValueError, match="budget must be 1 feature or more, got 0"):
        best_features(ensemble, 0)
    with pytest.raises(ValueError, match="budget must be 1 feature or more, got 0"):
        refit(correlated(), ensemble, 0)
    with pytest.raises(ValueError, match=r"sets must be one number for each of 40 features, got \(3,\)"):
        best_features(ensemble, 2, [0, 1, 1])
