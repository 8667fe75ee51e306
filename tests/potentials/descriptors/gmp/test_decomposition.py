"""The split of Cartesian tensors over spherical harmonics: norms, identity by identity."""

import math

import numpy as np
import pytest
import torch

from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.descriptors.gmp.decomposition import amplitude, double_factorial, moment, power_in_legendre
from rhopot.potentials.descriptors.gmp.maxwell import exponents, maxwell_harmonic, weight

RNG = np.random.default_rng(11)
POINTS = RNG.normal(size=(5, 3))
CHARGES = RNG.normal(size=5)


def cartesian_norm(order: int, solid: bool) -> float:
    """Return sum_abc n!/(a! b! c!) (sum_j q_j S_abc(x_j))^2, monomial by monomial."""
    total = 0.0
    for powers in exponents(order):
        values = np.zeros(len(POINTS))
        for key, coefficient in maxwell_harmonic(powers, solid).items():
            values += float(coefficient) * np.prod(POINTS ** np.array(key), axis=1)
        total += weight(powers) * float(CHARGES @ values) ** 2
    return total


def spherical_norm(order: int, degrees: range) -> float:
    """Return sum_lm c_lm^2 with c_lm = amplitude sum_j q_j h_nl(r_j) Y_lm, without noise (v = 0, k = 1)."""
    radius = np.linalg.norm(POINTS, axis=1)
    harmonics = real_spherical_harmonics(torch.from_numpy(POINTS / radius[:, None]), order).numpy()
    total = 0.0
    for degree in degrees:
        radial = sum(
            float(power_in_legendre(q, degree) * moment(order, q)[0]) * radius**q for q in range(degree, order + 1, 2)
        )
        coefficients = (amplitude(order, degree) * CHARGES * radial) @ harmonics[:, degree**2 : (degree + 1) ** 2]
        total += float(coefficients @ coefficients)
    return total


@pytest.mark.parametrize("order", range(9))
def test_weighted_cartesian_norm_is_a_sum_of_squares_over_degrees(order: int) -> None:
    parts = spherical_norm(order, range(order % 2, order + 1, 2))
    assert parts == pytest.approx(cartesian_norm(order, solid=False), rel=1e-12)


@pytest.mark.parametrize("order", range(9))
def test_highest_degree_alone_is_the_traceless_norm(order: int) -> None:
    parts = spherical_norm(order, range(order, order + 1))
    assert parts == pytest.approx(cartesian_norm(order, solid=True), rel=1e-12)


@pytest.mark.parametrize("q", range(9))
def test_powers_are_sums_of_legendre_polynomials(q: int) -> None:
    t = np.linspace(-1.0, 1.0, 7)
    total = sum(
        float(power_in_legendre(q, degree)) * np.polynomial.legendre.Legendre.basis(degree)(t)
        for degree in range(q % 2, q + 1, 2)
    )
    np.testing.assert_allclose(total, t**q, atol=1e-14)


@pytest.mark.parametrize("order", range(9))
def test_moments_are_means_over_gaussian_noise(order: int) -> None:
    variance, shift = 0.37, 0.8
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    mean = 0.0
    x = shift + np.sqrt(variance) * nodes
    for q in range(order % 2, order + 1, 2):  # n! P_n(x), with every |u| = 1 and r -> 1
        mean += float(moment(order, q)[0]) * float(weights @ x**q) / math.sqrt(2.0 * math.pi)
    found = 0.0
    for q in range(order % 2, order + 1, 2):
        found += sum(float(term) * variance**j for j, term in enumerate(moment(order, q))) * shift**q
    assert found == pytest.approx(mean, rel=1e-12)


def test_double_factorials() -> None:
    assert [double_factorial(n) for n in (-1, 0, 1, 2, 5, 6)] == [1, 1, 1, 2, 15, 48]
