"""Quintic Hermite interpolation of tabulated radial functions.

On the interval between knots r_k = k h and r_{k+1}, with t = (r - r_k) / h in [0, 1),

    f(r) = f_k H0(t) + h f'_k H1(t) + h^2 f''_k H2(t) + f_{k+1} H0(1-t) - h f'_{k+1} H1(1-t) + h^2 f''_{k+1} H2(1-t)

    H0 = 1 - 10 t^3 + 15 t^4 - 6 t^5,   H1 = t - 6 t^3 + 8 t^4 - 3 t^5,   H2 = (t^2 - 3 t^3 + 3 t^4 - t^5) / 2

takes value and two derivatives from the table at both ends, so the interpolant is C2. Its error falls with h^6. At and
beyond the cutoff it is zero; the last knot of every table is zero with two zero derivatives, so it is C2 there too.

In : distances (E,) in A; neighbour species (E,); table (A, K, 3, L+1, Q): value, d/dr, d2/dr2 at K equidistant knots
Out: (E, L+1, Q)
Cost: six multiplications per number, whatever the functions were.
"""

import torch
from torch import Tensor


def hermite_basis(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return H0, H1, H2 of the fraction `t` of an interval, each of the shape of `t`."""
    cube = t * t * t
    return (
        1.0 - cube * (10.0 - t * (15.0 - 6.0 * t)),
        t - cube * (6.0 - t * (8.0 - 3.0 * t)),
        0.5 * t * t - cube * (1.5 - t * (1.5 - 0.5 * t)),
    )


def evaluate_hermite(distance: Tensor, species: Tensor, radial: Tensor, cutoff: float) -> Tensor:
    """Return the radial functions of each edge, zero at and beyond `cutoff`.

    Args:
        distance: (E,) >= 0, in A.
        species: (E,) int64, row of `radial` that belongs to the edge's neighbour.
        radial: (A, K, 3, L+1, Q) table of value, first and second derivative in A^-1 and A^-2.
        cutoff: last knot, in A.

    Returns:
        (E, L+1, Q), differentiable in `distance` and in `radial`.
    """
    intervals = radial.shape[1] - 1
    step = cutoff / intervals
    scaled = distance / step
    knot = torch.floor(scaled.detach()).clamp(0, intervals - 1).to(torch.int64)
    inside = distance < cutoff
    t = torch.where(inside, scaled - knot.to(scaled.dtype), torch.ones_like(scaled))
    left0, left1, left2 = hermite_basis(t)
    right0, right1, right2 = hermite_basis(1.0 - t)
    weights = torch.stack([left0, step * left1, step * step * left2], dim=-1)[:, :, None, None]
    weights_next = torch.stack([right0, -step * right1, step * step * right2], dim=-1)[:, :, None, None]
    value = (weights * radial[species, knot]).sum(dim=1) + (weights_next * radial[species, knot + 1]).sum(dim=1)
    return torch.where(inside[:, None, None], value, torch.zeros_like(value))
