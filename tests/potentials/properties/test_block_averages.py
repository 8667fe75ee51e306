"""Errors of averages, held to the known error of the mean of an autoregressive process."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from rhopot.potentials.properties.block_averages import block_average


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_error_of_correlated_values(phi: float) -> None:
    """x_t = phi x_(t-1) + e_t: the variance of the mean of n values tends to 1 / (n (1 - phi)^2)."""
    n, runs = 4096, 40
    noise = np.random.default_rng(3).normal(size=(runs, 2 * n))
    series = lfilter([1.0], [1.0, -phi], noise, axis=1)[:, n:]

    found = [block_average(each) for each in series]

    assert all(each.converged for each in found)
    assert np.mean([each.error for each in found]) == pytest.approx(1.0 / ((1.0 - phi) * np.sqrt(n)), rel=0.1)
    # What the error claims: means lie within it of the true one, zero, as often as those of a normal distribution.
    assert np.std([each.mean / each.error for each in found]) == pytest.approx(1.0, abs=0.3)


def test_a_series_shorter_than_its_correlation_says_so() -> None:
    found = block_average(np.linspace(0.0, 1.0, 64))
    assert not found.converged
    assert str(found).endswith("(not converged)")


def test_constant_values_have_no_error() -> None:
    assert block_average(np.full(10, 2.5)).error == 0.0


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="values must hold 4 or more recorded steps, got 3; run longer"):
        block_average([1.0, 2.0, 3.0])
