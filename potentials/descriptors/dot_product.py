"""The dot-product kernel of normalised power spectra.

    k(i, s) = (p_i . p_s / (|p_i| |p_s|))^zeta                                             [1, eq. 36; 2, ch. 1]

Features are divided by their norm once (`unit_rows`), so that kernels are matrix products followed by an integer power.
A centre without any density (p = 0) has the kernel zero with every point.

[1] A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115
[2] A. J. Goscinski, PhD thesis, EPFL (2023)
"""

import torch
from torch import Tensor


def unit_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows of `features` (C, F) divided by their norms, and 1 / norms (C); a zero row gives zeros."""
    square = (features * features).sum(dim=1)
    empty = square == 0
    inverse = torch.rsqrt(torch.where(empty, torch.ones_like(square), square))
    inverse = torch.where(empty, torch.zeros_like(inverse), inverse)
    return features * inverse[:, None], inverse


def integer_power(base: Tensor, exponent: int) -> Tensor:
    """Return base^exponent for exponent >= 0 by repeated squaring (smooth everywhere, negative bases included)."""
    result = torch.ones_like(base)
    factor = base
    first = True
    remaining = exponent
    while remaining > 0:
        if remaining % 2 == 1:
            result = factor if first else result * factor
            first = False
        remaining = remaining // 2
        if remaining > 0:
            factor = factor * factor
    return result


def dot_product_kernel(units: Tensor, points: Tensor, zeta: int) -> Tensor:
    """Return k (C, M) between normalised features (C, F) and normalised sparse points (M, F)."""
    return integer_power(torch.matmul(units, points.t()), zeta)


def sparse_read_out(
    features: Tensor,
    centre_species: Tensor,
    points: Tensor,
    first_point: list[int],
    weights: Tensor,
    zeta: int,
    members: bool,
) -> Tensor:
    """Return energies e[i, k] = sum_s k(i, s) weights[s, k] over the sparse points of each centre's own species.

    Args:
        features: (C, F), not normalised.
        centre_species: (C).
        points: (M, F) normalised sparse points, sorted by species.
        first_point: (A + 1) offsets: species a has the points first_point[a] ... first_point[a+1] - 1.
        weights: (M, 1 + K).
        zeta: power of the kernel.
        members: False keeps column 0 alone.

    Returns:
        (C, 1 + K), or (C, 1) without members.
    """
    units = unit_rows(features)[0]
    used = weights if members else weights[:, :1]
    energies = torch.zeros([features.shape[0], used.shape[1]], dtype=features.dtype, device=features.device)
    for a in range(len(first_point) - 1):
        begin, end = first_point[a], first_point[a + 1]
        rows = torch.nonzero(centre_species == a).flatten()
        if end > begin:
            kernel = dot_product_kernel(units.index_select(0, rows), points[begin:end], zeta)
            energies = energies.index_add(0, rows, torch.matmul(kernel, used[begin:end]))
    return energies
