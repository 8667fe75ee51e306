"""Solid-harmonic wavelets on the half of reciprocal space that real fields need.

    psi^_nlm(w) = (-i)^l sqrt(4 pi/(2l+1)) |w|^(2(n-1)-l) exp(-beta^2 |w|^2/2) Y_lm(w/|w|),     w in 1/A
    psi_j(u)    = 2^(-3j) psi(2^(-j) u)     <=>     psi^_j(w) = psi^(2^j w)           [1, eqs. 2.7, 2.17-2.19, 2.41]

With real Y_lm the field rho * psi is real, and the sum over m of its squares is that of the complex harmonics. The
factor (-i)^l is kept up to a sign, which no modulus sees: 1 for even l, -i for odd. |w|^(2(n-1)-l) Y_lm is a polynomial
in w, so filters are smooth in the cell.

Band: |k_i| < n_i/2, the Nyquist planes of even n_i are zero. Layout: k_1 and k_2 in FFT order, k_3 >= 0.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapter 2
"""

import math

import torch
from torch import Tensor

from rhopot.potentials.density.harmonics import real_spherical_harmonics

TYPICAL_DENSITY = 0.05  # atoms per A^3


def wave_numbers(points: int, device: torch.device) -> Tensor:
    """Return k (points,) in FFT order: 0 ... (points-1)//2, then negative ones."""
    index = torch.arange(points, device=device)
    return torch.where(index > (points - 1) // 2, index - points, index)


def dual_vectors(box: Tensor, scale: float) -> Tensor:
    """Return 2^j 2 pi inv(box) (3, 3) in 1/A: times k it is the frequency at which scale j evaluates psi^."""
    return 2.0 * math.pi * 2.0**scale * torch.linalg.inv(box)


def frequencies(dual: Tensor, points: list[int]) -> tuple[Tensor, Tensor]:
    """Return w = dual k (n1, n2, n3//2+1, 3) in 1/A, differentiable in `dual` (3, 3), and the band as 0 / 1."""
    k1 = wave_numbers(points[0], dual.device)
    k2 = wave_numbers(points[1], dual.device)
    k3 = torch.arange(points[2] // 2 + 1, device=dual.device)
    inside = (
        (2 * torch.abs(k1) < points[0])[:, None, None]
        & (2 * torch.abs(k2) < points[1])[None, :, None]
        & (2 * k3 < points[2])[None, None, :]
    )
    waves = (
        k1.to(dual.dtype)[:, None, None, None] * dual[:, 0]
        + k2.to(dual.dtype)[None, :, None, None] * dual[:, 1]
        + k3.to(dual.dtype)[None, None, :, None] * dual[:, 2]
    )
    return waves, inside.to(dual.dtype)


def wavelet_filters(dual: Tensor, points: list[int], beta: float, order: int, degree: int) -> Tensor:
    """Return psi^ at the frequencies of a grid: real (2l+1, n1, n2, n3//2+1), without the factor 1 or -i.

    This is the twin of `torch.ops.rhopot.wavelet_filters_v1`.

    Args:
        dual: (3, 3) in 1/A, from `dual_vectors`.
        points: n1, n2, n3.
        beta: width in A at scale 0.
        order, degree: n and l < n.
    """
    waves, band = frequencies(dual, points)
    square = torch.sum(waves * waves, dim=-1)
    length = torch.sqrt(torch.where(square > 0, square, torch.ones_like(square)))
    harmonics = real_spherical_harmonics(waves / length[..., None], degree)
    damping = band * torch.exp(-0.5 * beta * beta * square)
    power = 2 * (order - 1) - degree
    # 0^0 = 1: only n = 1 passes the mean of a field.
    radial = damping if power == 0 else damping * length**power * (square > 0)
    angular = harmonics[..., degree * degree : (degree + 1) * (degree + 1)].permute(3, 0, 1, 2)
    return math.sqrt(4.0 * math.pi / (2 * degree + 1)) * radial * angular


def crop_axis(spectrum: Tensor, axis: int, points: int) -> Tensor:
    """Return the frequencies |k| < points/2 of one full axis in the layout of `points`; missing ones are zero."""
    have = spectrum.shape[axis]
    if have == points:
        return spectrum
    half = (min(have, points) - 1) // 2
    parts = [spectrum.narrow(axis, 0, half + 1)]
    gap = points - 2 * half - 1
    if gap > 0:
        shape = list(spectrum.shape)
        shape[axis] = gap
        parts.append(torch.zeros(shape, dtype=spectrum.dtype, device=spectrum.device))
    if half > 0:
        parts.append(spectrum.narrow(axis, have - half, half))
    return torch.cat(parts, dim=axis)


def crop(spectrum: Tensor, have: list[int], want: list[int]) -> Tensor:
    """Return a half spectrum (..., n1, n2, n3//2+1) on the band of another grid, its Nyquist planes without meaning."""
    if have == want:
        return spectrum
    n_dim = spectrum.dim()
    half = (min(have[2], want[2]) - 1) // 2
    result = spectrum.narrow(n_dim - 1, 0, half + 1)
    result = crop_axis(crop_axis(result, n_dim - 3, want[0]), n_dim - 2, want[1])
    gap = want[2] // 2 - half
    return torch.nn.functional.pad(result, [0, gap]) if gap > 0 else result


def mean_square(order: int, degree: int, scale: float, beta: float) -> float:
    """Return the integral over space of sum_m psi_nlmj(u)^2.

    sum_m |psi^|^2 = w^(4(n-1)-2l) exp(-beta^2 w^2) at j = 0; Parseval and one Gamma function give the rest.
    """
    power = 4 * (order - 1) - 2 * degree + 3
    integral = 0.5 * math.gamma(power / 2) / beta**power
    return 2.0 ** (-3 * scale) * integral / (2 * math.pi**2)


def typical_field(order: int, degree: int, scale: float, beta: float) -> float:
    """Return the size of sigma(rho * psi) for atoms of weight 1: the unit of the modulus' rounding.

    sqrt(d int sum_m psi_m^2) is the root mean square of a gas of density d; d is a solid's, or that of one atom in the
    space of its wavelet, (2 w)^-3 with w = 2^j beta, where wavelets do not overlap.
    """
    density = TYPICAL_DENSITY + (2 * beta * 2.0**scale) ** -3
    return math.sqrt(density * mean_square(order, degree, scale, beta))


def typical_gain(order: int, degree: int, scale: float, beta: float, first_scale: float) -> float:
    """Return by how much a second wavelet multiplies a typical field.

    A modulus of scale j1 varies over w1 = 2^j1 beta: as white noise in cells of volume w1^3, it comes out of the second
    wavelet with the root mean square sqrt(w1^3 int sum_m psi_m^2).
    """
    return math.sqrt((beta * 2.0**first_scale) ** 3 * mean_square(order, degree, scale, beta))
