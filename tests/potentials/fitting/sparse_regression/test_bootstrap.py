"""Draws: whole groups, the published shares, the same again for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.sparse_regression import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.bootstrap import check_groups, multiplicity, stream


def draw(settings: SparseRegressionSettings, n_groups: int, member: int) -> np.ndarray:
    return multiplicity(settings, n_groups, member, stream(settings, member))


def test_bootstrap_draws_as_many_groups_as_there_are_and_leaves_a_third_out() -> None:
    settings = SparseRegressionSettings(seed=1)
    draws = np.array([draw(settings, 296, member) for member in range(100)])
    assert (draws.sum(axis=1) == 296).all()
    # (1 - 1/296)^296 = 0.3673; the deviation of a mean over 100 draws is 0.002.
    assert np.mean(draws == 0) == pytest.approx(0.3673, abs=0.008)
    assert draws.max() >= 4
    assert len({tuple(row) for row in draws.tolist()}) == 100


def test_some_group_is_always_left_out() -> None:
    settings = SparseRegressionSettings()
    assert all((draw(settings, 2, member) == 0).sum() == 1 for member in range(40))


def test_folds_leave_every_group_out_once() -> None:
    settings = SparseRegressionSettings(sampling="folds", n_members=4)
    draws = np.array([draw(settings, 22, member) for member in range(4)])
    assert (np.sum(draws == 0, axis=0) == 1).all()
    assert sorted(np.sum(draws == 0, axis=1)) == [5, 5, 6, 6]
    assert set(np.unique(draws)) == {0, 1}


def test_draws_depend_on_seed_and_number_alone() -> None:
    few, many, other = (
        SparseRegressionSettings(n_members=2),
        SparseRegressionSettings(n_members=50),
        SparseRegressionSettings(seed=1),
    )
    np.testing.assert_array_equal(draw(few, 30, 1), draw(many, 30, 1))
    assert (draw(few, 30, 1) != draw(other, 30, 1)).any()
    assert (draw(few, 30, 1) != draw(few, 30, 0)).any()


def test_candidates_of_a_step_are_the_published_numbers() -> None:
    assert [SparseRegressionSettings().n_candidates(d) for d in (3741, 321)] == [61, 17]
    assert SparseRegressionSettings(candidates="all").n_candidates(3741) == 3741
    assert SparseRegressionSettings(candidates=50).n_candidates(20) == 20


@pytest.mark.parametrize(
    ("settings", "n_groups", "sentence"),
    [
        ({}, 1, r"groups must be at least 2 for bootstrap"),
        ({"sampling": "folds", "n_members": 5}, 4, r"groups must be at least 5 for folds"),
        ({"sampling": "folds", "n_members": 1}, 4, r"n_members must be 2 or more parts for folds, got 1"),
    ],
)
def test_too_few_groups_are_refused(settings, n_groups, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_groups(SparseRegressionSettings(**settings), n_groups)
