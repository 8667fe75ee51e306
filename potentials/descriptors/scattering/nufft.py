"""Fourier sums of point atoms without the sum: spreading on a finer grid, FFT, deconvolution.

    D_a(k) = sum_(atoms of species a) exp(-2 pi i k . x),    x: fractional coordinates,    |k_i| < n_i/2

A sum over atoms costs O(N n1 n2 n3). Instead every atom is spread with a Kaiser-Bessel window phi of w points per axis
on a grid m_i >= 2 n_i, and the FFT of that grid is divided by the window's transform:

    D_a(k) ~ sum_g e^(-2 pi i k.g/m) sum_atoms prod_i phi(m_i x_i - g_i) / prod_i phi^(2 pi k_i / m_i)
    phi(t)   = (I_0(b sqrt(1 - (2t/w)^2)) - 1) / I_0(b)          |t| < w/2
    phi^(xi) = w (sinh(r) / r - sin(w xi/2) / (w xi/2)) / I_0(b),   r = sqrt(b^2 - (w xi/2)^2)

With b = 3 pi w/4, the first alias of a frequency of the band (|xi| <= pi/2) starts where phi^ stops decaying; the error
relative to the number of atoms is about exp(-2.22 w) [2]. The 1 that is taken off makes phi continuous: atoms of a
crystal lie exactly where windows end, and a step there would be one of the energy. Only x enters: the sums do not
change when cell and atoms are strained together. Derivatives are those of the spread sums themselves.

Cost: O(N w^3 + A m log m). Memory: w^3 numbers per atom.

[2] J. A. Fessler, B. P. Sutton, IEEE Trans. Signal Process. 51, 560 (2003), doi:10.1109/TSP.2002.807005
"""

import math

import torch
from torch import Tensor

from rhopot.potentials.descriptors.scattering.wavelets import crop_axis, wave_numbers


def window_width(tolerance: float) -> int:
    """Return the points w per axis that reach `tolerance` (relative to the number of atoms), at least 4."""
    return max(4, math.ceil(-math.log(tolerance) / 2.22) + 2)


def shape_parameter(width: int) -> float:
    """Return b of the Kaiser-Bessel window of `width` points on a grid at least twice as fine."""
    return 0.75 * math.pi * width


def window(distance: Tensor, width: int) -> Tensor:
    """Return phi at `distance` (in grid points), zero from width/2 on."""
    shape = shape_parameter(width)
    square = 1.0 - (2.0 * distance / width) ** 2
    inside = square > 0
    root = torch.sqrt(torch.where(inside, square, torch.ones_like(square)))
    # i0e(x) = exp(-x) i0(x): quotients without overflow.
    scale = torch.special.i0e(torch.full_like(root, shape))
    value = (torch.special.i0e(shape * root) * torch.exp(shape * (root - 1.0)) - math.exp(-shape)) / scale
    return torch.where(inside, value, torch.zeros_like(value))


def window_transform(frequency: Tensor, width: int) -> Tensor:
    """Return phi^ at `frequency` (radians per grid point), for |frequency| <= pi/2."""
    shape = shape_parameter(width)
    phase = 0.5 * width * frequency
    root = torch.sqrt(shape * shape - phase * phase)
    scale = torch.special.i0e(torch.full_like(root, shape))
    edge = math.exp(-shape) * torch.sinc(phase / math.pi)
    return width * ((torch.exp(root - shape) - torch.exp(-root - shape)) / (2.0 * root) - edge) / scale


