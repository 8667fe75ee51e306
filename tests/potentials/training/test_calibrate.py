"""The factor on a committee's spread, from samples whose spread is known to be too small."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.training.calibrate import calibrate_spread


def test_a_spread_that_is_half_the_errors_is_doubled() -> None:
    """Members and truth are normal about their structure's centre; the truth with twice the deviation."""
    random = np.random.default_rng(0)
    size = random.uniform(0.1, 1.0, 4000)
    members = size * random.standard_normal((64, 4000))
    truth = 2.0 * size * random.standard_normal(4000)
    found = calibrate_spread(members, truth, np.full(4000, 8.0))
    assert found is not None
    assert found.factor == pytest.approx(2.0, rel=0.05)
    assert found.within_one == pytest.approx(0.6827, abs=1e-3)
    assert 0.3 < found.rank_correlation < 0.6
    assert found.n_energies == 4000


def test_sizes_weigh_errors_and_deviations_alike() -> None:
    random = np.random.default_rng(1)
    members, truth = random.standard_normal((8, 50)), random.standard_normal(50)
    one, other = (calibrate_spread(members, truth, np.full(50, n)) for n in (1.0, 64.0))
    assert one is not None
    assert other is not None
    assert one.factor == pytest.approx(other.factor, rel=1e-12)


def test_too_few_energies_or_members_that_agree_give_none() -> None:
    assert calibrate_spread(np.ones((4, 2)), np.zeros(2), np.ones(2)) is None
    assert calibrate_spread(np.ones((4, 9)), np.zeros(9), np.ones(9)) is None


def test_members_that_differ_by_rounding_give_none() -> None:
    random = np.random.default_rng(2)
    members = -3.0 + 1e-14 * random.standard_normal((6, 20))
    assert calibrate_spread(members, -3.0 + 0.01 * random.standard_normal(20), np.ones(20)) is None
