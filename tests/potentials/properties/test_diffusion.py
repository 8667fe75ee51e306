"""Diffusion of walkers whose coefficient is known, an Arrhenius line, and the conductivity of independent ions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units

from rhopot.potentials.properties.diffusion import arrhenius, conductivity, diffusion_coefficient


def random_walk(
    coefficient: float, interval: float, seed: int = 0, frames: int = 2000, walkers: int = 100
) -> np.ndarray:
    """Steps with the variance 2 D dt in each direction; D in cm^2/s, dt in ps."""
    sigma = np.sqrt(2.0 * coefficient * 1e4 * interval)
    return np.random.default_rng(seed).normal(scale=sigma, size=(frames, walkers, 3)).cumsum(axis=0)


def test_random_walks_within_their_errors() -> None:
    """D = <step^2> / 6 dt, and the errors of twenty walks are those that their coefficients show."""
    known, found = 2e-5, []
    for seed in range(20):
        found.append(diffusion_coefficient(random_walk(known, 0.05, seed), 0.05, ballistic=0.1))
    values = np.array([each.coefficient for each in found])
    errors = np.array([each.error for each in found])
    assert values.mean() == pytest.approx(known, rel=0.01)
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.6)
    assert (abs(values - known) < 4 * errors).mean() >= 0.9


def test_langevin_particles() -> None:
    """Free particles with friction g: MSD = 6 D (t - (1 - exp(-g t))/g), D = k T/(m g).

    Ballistic first, then 6 D t - 6 D/g. Exact steps of the Ornstein-Uhlenbeck process, whose velocity and position have
    a joint normal distribution.
    """
    friction, thermal, interval, n, frames = 5.0, 1.0, 0.05, 400, 2000  # 1/ps, A/ps
    rng = np.random.default_rng(5)
    decay = np.exp(-friction * interval)
    integral = (1.0 - decay) / friction
    covariance = thermal**2 * np.array(
        [
            [1.0 - decay**2, (1.0 - decay) ** 2 / friction],
            [(1.0 - decay) ** 2 / friction, (2 * interval - 4 * integral + (1.0 - decay**2) / friction) / friction],
        ]
    )
    velocity, position = rng.normal(scale=thermal, size=(n, 3)), np.zeros((n, 3))
    paths = np.empty((frames, n, 3))
    for k in range(frames):
        paths[k] = position
        kicks = rng.multivariate_normal([0.0, 0.0], covariance, size=(n, 3))
        position = position + integral * velocity + kicks[..., 1]
        velocity = decay * velocity + kicks[..., 0]
    known = thermal**2 / friction

    found = diffusion_coefficient(paths, interval, ballistic=5.0 / friction)

    assert found.coefficient == pytest.approx(known * 1e-4, rel=0.03)
    assert found.intercept == pytest.approx(-6.0 * known / friction, abs=0.1)
    assert (found.first, found.last) == pytest.approx((1.0, 9.95))
    early = diffusion_coefficient(paths, interval, ballistic=0.05, blocks=100)
    assert early.coefficient < 0.9 * known * 1e-4, "times that are still ballistic give too little"


def test_vibrations_are_no_diffusion() -> None:
    """Atoms about their sites: the gradient is nothing but its error, and small."""
    paths = np.random.default_rng(2).normal(scale=0.3, size=(1000, 50, 3))
    found = diffusion_coefficient(paths, 0.05, ballistic=0.1)
    assert not found.measurable
    assert diffusion_coefficient(random_walk(2e-5, 0.05), 0.05, ballistic=0.1).measurable


def test_an_arrhenius_line() -> None:
    kelvins = [500.0, 700.0, 900.0, 1200.0]
    values = [3e-3 * np.exp(-0.35 / (units.kB * t)) for t in kelvins]
    found = arrhenius(kelvins, values, [0.1 * d for d in values])
    assert found.energy == pytest.approx(0.35, rel=1e-9)
    assert found.prefactor == pytest.approx(3e-3, rel=1e-8)
    # Standard error of the slope of a line with equal errors of 0.1 in ln D.
    x = 1.0 / (units.kB * np.array(kelvins))
    assert found.error == pytest.approx(0.1 / np.sqrt(((x - x.mean()) ** 2).sum()), rel=1e-9)
    assert found.at(800.0) == pytest.approx(3e-3 * np.exp(-0.35 / (units.kB * 800.0)))


def test_errors_of_the_activation_energy_are_those_it_shows() -> None:
    rng = np.random.default_rng(0)
    kelvins, found = np.array([500.0, 700.0, 900.0, 1200.0]), []
    for _ in range(300):
        exact = 3e-3 * np.exp(-0.35 / (units.kB * kelvins))
        found.append(arrhenius(kelvins, exact * np.exp(rng.normal(scale=0.05, size=4)), 0.05 * exact))
    energies = np.array([each.energy for each in found])
    assert energies.mean() == pytest.approx(0.35, abs=2e-3)
    assert np.mean([each.error for each in found]) == pytest.approx(energies.std(), rel=0.3)


def test_two_temperatures_without_errors_leave_no_error() -> None:
    found = arrhenius([500.0, 1000.0], [1e-6, 1e-5], [0.0, 0.0])
    assert found.energy == pytest.approx(np.log(10.0) * units.kB * 1000.0)
    assert np.isnan(found.error)


def test_conductivity_of_independent_ions() -> None:
    """In SI units: n e^2 D / k T with 1e28 ions/m^3 of charge 2 and D = 1e-9 m^2/s at 600 K."""
    found = conductivity({"O": 1e-5, "Zr": 0.0}, {"O": 10, "Zr": 5}, {"O": -2.0}, 1000.0, 600.0)
    expected = 1e28 * 4 * 1.602176634e-19**2 * 1e-9 / (1.380649e-23 * 600.0)  # S/m
    assert found == pytest.approx(expected / 100.0, rel=1e-6)
    with pytest.raises(ValueError, match="charge must name elements of the structure, got Li; there are O"):
        conductivity({"O": 1e-5}, {"O": 10}, {"Li": 1.0}, 1000.0, 600.0)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="trajectory must be long enough for 5 times between the ballistic time, 1 ps"):
        diffusion_coefficient(random_walk(1e-5, 0.05, frames=100), 0.05)
    with pytest.raises(ValueError, match=r"run longer \(12.25 ps without what is skipped\)"):
        diffusion_coefficient(random_walk(1e-5, 0.05, frames=244), 0.05)
    diffusion_coefficient(random_walk(1e-5, 0.05, frames=245), 0.05)
    with pytest.raises(ValueError, match="blocks must be 2 or more, got 1"):
        diffusion_coefficient(random_walk(1e-5, 0.05), 0.05, blocks=1)
    with pytest.raises(ValueError, match="temperatures must be two or more for an activation energy, got 1"):
        arrhenius([600.0, 600.0], [1e-5, 2e-5], [1e-6, 1e-6])
    with pytest.raises(ValueError, match="coefficients must be positive for an activation energy, got -1e-07 cm"):
        arrhenius([600.0, 700.0], [-1e-7, 2e-5], [1e-6, 1e-6])
