"""GMP features in plain PyTorch: the definition that every fast kernel must reproduce.

Weighted norms over the orders of several probes, from the density c[i, lm, u] of `density.reference`  [1, eqs. 3-5]

    s[i, p, n] = sum over l + 2 t = n of sum_m c[i, lm, t P + p]^2,        0 <= t < T,    U = T P
    Phi[i, p, n] = s / (sqrt(s + eps_pn^2) + eps_pn) = sqrt(s + eps_pn^2) - eps_pn

are the norm of order n of probe p with the root's kink at zero rounded off. Feature index: p (L+1) + n.

In : the arguments of `density_expansion`
Out: features (C, F), F = P (L+1)

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
"""

import math

import torch
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.density.reference import density_expansion, expansion_jacobian
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def order_products(left: Tensor, right: Tensor, n_probes: int) -> Tensor:
    """Return sum over l + 2 t = n and m of left[lm, t P + p] right[lm, t P + p]: (C, P, L+1).

    Args:
        left, right: (C, (L+1)^2, T P).
    """
    l_max = int(math.sqrt(float(left.shape[1])) + 0.5) - 1
    n_terms = left.shape[2] // n_probes
    products = (left * right).reshape(left.shape[0], left.shape[1], n_terms, n_probes)
    orders: list[Tensor] = []
    for order in range(l_max + 1):
        total = torch.zeros([left.shape[0], n_probes], dtype=left.dtype, device=left.device)
        for term in range(min(n_terms, order // 2 + 1)):
            degree = order - 2 * term
            total = total + products[:, degree * degree : (degree + 1) * (degree + 1), term].sum(dim=1)
        orders.append(total)
    return torch.stack(orders, dim=-1)


def gmp_invariants(density: Tensor, n_probes: int, floor: Tensor) -> Tensor:
    """Return the rounded norms Phi (C, P (L+1)) of densities (C, (L+1)^2, T P), for eps = `floor` (P (L+1))."""
    square = order_products(density, density, n_probes).flatten(1)
    return square / (torch.sqrt(square + floor * floor) + floor)


def gmp_features(graph: AtomicGraph, table: RadialTable, n_probes: int, floor: Tensor) -> Tensor:
    """Return the rounded norms (C, P (L+1)) of the density that `density_expansion` makes from the same arguments."""
    density = density_expansion(graph, table)
    return gmp_invariants(density, n_probes, floor)


def gmp_jacobian(graph: AtomicGraph, table: RadialTable, n_probes: int, floor: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features (C, F) and their derivative (E, 3, F), that of edge e's centre by edge vector e, in A^-1.

    dPhi = sum c dc / sqrt(s + eps^2), summed as s is.
    """
    density = density_expansion(graph, table)
    jacobian = expansion_jacobian(graph, table)
    rows = edge_centres(graph.first_edge)
    square = order_products(density, density, n_probes).flatten(1)
    root, own = torch.sqrt(square + floor * floor)[rows], density[rows]
    columns = [order_products(own, jacobian[:, axis], n_probes).flatten(1) / root for axis in range(3)]
    return gmp_invariants(density, n_probes, floor), torch.stack(columns, dim=1)
