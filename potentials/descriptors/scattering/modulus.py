"""From spectra to integrals: fields of a wavelet, their special modulus, sums of its powers; derivatives everywhere.

    f_sm(u)     = sum_k psi^_m(k) rho^_s(k) exp(i k.u),    g_cm = sum_s w_cs f_sm

    sigma_c(u)  = sqrt(sum_m g_cm(u)^2 + eps^2) - eps = s / (sqrt(s + eps^2) + eps),    s = sum_m g_cm^2   [1, eq. 2.11]
    I_q         = V/M sum_(M grid points) sigma^q                                                       [1, eq. 2.23]

For eps = 0 this is the published modulus, with zero gradient where it vanishes: a cone, so features have kinks where a
field changes sign. eps > 0 rounds it, which does three things. In a perfect crystal the fields of waves that symmetry
forbids are zero everywhere: a displacement moves them off the tip of the cone, or the noise of the arithmetic does, and
forces there mean nothing without rounding. Energies of sums over grid points become smooth along a trajectory. And a
rounded modulus is nearly limited in band, so sums over grid points converge: coarse against full grids, translations
below a grid point, other cells of one crystal. eps is `regularization` times `wavelets.typical_field`.

Compiled operators do this, `torch.ops.rhopot.*_v1` (see `operators`). Here are their twins in plain
PyTorch, with the same names and argument lists: they define the truth, run on any device and differentiate to any
order; the operators differentiate once.

    spectrum  (S, h1, h2, h3//2+1) complex128, half spectra on a grid of `have` = [h1, h2, h3] points
    filtered  (M, p1, p2, p3//2+1) a wavelet on its own grid of `points`, without the factor -i of `odd` degrees
    weights   (C, S) of the spectra in each channel
    floor     (C,) eps, one per channel
    rows      which spectra are channels, R of them

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapter 2
"""

import torch
from torch import Tensor

from rhopot.potentials.descriptors.scattering.nufft import halved
from rhopot.potentials.descriptors.scattering.wavelets import crop


def wavelet_modulus(
    spectrum: Tensor, have: list[int], filtered: Tensor, points: list[int], odd: bool, weights: Tensor, floor: Tensor
) -> Tensor:
    """Return sigma (C, p1, p2, p3) of channels that weigh the spectra's fields."""
    fields = real_fields(spectrum, have, filtered, points, odd)
    return special_modulus(torch.tensordot(weights, fields, dims=1), floor)


def wavelet_power_sums(
    spectrum: Tensor,
    have: list[int],
    filtered: Tensor,
    points: list[int],
    odd: bool,
    rows: list[int],
    floor: Tensor,
    powers: list[float],
) -> Tensor:
    """Return sums (R, Q) over grid points of sigma^q, one row for each of `rows` of the spectra."""
    chosen = torch.index_select(spectrum, 0, torch.tensor(rows, dtype=torch.int64, device=spectrum.device))
    return power_sums(special_modulus(real_fields(chosen, have, filtered, points, odd), floor), powers)


def field_coefficients(fields: Tensor) -> Tensor:
    """Return the Fourier coefficients (C, n1, n2, n3//2+1) of real fields (C, n1, n2, n3).

    The operator leaves zeros where 2 k_3 = n_3, which is in no wavelet's band.
    """
    return torch.fft.rfftn(fields, dim=(1, 2, 3), norm="forward")


def field_coefficients_adjoint(by_coefficients: Tensor, points: list[int]) -> Tensor:
    """Return dE/d fields (C, n1, n2, n3) from dE/d their Fourier coefficients.

    Autograd's own way is a complex transform of the whole grid, padded with zeros.
    """
    return torch.fft.irfftn(halved(by_coefficients, points[2]), s=points, dim=(1, 2, 3))


def power_sums(modulus: Tensor, powers: list[float]) -> Tensor:
    """Return sums (C, Q) of modulus^q over the points of each (C, ...) >= 0."""
    flat = modulus.reshape(modulus.shape[0], -1)
    return torch.stack([torch.sum(flat if power == 1.0 else flat**power, dim=1) for power in powers], dim=1)


def real_fields(spectrum: Tensor, have: list[int], filtered: Tensor, points: list[int], odd: bool) -> Tensor:
    """Return the fields (S, M, p1, p2, p3) of a wavelet."""
    chosen = crop(spectrum, have, points)
    # The factor -i of odd degrees makes the field real.
    turned = torch.complex(chosen.imag, -chosen.real) if odd else chosen
    return torch.fft.irfftn(turned[:, None] * filtered, s=points, dim=(2, 3, 4), norm="forward")


def special_modulus(fields: Tensor, floor: Tensor) -> Tensor:
    """Return sigma (C, p1, p2, p3) of real fields (C, M, p1, p2, p3) with eps = `floor` (C,)."""
    square = torch.sum(fields * fields, dim=1)
    epsilon = floor[:, None, None, None]
    radicand = square + epsilon * epsilon
    root = torch.sqrt(torch.where(radicand > 0, radicand, torch.ones_like(radicand)))
    return square / (root + epsilon)
