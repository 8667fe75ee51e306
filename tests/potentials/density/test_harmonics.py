"""Real spherical harmonics against SciPy's complex ones, against their orthonormality, and at the poles."""

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch.testing import assert_close

from rhopot.potentials.density.harmonics import angular_index, real_spherical_harmonics

L_MAX = 12


def directions(n: int, seed: int = 0) -> torch.Tensor:
    vectors = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


def from_scipy(unit: torch.Tensor, degree: int, m: int) -> np.ndarray:
    """Return Y_lm built of SciPy's complex harmonics, whose Condon-Shortley phase (-1)^m is taken out."""
    x, y, z = unit.numpy().T
    complex_harmonic = (-1.0) ** m * sph_harm_y(degree, abs(m), np.arccos(z), np.arctan2(y, x))
    if m == 0:
        return complex_harmonic.real
    return np.sqrt(2.0) * (complex_harmonic.real if m > 0 else complex_harmonic.imag)


@pytest.mark.parametrize("degree", range(L_MAX + 1))
def test_equal_scipy(degree: int) -> None:
    unit = directions(40)
    values = real_spherical_harmonics(unit, L_MAX).numpy()
    for m in range(-degree, degree + 1):
        expected = from_scipy(unit, degree, m)
        np.testing.assert_allclose(values[:, degree * degree + degree + m], expected, rtol=0, atol=2e-14)


def test_first_degree_reads_y_z_x() -> None:
    unit = directions(5)
    expected = np.sqrt(3.0 / (4.0 * np.pi)) * unit[:, [1, 2, 0]]
    assert_close(real_spherical_harmonics(unit, 1)[:, 1:], expected, rtol=1e-14, atol=1e-15)


def test_orthonormal_on_the_sphere() -> None:
    z, weight = np.polynomial.legendre.leggauss(L_MAX + 1)  # exact for polynomials of degree 2 l_max
    n_phi = 2 * L_MAX + 1
    phi = 2.0 * np.pi * np.arange(n_phi) / n_phi
    planar = np.sqrt(1.0 - z**2)[:, None]
    grid = np.stack(np.broadcast_arrays(planar * np.cos(phi), planar * np.sin(phi), z[:, None]), axis=-1)
    values = real_spherical_harmonics(torch.from_numpy(grid.copy()), L_MAX).numpy()
    overlap = np.einsum("z,zpa,zpb->ab", weight * 2.0 * np.pi / n_phi, values, values)
    np.testing.assert_allclose(overlap, np.eye((L_MAX + 1) ** 2), atol=1e-13)


def test_addition_theorem() -> None:
    one, two = (real_spherical_harmonics(directions(20, seed), L_MAX) for seed in (1, 2))
    cosine = (directions(20, 1) * directions(20, 2)).sum(dim=1).numpy()
    for degree in range(L_MAX + 1):
        rows = slice(degree**2, (degree + 1) ** 2)
        expected = (2 * degree + 1) / (4 * np.pi) * np.polynomial.legendre.Legendre.basis(degree)(cosine)
        np.testing.assert_allclose((one[:, rows] * two[:, rows]).sum(dim=1).numpy(), expected, atol=1e-13)


def test_derivatives_of_every_order_are_finite_at_the_poles() -> None:
    unit = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    quantity = real_spherical_harmonics(unit, 5)[:, 1:]
    weights = torch.linspace(-1.0, 1.0, quantity.shape[1], dtype=torch.float64)
    value = (quantity * weights).sum()
    for _ in range(3):
        (derivative,) = torch.autograd.grad(value, unit, create_graph=True)
        assert bool(torch.isfinite(derivative).all())
        assert float(derivative.detach().abs().max()) > 0.1
        value = (derivative**2).sum()


def test_derivatives_by_finite_differences() -> None:
    unit = directions(2).requires_grad_(True)
    torch.autograd.gradcheck(lambda u: real_spherical_harmonics(u, 4), (unit,), fast_mode=False)
    torch.autograd.gradgradcheck(lambda u: real_spherical_harmonics(u, 4), (unit,), fast_mode=False)


def test_angular_index_repeats_each_degree() -> None:
    assert angular_index(2) == [0, 1, 1, 1, 2, 2, 2, 2, 2]
