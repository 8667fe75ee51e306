"""Fourier sums by spreading: the direct sum to the stated tolerance, for every parity of the grid."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from rhopot.potentials.descriptors.scattering.modulus import field_coefficients_adjoint
from rhopot.potentials.descriptors.scattering.nufft import (
    fine_points,
    fourier_sums,
    sums_to_windows,
    window,
    window_transform,
    window_width,
    windows_to_sums,
)
from rhopot.potentials.descriptors.scattering.wavelets import wave_numbers


def direct_sums(fractional: Tensor, species: Tensor, points: list[int]) -> Tensor:
    k1, k2 = (wave_numbers(n, fractional.device).double() for n in points[:2])
    k3 = torch.arange(points[2] // 2 + 1).double()
    waves = torch.stack(torch.meshgrid(k1, k2, k3, indexing="ij"), dim=-1)
    phases = torch.exp(-2j * math.pi * (waves @ fractional.T))
    return torch.stack([phases[..., species == a].sum(-1) for a in range(2)])


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10, 1e-12])
@pytest.mark.parametrize("points", [[8, 9, 10], [5, 12, 7], [24, 24, 24]])
def test_sums_reach_the_tolerance(tolerance: float, points: list[int]) -> None:
    generator = torch.Generator().manual_seed(1)
    fractional = 4 * torch.rand(20, 3, generator=generator, dtype=torch.float64) - 2
    species = torch.arange(20) % 2
    found = fourier_sums(fractional, species, 2, points, window_width(tolerance))
    band = [slice(0, n) if n % 2 else [k for k in range(n) if k != n // 2] for n in points[:2]]
    truth = direct_sums(fractional, species, points)
    last = (points[2] + 1) // 2
    error = (found - truth).abs()[:, band[0]][:, :, band[1]][..., :last].max()
    assert error <= tolerance * 10
    assert error > 0


def test_window_and_its_transform() -> None:
    for width in (4, 7, 13):
        for frequency in (0.0, 0.7, math.pi / 2):
            exact, _ = quad(
                lambda t, f=frequency, w=width: (
                    float(window(torch.tensor(t, dtype=torch.float64), w)) * math.cos(f * t)
                ),
                -width / 2,
                width / 2,
                epsabs=1e-12,
            )
            value = window_transform(torch.tensor(frequency, dtype=torch.float64), width)
            assert float(value) == pytest.approx(exact, rel=1e-8)


def test_sums_do_not_see_whole_translations_and_are_differentiable() -> None:
    fractional = torch.from_numpy(np.random.default_rng(3).random((3, 3))).requires_grad_()
    species = torch.tensor([0, 1, 0])
    shifted = fractional.detach() + torch.tensor([[1.0, -2.0, 0.0]])
    torch.testing.assert_close(
        fourier_sums(shifted, species, 2, [6, 6, 6], 13), fourier_sums(fractional.detach(), species, 2, [6, 6, 6], 13)
    )
    assert torch.autograd.gradcheck(lambda x: fourier_sums(x, species, 2, [4, 5, 6], 8).abs(), (fractional,), atol=1e-6)


@pytest.mark.parametrize("points", [[8, 9, 10], [5, 12, 7], [6, 6, 6]])
def test_derivatives_by_windows_are_those_of_autograd(points: list[int]) -> None:
    """One real transform in the place of autograd's complex one, for every parity of the grid."""
    generator = torch.Generator().manual_seed(4)
    windows = torch.rand([2, *fine_points(points)], generator=generator, dtype=torch.float64, requires_grad=True)
    sums = windows_to_sums(windows, points, 13)
    derivatives = torch.randn(sums.shape, generator=generator, dtype=torch.complex128)
    derivatives[..., (points[2] + 1) // 2 :] = 0.0  # Nyquist planes mean nothing
    expected = torch.autograd.grad(sums, windows, derivatives)[0]
    torch.testing.assert_close(sums_to_windows(derivatives, points, 13), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("points", [[8, 9, 10], [5, 12, 7]])
def test_derivatives_by_a_field_are_those_of_autograd(points: list[int]) -> None:
    generator = torch.Generator().manual_seed(5)
    field = torch.rand([3, *points], generator=generator, dtype=torch.float64, requires_grad=True)
    spectrum = torch.fft.rfftn(field, dim=(1, 2, 3), norm="forward")
    derivatives = torch.randn(spectrum.shape, generator=generator, dtype=torch.complex128)
    expected = torch.autograd.grad(spectrum, field, derivatives)[0]
    torch.testing.assert_close(field_coefficients_adjoint(derivatives, points), expected, rtol=1e-12, atol=1e-14)
