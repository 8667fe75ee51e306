"""Radial functions: orthonormal bases, integrals against brute force and closed form, cutoff, scaling, derivatives."""

import mpmath
import numpy as np
import pytest
import torch

from rhopot.potentials.density.basis import DvrBasis, GtoBasis
from rhopot.potentials.density.bessel import scaled_bessel
from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.density.radial import RadialFunctions, contract
from rhopot.potentials.density.scaling import WillattScaling

CUTOFF = 5.0
NO_CUTOFF = CutoffFunction("step", CUTOFF, CUTOFF)


def derivatives(function, r: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Return the fourth-order central difference of `function`'s values and first derivatives, (2, R, ...)."""
    near, far = function(r + step)[:2] - function(r - step)[:2], function(r + 2 * step)[:2] - function(r - 2 * step)[:2]
    return (8.0 * near - far) / (12.0 * step)


@pytest.mark.parametrize(("size", "tolerance"), [(1, 1e-13), (4, 1e-13), (8, 1e-12), (12, 1e-11), (20, 1e-8)])
def test_gto_are_orthonormal(size: int, tolerance: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 20.0 * (nodes + 1.0), 20.0 * weights
    values = GtoBasis(size, CUTOFF)(x)[0]
    np.testing.assert_allclose(np.einsum("x,xn,xm->nm", weights * x**2, values, values), np.eye(size), atol=tolerance)
    np.testing.assert_allclose(GtoBasis(size, CUTOFF).values(x), values, rtol=1e-10, atol=1e-12)


def test_gto_span_their_primitives() -> None:
    x = np.linspace(0.1, 8.0, 60)
    values = GtoBasis(5, CUTOFF)(x)[0]
    for n in range(5):
        primitive = x**n * np.exp(-(x**2) / (2 * max(n, 1) * (CUTOFF / 5) ** 2))
        fit = np.linalg.lstsq(values, primitive, rcond=None)[0]
        np.testing.assert_allclose(values @ fit, primitive, atol=1e-10 * primitive.max())


def test_dvr_is_orthonormal_under_its_own_quadrature() -> None:
    basis = DvrBasis(7, 6.0)
    weights = 3.0 * np.polynomial.legendre.leggauss(7)[1]
    values = basis(basis.points)[0]
    overlap = np.einsum("x,xn,xm->nm", weights * basis.points**2, values, values)
    np.testing.assert_allclose(overlap, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(basis(basis.points)[0], np.diag(1.0 / basis.root_weights), atol=1e-12)


@pytest.mark.parametrize("basis", [GtoBasis(6, CUTOFF), DvrBasis(6, 6.5)], ids=["gto", "dvr"])
def test_basis_derivatives_by_finite_differences(basis: GtoBasis | DvrBasis) -> None:
    r = np.linspace(0.3, 4.8, 25)
    exact, numeric = basis(r)[1:], derivatives(basis, r)
    np.testing.assert_allclose(numeric, exact, atol=1e-8 * np.abs(exact).max())


@pytest.mark.parametrize("argument", [0.0, 1e-12, 1e-9, 1e-5, 0.3, 4.0, 60.0, 900.0, 20000.0])
def test_scaled_bessel_equals_arbitrary_precision(argument: float) -> None:
    values = scaled_bessel(np.array([argument]), 14)[:, 0]
    with mpmath.workdps(40):
        for degree in range(15):
            if argument == 0.0:
                exact = float(degree == 0)
            else:
                z = mpmath.mpf(argument)
                exact = float(
                    mpmath.besseli(degree + mpmath.mpf(1) / 2, z) * mpmath.sqrt(mpmath.pi / (2 * z)) * mpmath.exp(-z)
                )
            assert values[degree] == pytest.approx(exact, rel=2e-12, abs=1e-300)


@pytest.mark.parametrize("distance", [0.4, 2.3, 4.6])
def test_integrals_equal_brute_force_in_space(distance: float) -> None:
    """int d3x R_n(x) Y_lm(x) g(x - r) on a product grid over all space equals R_nl(r) Y_lm(r), every m."""
    l_max, sigma = 4, 0.6
    radial_nodes, radial_weights = np.polynomial.legendre.leggauss(70)
    x, wx = 5.5 * (radial_nodes + 1.0), 5.5 * radial_weights
    z, wz = np.polynomial.legendre.leggauss(80)
    n_phi = 80
    phi = 2.0 * np.pi * np.arange(n_phi) / n_phi
    planar = np.sqrt(1.0 - z**2)[:, None]
    unit = np.stack(np.broadcast_arrays(planar * np.cos(phi), planar * np.sin(phi), z[:, None]), axis=-1)
    harmonics = real_spherical_harmonics(torch.from_numpy(unit.copy()), l_max).numpy()
    direction = np.array([2.0, -3.0, 6.0]) / 7.0
    square = np.sum((x[:, None, None, None] * unit - distance * direction) ** 2, axis=-1)
    density = np.exp(-0.5 * square / sigma**2) / (np.pi * sigma**2) ** 0.75
    angular = np.einsum("xzp,zpk,z->xk", density, harmonics, wz * 2.0 * np.pi / n_phi)
    basis = GtoBasis(4, CUTOFF)
    brute = np.einsum("x,xn,xk->nk", wx * x**2, basis(x)[0], angular)
    functions = RadialFunctions(basis, l_max, sigma, NO_CUTOFF)(np.array([distance]))[0, 0]
    expected_harmonics = real_spherical_harmonics(torch.from_numpy(direction), l_max).numpy()
    degrees = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)
    np.testing.assert_allclose(functions[degrees].T * expected_harmonics, brute, atol=2e-10)


@pytest.mark.parametrize("sigma", [0.15, 0.5, 1.2])
@pytest.mark.parametrize("distance", [0.0, 0.03, 1.7, 7.9])
def test_integrals_equal_the_closed_form(sigma: float, distance: float) -> None:
    """Confluent hypergeometric form of int x^2 x^n exp(-x^2/2s_n^2) g_l dx, to l = 12, in arbitrary precision."""
    basis, l_max = GtoBasis(6, 8.0), 12
    values = RadialFunctions(basis, l_max, sigma, CutoffFunction("step", 8.0, 8.0))(np.array([distance]))[0, 0]
    expected = np.zeros((l_max + 1, 6))
    with mpmath.workdps(40):
        r, c = mpmath.mpf(distance), 1 / (2 * mpmath.mpf(sigma) ** 2)
        norm = 4 * mpmath.pi * (mpmath.pi * mpmath.mpf(sigma) ** 2) ** mpmath.mpf(-0.75)
        for degree in range(l_max + 1):
            for n in range(6):
                a = c + 1 / (2 * mpmath.mpf(float(basis.variances[n])))
                top, bottom = mpmath.mpf(n + degree + 3) / 2, degree + mpmath.mpf(3) / 2
                kernel = mpmath.hyp1f1(top, bottom, (c * r) ** 2 / a) * mpmath.exp(-c * r**2)
                factor = mpmath.sqrt(mpmath.pi) / 4 * mpmath.gamma(top) / mpmath.gamma(bottom) * a**-top
                primitive = float(norm * factor * (c * r) ** degree * kernel / mpmath.mpf(8) ** n)
                expected[degree] += basis.coefficients[:, n].astype(float) * primitive
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_dvr_integrals_are_values_at_the_points() -> None:
    """With many points the DVR approximates R_nl; its sum over channels then gives the density's norm, as the GTO's."""
    r = np.array([1.3, 2.8])
    squares = [
        (RadialFunctions(basis, 2, 0.5, NO_CUTOFF)(r)[0] ** 2).sum(axis=-1)
        for basis in (DvrBasis(24, 8.0), DvrBasis(32, 8.0), GtoBasis(24, CUTOFF))
    ]
    np.testing.assert_allclose(squares[0], squares[1], rtol=1e-4)
    np.testing.assert_allclose(squares[2], squares[1], rtol=1e-3)


@pytest.mark.parametrize("width", [0.4, None], ids=["gaussian", "delta"])
@pytest.mark.parametrize("scaling", [None, WillattScaling(rate=1.5, scale=2.0, exponent=3)], ids=["plain", "scaled"])
@pytest.mark.parametrize("basis", [GtoBasis(5, CUTOFF), DvrBasis(5, 6.2)], ids=["gto", "dvr"])
def test_derivatives_by_finite_differences(basis: GtoBasis | DvrBasis, scaling: WillattScaling, width: float) -> None:
    functions = RadialFunctions(basis, 4, width, CutoffFunction("quintic", CUTOFF, 1.5), scaling)
    r = np.linspace(0.2, 4.9, 31)
    exact, numeric = functions(r)[1:], derivatives(functions, r)
    np.testing.assert_allclose(numeric, exact, atol=2e-8 * np.abs(exact).max())


@pytest.mark.parametrize("kind", ["quintic", "shifted_cosine"])
def test_cutoff_functions(kind: str) -> None:
    function = CutoffFunction(kind, CUTOFF, 1.2)  # type: ignore[arg-type]
    values = function(np.array([0.0, 3.8, 4.4, 4.999999, 5.0, 6.0]))
    np.testing.assert_allclose(values[0], [1.0, 1.0, 0.5, 0.0, 0.0, 0.0], atol=1e-11)
    np.testing.assert_allclose(values[1][[0, 1, 3, 4, 5]], 0.0, atol=1e-5)
    assert values[1][2] < -0.5
    inside = np.linspace(3.81, 4.99, 20)
    np.testing.assert_allclose(derivatives(function, inside, 1e-3), function(inside)[1:], atol=1e-8)
    curvature_at_the_end = function(np.array([CUTOFF - 1e-7]))[2, 0]
    assert (abs(curvature_at_the_end) < 1e-4) == (function.continuity == 2)


def test_descriptions_name_the_smoothness() -> None:
    descriptions = {kind: CutoffFunction(kind, 5.0, 0.5).describe() for kind in ("quintic", "shifted_cosine", "step")}
    assert "C2" in descriptions["quintic"]
    assert "C1 only" in descriptions["shifted_cosine"]
    assert "jump" in descriptions["step"]


@pytest.mark.parametrize("exponent", [0, 1, 2, 7])
def test_scaling(exponent: int) -> None:
    scaling = WillattScaling(rate=2.0, scale=1.5, exponent=exponent)
    r = np.linspace(0.1, 6.0, 30)
    np.testing.assert_allclose(scaling(r)[0], 2.0 / (2.0 + (r / 1.5) ** exponent), rtol=1e-14)
    np.testing.assert_allclose(derivatives(scaling, r), scaling(r)[1:], atol=1e-9)


def test_contraction_sums_primitives() -> None:
    rng = np.random.default_rng(0)
    values, coupling = rng.standard_normal((3, 4, 2, 5)), rng.standard_normal((2, 3, 2, 5))
    result = contract(values, coupling)
    assert result.shape == (3, 4, 2, 2, 3)
    expected = sum(coupling[1, 2, 0, n] * values[2, 3, 1, n] for n in range(5))
    assert result[2, 3, 0, 1, 2] == pytest.approx(expected, rel=1e-13)
