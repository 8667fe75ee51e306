"""The factor on an ensemble's departures, from samples whose deviation is known to be too small."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.calibration import calibrate_energies


def test_deviations_that_are_half_the_errors_are_doubled() -> None:
    random = np.random.default_rng(0)
    size = random.uniform(0.1, 1.0, 4000)
    found = calibrate_energies(2.0 * size * random.standard_normal(4000), size, n_groups=7)
    assert found is not None
    assert found.factor == pytest.approx(2.0, rel=0.05)
    assert found.within_one == pytest.approx(0.6827, abs=1e-3)
    assert 0.3 < found.rank_correlation < 0.6
    assert (found.n_energies, found.n_groups) == (4000, 7)
    assert found.widening == pytest.approx(1.0, abs=1e-3)


def test_few_errors_widen_the_factor() -> None:
    """Of five ratios the fifth, not what lies between the third and the fourth."""
    found = calibrate_energies(np.array([1.0, -2.0, 3.0, -4.0, 5.0]), np.ones(5))
    assert found is not None
    assert found.factor == 5.0
    assert found.widening == pytest.approx(5.0 / (1.0 + 4 * 0.6827))


def test_too_few_energies_or_members_that_agree_give_none() -> None:
    assert calibrate_energies(np.ones(2), np.ones(2)) is None
    assert calibrate_energies(np.ones(9), np.zeros(9)) is None


def test_members_that_differ_by_rounding_give_none() -> None:
    random = np.random.default_rng(2)
    assert calibrate_energies(0.01 * random.standard_normal(20), 1e-14 * random.uniform(1, 2, 20)) is None