def spread(fractional: Tensor, species: Tensor, n_species: int, points: list[int], width: int) -> Tensor:
    """Return the windows of all atoms summed on a grid, per species.

    Args:
        fractional: (N, 3), any real numbers.
        species: (N,) int64.
        n_species: A.
        points: m1, m2, m3.
        width: w of the window.

    Returns:
        (A, m1, m2, m3), differentiable in `fractional`.
    """
    axes: list[Tensor] = []
    places: list[Tensor] = []
    offset = torch.arange(width, device=fractional.device)
    for axis in range(3):
        position = fractional[:, axis] * points[axis]
        first = torch.ceil(position.detach() - 0.5 * width)
        distance = (first - position)[:, None] + offset.to(fractional.dtype)
        axes.append(window(distance, width))
        places.append(torch.remainder(first.to(torch.int64)[:, None] + offset, points[axis]))
    values = axes[0][:, :, None, None] * axes[1][:, None, :, None] * axes[2][:, None, None, :]
    rows = species[:, None] * points[0] + places[0]
    index = (rows[:, :, None, None] * points[1] + places[1][:, None, :, None]) * points[2] + places[2][:, None, None, :]
    total = n_species * points[0] * points[1] * points[2]
    grid = torch.zeros(total, dtype=fractional.dtype, device=fractional.device)
    return grid.index_add(0, index.reshape(-1), values.reshape(-1)).reshape(n_species, points[0], points[1], points[2])


def fine_points(points: list[int]) -> list[int]:
    """Return the spreading grid of a band: the even number 2 n per axis, as fast as n."""
    return [2 * points[0], 2 * points[1], 2 * points[2]]


def fourier_sums(fractional: Tensor, species: Tensor, n_species: int, points: list[int], width: int) -> Tensor:
    """Return D (A, n1, n2, n3//2+1), complex, for the band of `points`; arguments as in `spread`."""
    return windows_to_sums(spread(fractional, species, n_species, fine_points(points), width), points, width)


def windows_to_sums(windows: Tensor, points: list[int], width: int) -> Tensor:
    """Return D (A, n1, n2, n3//2+1) from windows (A, m1, m2, m3) spread on `fine_points(points)`.

    Axis by axis: each transform leaves half of the frequencies to the next.
    """
    sums = torch.fft.rfft(windows, dim=3)[..., : points[2] // 2 + 1]
    sums = crop_axis(torch.fft.fft(sums, dim=2), 2, points[1])
    sums = crop_axis(torch.fft.fft(sums, dim=1), 1, points[0])
    for axis in range(3):
        sums = sums * _deconvolution(axis, points, width, windows)
    return sums


def sums_to_windows(gradients: Tensor, points: list[int], width: int) -> Tensor:
    """Return dE/d windows (A, m1, m2, m3) from dE/dD: the adjoint of `windows_to_sums`.

    Autograd's adjoint of a real transform is a complex one of the whole grid; a real one does.
    """
    for axis in range(3):
        gradients = gradients * _deconvolution(axis, points, width, gradients.real)
    fine = fine_points(points)
    gradients = torch.fft.ifft(crop_axis(gradients, 1, fine[0]), dim=1, norm="forward")
    gradients = torch.fft.ifft(crop_axis(gradients, 2, fine[1]), dim=2, norm="forward")
    return torch.fft.irfft(halved(gradients, fine[2]), n=fine[2], dim=3, norm="forward")


def halved(gradients: Tensor, points: int) -> Tensor:
    """Return (..., n3//2+1) with all planes halved that stand for k_3 and -k_3.

    A real inverse transform counts them twice, a derivative by their values once.
    """
    halves = torch.full([gradients.shape[-1]], 0.5, dtype=gradients.real.dtype, device=gradients.device)
    halves[0] = 1.0
    if points % 2 == 0 and gradients.shape[-1] == points // 2 + 1:
        halves[-1] = 1.0
    return gradients * halves


def _deconvolution(axis: int, points: list[int], width: int, like: Tensor) -> Tensor:
    """Return one over the window's transform, shaped to multiply sums (A, n1, n2, n3//2+1) along an axis."""
    if axis < 2:
        waves = wave_numbers(points[axis], like.device)
    else:
        waves = torch.arange(points[2] // 2 + 1, device=like.device)
    frequency = 2.0 * math.pi / fine_points(points)[axis] * waves.to(like.dtype)
    shape = [1, 1, 1, 1]
    shape[axis + 1] = -1
    return (1.0 / window_transform(frequency, width)).reshape(shape)
