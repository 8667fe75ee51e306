"""Special modulus and integrals of powers, with derivatives everywhere.

    sigma(f)(u) = sqrt(sum_m f_m(u)^2 + eps^2) - eps = s / (sqrt(s + eps^2) + eps),    s = sum_m f_m^2     [1, eq. 2.11]

For eps = 0 this is the published modulus, with slope zero where it vanishes: a cone, so features have kinks wherever a
field changes sign. eps > 0 rounds it, which does three things. In a perfect crystal the fields of waves that symmetry
forbids are zero everywhere: a displacement moves them off the tip of the cone, or the noise of the arithmetic does, and
forces there mean nothing without rounding. Energies of sums over grid points become smooth along a trajectory. And a
rounded modulus is nearly limited in band, so sums over grid points converge: coarse against full grids, translations
below a grid point, other cells of one crystal. eps is `regularization` times `wavelets.typical_field`.

    I_q = V/M sum_(M grid points) sigma^q                                                                [1, eq. 2.23]

[1] P. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2024), chapter 2
"""

import torch
from torch import Tensor


def special_modulus(fields: Tensor, floor: Tensor) -> Tensor:
    """Return sigma (C, n1, n2, n3) of real fields (C, 2l+1, n1, n2, n3) with eps = `floor` (C,)."""
    square = torch.sum(fields * fields, dim=1)
    epsilon = floor[:, None, None, None]
    radicand = square + epsilon * epsilon
    root = torch.sqrt(torch.where(radicand > 0, radicand, torch.ones_like(radicand)))
    return square / (root + epsilon)


def power_integrals(modulus: Tensor, powers: list[float], voxel: Tensor) -> Tensor:
    """Return the integrals (C, Q) over the cell of modulus^q, for (C, n1, n2, n3) >= 0 and a voxel's volume (A^3)."""
    flat = modulus.reshape(modulus.shape[0], -1)
    sums: list[Tensor] = []
    for power in powers:
        if power == 1.0:
            sums.append(torch.sum(flat, dim=1))
        elif power == 2.0:
            sums.append(torch.sum(flat * flat, dim=1))
        else:
            sums.append(torch.sum(flat**power, dim=1))
    return torch.stack(sums, dim=1) * voxel
