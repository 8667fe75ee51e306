"""Plain PyTorch definitions of the angular filters, for any device and any order of derivative.

Equations: X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOG_2 = math.log(2.0)


def shifted_softplus(x: Tensor) -> Tensor:
    """Return log((1 + e^x) / 2), which is 0 at 0."""
    return softplus(x) - LOG_2


def gaussians(x: Tensor, places: Tensor, width: float) -> Tensor:
    """Return G_c(x) = exp(-(x - x_c)^2 / (2 width^2)) (..., n): eq. 6.7."""
    return torch.exp((x.unsqueeze(-1) - places).square() * (-0.5 / width**2))


def pairs_of_edges(first_edge: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers of two edges of the same centre (T), of every ordered pair, an edge and itself included."""
    counts = first_edge[1:] - first_edge[:-1]
    others = torch.repeat_interleave(counts, counts)
    one = torch.repeat_interleave(torch.arange(len(others), device=counts.device), others)
    begin = torch.repeat_interleave(first_edge[:-1], counts)
    first_of_run = others.cumsum(0) - others
    other = begin[one] + torch.arange(len(one), device=counts.device) - first_of_run[one]
    return one, other


def angular_filters(rows: Tensor, first_edge: Tensor, n_gaussians: int, n_heads: int, width: float) -> Tensor:
    """Return s[e, d] = sum_e' w[e', h(d)] ssp(sum_c A[e, c, d] G_c(u_e . u_e')) over the edges e' of the centre of e.

    rows (E, G D + 3 + H): A (G, D), direction u (3) and weights w (H) of each edge, one for each head, of D / H filters
    d in order; first_edge (C + 1); number G of the Gaussians of the cosine, equidistant from -1 to 1, and their width.
    Eqs. 6.10 and 6.11 without the second weight matrix, summed over j.
    """
    places = torch.linspace(-1.0, 1.0, n_gaussians, dtype=rows.dtype, device=rows.device)
    n_filters = (rows.shape[1] - 3 - n_heads) // n_gaussians
    coefficients, direction, weight = rows.split([n_gaussians * n_filters, 3, n_heads], dim=1)
    coefficients = coefficients.reshape(len(rows), n_gaussians, n_filters)
    weight = weight.repeat_interleave(n_filters // n_heads, dim=1)
    one, other = pairs_of_edges(first_edge)
    basis = gaussians((direction[one] * direction[other]).sum(1), places, width)
    filters = torch.einsum("tc,tcd->td", basis, coefficients[one])
    return rows.new_zeros(len(rows), n_filters).index_add(0, one, weight[other] * shifted_softplus(filters))
