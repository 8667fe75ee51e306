"""Radial functions of GMP: closed form of a convolution, quadrature, derivatives, layout."""

import numpy as np
import pytest
from valence_models import COMPACT, HOLLOW, SOFT, Density

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.descriptors.gmp.radial import GmpRadialFunctions

FADE = CutoffFunction("quintic", 5.0, 2.0)
R = np.linspace(0.0, 4.99, 41)


def functions(max_order: int = 8, solid: bool = False, widths: tuple[float, ...] = (0.3, 1.1)) -> GmpRadialFunctions:
    return GmpRadialFunctions((SOFT, HOLLOW, COMPACT), widths, max_order, solid, FADE)


def test_order_zero_is_the_density_blurred_by_the_probe() -> None:
    sigma = 0.7
    values = functions(0, widths=(sigma,)).overlaps(HOLLOW, R)[0, :, 0, 0] / np.sqrt(4.0 * np.pi)
    expected = sum(
        c * (1 + 2 * a * sigma**2) ** -1.5 * np.exp(-a / (1 + 2 * a * sigma**2) * R**2)
        for c, a in zip(HOLLOW.coefficients, HOLLOW.exponents, strict=True)
    )
    np.testing.assert_allclose(values, expected, rtol=1e-13)


@pytest.mark.parametrize("order", [1, 3, 8])
def test_highest_degree_by_quadrature(order: int) -> None:
    """n! <P_n(cos) |x|^n> of probe x density on the axis, by Gauss-Legendre over radius and angle."""
    sigma, distance = 0.6, 1.4
    x, wx = np.polynomial.legendre.leggauss(120)
    t, wt = np.polynomial.legendre.leggauss(80)
    radius = 4.0 * (x + 1.0)
    probe = np.exp(-0.5 * (radius / sigma) ** 2) / (2.0 * np.pi * sigma**2) ** 1.5
    square = radius[:, None] ** 2 + distance**2 - 2.0 * distance * radius[:, None] * t
    density = sum(c * np.exp(-a * square) for c, a in zip(HOLLOW.coefficients, HOLLOW.exponents, strict=True))
    legendre = np.polynomial.legendre.Legendre.basis(order)(t)
    factorial = float(np.prod(np.arange(1, order + 1)))
    integral = 2.0 * np.pi * factorial * (4.0 * wx * radius ** (2 + order) * probe) @ density @ (wt * legendre)
    value = functions(order, solid=True, widths=(sigma,)).overlaps(HOLLOW, np.array([distance]))[0, 0, order, 0]
    double = float(np.prod(np.arange(2 * order + 1, 0, -2)))  # (2n+1)!!
    assert value == pytest.approx(integral * 4.0 * np.pi / (2 * order + 1) * np.sqrt(double / (4 * np.pi * factorial)))


@pytest.mark.parametrize("solid", [False, True])
def test_derivatives_by_finite_differences(solid: bool) -> None:
    step = 1e-5
    r = np.linspace(0.05, 4.9, 29)
    minus, values, plus = (functions(solid=solid)(r + shift) for shift in (-step, 0.0, step))
    for order in (0, 1):
        difference = (plus[order] - minus[order]) / (2 * step)
        scale = np.abs(values[order + 1]).max(axis=0)
        assert np.all(np.abs(difference - values[order + 1]) <= 2e-8 * scale)


def test_columns_run_over_traces_then_probes_and_the_rest_is_zero() -> None:
    cartesian, solid = functions(5), functions(5, solid=True)
    values, traceless = cartesian(R), solid(R)
    assert values.shape == (3, len(R), 3, 6, 3 * 2)
    assert traceless.shape == (3, len(R), 3, 6, 2)
    np.testing.assert_allclose(values[..., :2], traceless, rtol=1e-13)
    used = np.abs(values[0]).max(axis=(0, 1)).reshape(6, 3, 2) > 0
    for degree in range(6):
        for t in range(3):
            assert used[degree, t].all() == ((degree, t) in cartesian.terms)
            assert used[degree, t].any() == (degree + 2 * t <= 5)


def test_functions_are_as_flat_at_the_origin_as_their_degree() -> None:
    near, far = functions(6).overlaps(COMPACT, np.array([1e-3, 2e-3]))[0]
    for degree, t in functions(6).terms:
        ratio = far[degree, 2 * t : 2 * t + 2] / near[degree, 2 * t : 2 * t + 2]
        np.testing.assert_allclose(ratio, 2.0**degree, rtol=1e-3)


def test_densities_add() -> None:
    both = Density(SOFT.coefficients + COMPACT.coefficients, SOFT.exponents + COMPACT.exponents)
    parts = functions().overlaps(SOFT, R) + functions().overlaps(COMPACT, R)
    np.testing.assert_allclose(functions().overlaps(both, R), parts, rtol=1e-10, atol=1e-12)
