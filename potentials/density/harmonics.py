"""Real spherical harmonics by recurrence on unit vectors.

    Y_lm(u) = N_lm Q_l^|m|(z) * { sqrt(2) S_|m|(x, y)  m < 0
                                { 1                    m = 0          u = (x, y, z), |u| = 1
                                { sqrt(2) C_m(x, y)    m > 0

    C_m + i S_m = (x + i y)^m                         C_m = x C_{m-1} - y S_{m-1},  S_m = x S_{m-1} + y C_{m-1}
    N_lm        = sqrt((2 l + 1) / (4 pi) (l - m)! / (l + m)!)
    Q_l^m(z)    = P_l^m(z) / (1 - z^2)^(m/2)          without the Condon-Shortley phase

The factor (1 - z^2)^(m/2) of the associated Legendre function goes into C_m and S_m, where it turns the trigonometric
functions of the azimuth into polynomials. So Y is a polynomial in x, y, z: every derivative exists everywhere, the
poles included, and no angle is ever formed. The recurrence used is that of the *normalised* functions
q_lm = N_lm Q_l^m, which neither overflows nor loses digits:

    q_00 = 1 / sqrt(4 pi),      q_mm = sqrt((2 m + 1) / (2 m)) q_{m-1,m-1},      q_{m+1,m} = sqrt(2 m + 3) z q_mm,
    q_lm = a_lm (z q_{l-1,m} - q_{l-2,m} / a_{l-1,m}),      a_lm = sqrt((4 l^2 - 1) / (l^2 - m^2))

Normalisation: the integral of Y_lm^2 over the sphere is 1. Order: index l*l + l + m, so l = 1 reads (y, z, x).

In : unit vectors (..., 3), dimensionless, any float type, any device
Out: (..., (l_max+1)^2)
Cost: O((l_max+1)^2) per vector.

Reference: H. Dachsel, Chem. Phys. Lett. 270, 1 (1997), doi:10.1016/S0009-2614(97)00344-0 (recurrences free of poles).
"""

import math

import torch
from torch import Tensor


def angular_index(l_max: int) -> list[int]:
    """Return the l of every row of the (l_max+1)^2 angular index lm = l*l + l + m."""
    index: list[int] = []
    for degree in range(l_max + 1):
        for _ in range(2 * degree + 1):
            index.append(degree)
    return index


def azimuthal_polynomials(x: Tensor, y: Tensor, l_max: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return C_m and S_m, m = 0 ... l_max: real and imaginary parts of (x + i y)^m, each of the shape of `x`."""
    cosine: list[Tensor] = [torch.ones_like(x)]
    sine: list[Tensor] = [torch.zeros_like(x)]
    for m in range(1, l_max + 1):
        cosine.append(x * cosine[m - 1] - y * sine[m - 1])
        sine.append(x * sine[m - 1] + y * cosine[m - 1])
    return cosine, sine


def polar_polynomials(z: Tensor, order: int, l_max: int) -> list[Tensor]:
    """Return q_lm(z) = N_lm Q_l^m(z) for m = `order` and l = order ... l_max, each of the shape of `z`."""
    start = math.sqrt(1.0 / (4.0 * math.pi))
    for k in range(1, order + 1):
        start = start * math.sqrt((2.0 * k + 1.0) / (2.0 * k))
    values: list[Tensor] = [torch.full_like(z, start)]
    previous = 0.0
    for degree in range(order + 1, l_max + 1):
        factor = math.sqrt((4.0 * degree * degree - 1.0) / (1.0 * degree * degree - 1.0 * order * order))
        value = factor * z * values[-1]
        if degree > order + 1:
            value = value - (factor / previous) * values[-2]
        values.append(value)
        previous = factor
    return values


def real_spherical_harmonics(unit: Tensor, l_max: int) -> Tensor:
    """Return Y_lm of unit vectors, lm = l*l + l + m.

    Args:
        unit: (..., 3), vectors of length one (zero vectors give finite values without meaning).
        l_max: highest degree, >= 0.

    Returns:
        (..., (l_max+1)^2), orthonormal on the sphere, without Condon-Shortley phase.
    """
    x, y, z = unit[..., 0], unit[..., 1], unit[..., 2]
    cosine, sine = azimuthal_polynomials(x, y, l_max)
    rows: list[Tensor] = [x] * ((l_max + 1) * (l_max + 1))
    for m in range(l_max + 1):
        polar = polar_polynomials(z, m, l_max)
        for degree in range(m, l_max + 1):
            centre = degree * degree + degree
            if m == 0:
                rows[centre] = polar[degree]
            else:
                scaled = math.sqrt(2.0) * polar[degree - m]
                rows[centre + m] = scaled * cosine[m]
                rows[centre - m] = scaled * sine[m]
    return torch.stack(rows, dim=-1)
