"""Lengths, norms and averages with finite derivatives, also where they vanish.

Lengths that are never zero in practice, norms that symmetry makes zero, numbers of neighbors to divide by:

    length(v)         |v|, with derivative zero at v = 0
    rounded_norm(s)   sqrt(s + eps^2), eps = 1e-3: C2, with a curvature of 1/eps at most; 0.57452 changes by 1e-6
    at_least_half(n)  n for n >= 1, 1/2 + n^3 - n^4/2 for 0 <= n < 1: C2, and 1/2 where the last neighbor has left
"""

import torch
from torch import Tensor

ROUNDING = 1e-3


def length(vector: Tensor) -> Tensor:
    """Return the lengths (...) of vectors (..., 3), with derivative zero for vectors of length zero."""
    square = (vector * vector).sum(dim=-1)
    zero = square == 0
    root = torch.sqrt(torch.where(zero, torch.ones_like(square), square))
    return torch.where(zero, torch.zeros_like(root), root)


def rounded_norm(square: Tensor, rounding: float) -> Tensor:
    """Return the norm whose square is given, with its kink at zero rounded off over `rounding`."""
    return torch.sqrt(square + rounding * rounding)


def at_least_half(number: Tensor) -> Tensor:
    """Return smooth numbers of neighbors to divide by: themselves from 1 on, 1/2 for none."""
    return torch.where(number < 1.0, 0.5 + number * number * number * (1.0 - 0.5 * number), number)
