"""Selections of features and environments: what must be chosen, and what energies change."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.analysis.measures import Split, gfre
from rhopot.potentials.analysis.selection import (
    METHODS,
    SelectionMethod,
    checked_method,
    select_environments,
    select_features,
)

RANDOM = np.random.default_rng(11)
N = 120
EVERYTHING = Split(np.arange(N), np.arange(N))
LARGE = RANDOM.normal(size=(N, 3))
# Three large features, two small ones, and copies of the large ones: five numbers are all there is to know.
SMALL = 0.05 * RANDOM.normal(size=(N, 2))
FEATURES = np.hstack([LARGE, LARGE * [0.9, 0.8, 0.7], SMALL])
ENERGIES = SMALL[:, 1] / 0.05


@pytest.mark.parametrize("method", METHODS)
def test_a_selection_is_sorted_repeatable_and_grows(method: SelectionMethod) -> None:
    found = [select_features(FEATURES, count, method, ENERGIES) for count in (2, 4, 8)]
    assert all((np.diff(one) > 0).all() for one in found)
    assert [len(one) for one in found] == [2, 4, 8]
    assert set(found[0]) < set(found[1])
    np.testing.assert_array_equal(select_features(FEATURES, 4, method, ENERGIES), found[1])


def test_farthest_features_are_no_copies() -> None:
    """Closed form: three large features and, before a copy of them is as far, none twice."""
    chosen = select_features(FEATURES, 3, "fps")
    assert len({int(k) % 3 for k in chosen if k < 6}) == 3


@pytest.mark.parametrize("method", ["pcov-fps", "pcov-cur"])
def test_energies_draw_their_feature_in(method: SelectionMethod) -> None:
    """The energy is one of many small features: the supervised methods take it, the others take large ones."""
    features = RANDOM.normal(size=(4000, 150)) * np.where(np.arange(150) < 70, 1.0, 0.01)
    plain: SelectionMethod = "fps" if method == "pcov-fps" else "cur"
    assert max(select_features(features, 5, plain)) < 70
    for k in (100, 140):
        chosen = select_features(features, 5, method, features[:, k])
        assert [one for one in chosen if one >= 70] == [k]


@pytest.mark.parametrize("method", ["fps", "pcov-fps"])
def test_selected_features_know_more_than_as_many_at_random(method: SelectionMethod) -> None:
    many = np.tanh(RANDOM.normal(size=(N, 6)) @ RANDOM.normal(size=(6, 40)) * np.geomspace(1, 1e-2, 40))
    chosen = select_features(many, 8, method, many[:, 0])
    drawn = [RANDOM.permutation(40)[:8] for _ in range(20)]
    errors = [gfre(many[:, one], many, EVERYTHING) for one in drawn]
    assert gfre(many[:, chosen], many, EVERYTHING) < np.median(errors)


@pytest.mark.parametrize("method", METHODS)
def test_far_environments_are_chosen(method: SelectionMethod) -> None:
    """A cloud and three environments far from it, whose energies are as far."""
    rows = np.vstack([0.1 * RANDOM.normal(size=(40, 5)), 20.0 * np.eye(5)[:3]])
    energies = np.r_[0.01 * RANDOM.normal(size=40), [1.0, 2.0, 3.0]]
    chosen = select_environments(rows, 4, method, energies)
    assert {40, 41, 42} <= set(chosen.tolist())
    assert len(select_environments(rows, 400, method, energies)) == 43


def test_messages() -> None:
    with pytest.raises(ValueError, match="selection method must be one of fps, cur, pcov-fps, pcov-cur, got 'pca'"):
        checked_method("pca")
    with pytest.raises(ValueError, match="selection method pcov-cur must have energies of atoms, got none"):
        select_features(FEATURES, 2, "pcov-cur")
    with pytest.raises(ValueError, match="count must lie between 1 and the 8 features, got 9"):
        select_features(FEATURES, 9, "pcov-fps", ENERGIES)
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        select_environments(FEATURES, 0, "pcov-fps", ENERGIES)
