"""Block errors against the known autocorrelation of an AR(1) process, and the bootstrap against both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from rhopot.potentials.free_energy.block_errors import (
    block_errors,
    bootstrap,
    difference_error,
    edges_of,
    mean_error,
)
from rhopot.potentials.free_energy.grid import Variable, make_grid
from rhopot.potentials.free_energy.reweighting import Frames, energy_of

X = Variable("x")
N = 40_000


def ar1(memory: float, seed: int, count: int = N) -> np.ndarray:
    """x_i = memory x_(i-1) + noise, of variance 1, in its stationary state."""
    noise = np.random.default_rng(seed).normal(size=count + 1000) * math.sqrt(1.0 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], noise))[1000:]


@pytest.mark.parametrize("memory", [0.0, 0.8, 0.98])
def test_error_of_a_mean(memory: float) -> None:
    """Exactly sqrt((1 + a) / (1 - a) / N) for N much longer than the memory a; the mean of 20 estimates within 10%."""
    exact = math.sqrt((1.0 + memory) / (1.0 - memory) / N)
    found = [mean_error(ar1(memory, seed)) for seed in range(20)]
    assert all(each.converged for each in found)
    assert np.mean([each.error for each in found]) == pytest.approx(exact, rel=0.1)
    assert np.mean([each.errors[0] for each in found]) == pytest.approx(math.sqrt(1.0 / N), rel=0.05)


def test_errors_of_all_lengths() -> None:
    """Blocks of B frames: (s_B / s)^2 = (1 + a) / (1 - a) - 2 a (1 - a^B) / (B (1 - a)^2); mean of 20 processes."""
    a = 0.9
    found = np.mean([np.array(mean_error(ar1(a, seed)).errors) ** 2 for seed in range(20)], axis=0)
    lengths = np.array(mean_error(ar1(a, 0)).lengths)
    exact = ((1 + a) / (1 - a) - 2 * a * (1 - a**lengths) / (lengths * (1 - a) ** 2)) / N
    np.testing.assert_allclose(found[:9], exact[:9], rtol=0.12)
    assert list(lengths) == [2**k for k in range(len(lengths))]
    assert lengths[-1] <= N // 8


def test_a_series_shorter_than_its_memory_is_not_converged() -> None:
    found = mean_error(ar1(0.999, 1, 500))
    assert not found.converged
    assert found.error == max(found.errors)
    assert block_errors(np.zeros(100)).error == 0.0
    with pytest.raises(ValueError, match="frames must be 16 or more for errors, got 15"):
        block_errors(np.arange(15.0))


def test_blocks_are_no_shorter_than_asked_for() -> None:
    np.testing.assert_array_equal(edges_of(10, 3), [0, 3, 6])
    np.testing.assert_array_equal(edges_of(4, 8), [0])


def test_weights_count() -> None:
    """Weights that depend on x: against the standard deviation of the weighted mean over 200 processes."""
    series = [ar1(0.9, seed, 4000) for seed in range(200)]
    means = [float(np.sum(np.exp(0.5 * x) * x) / np.sum(np.exp(0.5 * x))) for x in series]
    estimates = [mean_error(x, np.exp(0.5 * x)).error for x in series[:40]]
    assert np.mean(estimates) == pytest.approx(np.std(means), rel=0.15)


def test_error_of_a_difference_of_free_energies() -> None:
    """Delta F of both sides of a border: against its standard deviation over 200 processes; and by the bootstrap."""
    series = [ar1(0.9, seed, 4000) for seed in range(200)]
    thermal = 0.5
    exact = np.std([-thermal * math.log(np.mean(x > 0.5) / np.mean(x < 0.5)) for x in series])
    equal = np.ones(4000)
    found = [difference_error(equal, x > 0.5, x < 0.5, thermal) for x in series[:40]]
    assert np.mean([each.error for each in found]) == pytest.approx(exact, rel=0.15)
    grid = make_grid(
        [X],
        [
            -4.5,
        ],
        [5.5],
        [11],
    )

    def estimate(densities: np.ndarray) -> np.ndarray:
        left, right = densities[:, :5].sum(axis=1), densities[:, 5:].sum(axis=1)
        return -thermal * np.log(right / left)[:, None]

    drawn = [
        bootstrap(Frames((X,), np.arange(4000.0), x[:, None] + 0.0, np.zeros(4000)), grid, found[k].length, estimate)[0]
        for k, x in enumerate(series[:10])
    ]
    # bins are around integers + 0.5: the border between the fifth and the sixth is at 0
    exact = np.std([-thermal * math.log(np.mean(x > 0.0) / np.mean(x < 0.0)) for x in series])
    assert np.mean(drawn) == pytest.approx(exact, rel=0.2)
    with pytest.raises(ValueError, match="both basins must hold frames for an error"):
        difference_error(equal, series[0] > 90.0, series[0] < 0.0, thermal)


def test_the_bootstrap_is_that_of_the_whole_estimate() -> None:
    """F of a bin with probability p of independent frames: kT sqrt((1 - p) / (p N)); NaN where nothing was seen."""
    x = np.random.default_rng(5).uniform(0.0, 4.0, (8000, 1))  # another seed than the bootstrap's
    grid = make_grid([X], [0.5], [9.5], [10])
    frames = Frames((X,), np.arange(8000.0), x, np.zeros(8000))
    found = bootstrap(frames, grid, 1, lambda densities: energy_with_constant(densities))
    np.testing.assert_allclose(found[:4], math.sqrt(0.75 / 0.25 / 8000), rtol=0.15)
    assert np.isnan(found[4:]).all()
    again = bootstrap(frames, grid, 1, lambda densities: energy_with_constant(densities))
    np.testing.assert_array_equal(found, again)
    other = bootstrap(frames, grid, 1, lambda densities: energy_with_constant(densities), seed=1)
    assert not np.array_equal(found[:4], other[:4])


def energy_with_constant(densities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -np.log(densities / densities.sum(axis=1, keepdims=True))


def test_energies_of_densities() -> None:
    np.testing.assert_allclose(energy_of(np.array([1.0, math.e, 0.0]), 2.0), [2.0, 0.0, np.inf])
