"""Radii of force errors: nine errors of ten within them, on atoms of every standard deviation; what does not count."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.force_radii import LEAST_FLOOR, ForceRadius, force_radii

CHI_90 = 2.5003  # 90% quantile of the chi distribution with three degrees of freedom


def sample(seed: int, n_frames: int, floor: float, per_frame: int = 40, spread: float = 0.0) -> tuple[np.ndarray, ...]:
    """Lengths of normal error vectors of variance sigma^2 + floor^2; sigma from 1e-3 to 1 eV/A; numbers of frames."""
    random = np.random.default_rng(seed)
    deviations = 10.0 ** random.uniform(-3.0, 0.0, n_frames * per_frame)
    frames = np.repeat(np.arange(n_frames), per_frame)
    frame = np.exp(spread * random.standard_normal(n_frames))[frames]
    errors = frame[:, None] * np.hypot(deviations, floor)[:, None] * random.standard_normal((len(frames), 3))
    return np.linalg.norm(errors, axis=1), deviations, frames


def fitted(lengths: np.ndarray, deviations: np.ndarray, frames: np.ndarray) -> ForceRadius:
    return force_radii(lengths, deviations, np.zeros_like(frames), frames, ["Si"])["Si"]


@pytest.mark.parametrize("floor", [0.01, 0.1, 0.5])
def test_floor_and_multiple_of_normal_errors(floor: float) -> None:
    found = fitted(*sample(1, 400, floor))
    assert found.floor == pytest.approx(floor, rel=0.4)
    assert found.multiple * found.floor == pytest.approx(CHI_90 * floor, rel=0.25)
    lengths, deviations, _ = sample(2, 400, floor)
    inside = lengths <= found.of(deviations)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.01)
    for part in np.array_split(np.argsort(deviations), 3):
        assert np.mean(inside[part]) == pytest.approx(0.9, abs=0.05)


def test_without_common_errors_the_floor_vanishes_beside_the_deviations() -> None:
    found = fitted(*sample(3, 400, 0.0))
    assert found.floor < 0.005
    assert found.multiple == pytest.approx(CHI_90, rel=0.03)


def test_constant_errors_have_a_constant_radius() -> None:
    """Deviations that say nothing: the floor is far above them."""
    lengths, _, frames = sample(4, 200, 1.0)
    noise = 10.0 ** np.random.default_rng(5).uniform(-3.0, -2.0, len(lengths))
    found = fitted(lengths, noise, frames)
    assert np.ptp(found.of(noise)) < 0.05 * found.of(noise).mean()


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_few_frames_widen_so_that_further_ones_are_covered(spread: float) -> None:
    """Frames differ in how large errors are; on average nine of ten atoms of further frames are within the radius.

    At the quantile of the atoms of these frames alone it is 88%, for a spread of 1.
    """
    inside = []
    for seed in range(100):
        found = fitted(*sample(seed, 12, 0.05, spread=spread))
        lengths, deviations, _ = sample(1000 + seed, 40, 0.05, spread=spread)
        inside.append(np.mean(lengths <= found.of(deviations)))
    assert 0.89 < np.mean(inside) < 0.935


def test_rounding_does_not_count() -> None:
    lengths, deviations, frames = sample(6, 50, 0.05)
    rounding = np.full(len(lengths), 1e-7)
    doubled = [np.append(lengths, rounding), np.append(deviations, rounding), np.append(frames, frames)]
    assert fitted(*doubled) == fitted(lengths, deviations, frames)


def test_vanishing_deviations_leave_a_floor() -> None:
    """Sites of high symmetry: no member has a force there, and labels have some noise."""
    lengths, _, frames = sample(7, 50, 5e-4)
    found = fitted(lengths, np.zeros(len(lengths)), frames)
    assert found.floor == LEAST_FLOOR
    assert np.mean(lengths <= found.of(np.zeros(len(lengths)))) >= 0.9


def test_elements_have_radii_of_their_own_and_rare_ones_that_of_all() -> None:
    lengths, deviations, frames = sample(8, 60, 0.05)
    species = np.tile([0, 1], len(lengths) // 2)
    species[:4] = 2
    found = force_radii(np.where(species == 1, 6.0, 1.0) * lengths, deviations, species, frames, ["Li", "Si", "H"])
    sizes = [found[symbol].of(np.array([0.1]))[0] for symbol in ("Li", "H", "Si")]
    assert sizes == sorted(sizes)
    assert sizes[2] == pytest.approx(6.0 * sizes[0], rel=0.2)


def test_too_few_frames_have_none() -> None:
    lengths, deviations, frames = sample(9, 2, 0.05)
    assert force_radii(lengths, deviations, np.zeros_like(frames), frames, ["Si"]) == {}
