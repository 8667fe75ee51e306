"""SOAP power spectrum in plain PyTorch: the definition that every fast kernel must reproduce.

From the density c[i, lm, u] of `rhopot.potentials.density.reference`,                          [1, eqs. 1.16, 1.19b]

    p[i, (u <= v) l] = sum_m c[i, lm, u] c[i, lm, v] / sqrt(2 l + 1)  *  (sqrt(2) if u != v)

whose factors make the dot product of two packed vectors that of the full, symmetric ones. Feature index:
pair * (L+1) + l, pairs u-major: (0,0), (0,1) ... (0,U-1), (1,1) ...

In : the arguments of `density_expansion`
Out: features (C, F), F = U (U+1) / 2 (L+1), energies (C, columns). Cost: O(C L^2 U^2) beside the density's.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1. SOAP: doi:10.1103/PhysRevB.87.184115
"""

import math
from typing import Optional

import torch
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.density.reference import density_expansion, expansion_jacobian
from rhopot.potentials.descriptors.dot_product import sparse_read_out
from rhopot.potentials.descriptors.features import linear_read_out
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def correlate(left: Tensor, right: Tensor) -> Tensor:
    """Return sum_m left[lm,u] right[lm,v] / sqrt(2l+1) * (sqrt(2) if u != v), packed: (C, F).

    Args:
        left, right: (C, (L+1)^2, U).
    """
    n_channels = left.shape[2]
    l_max = int(math.sqrt(float(left.shape[1])) + 0.5) - 1
    pairs = torch.triu_indices(n_channels, n_channels, device=left.device)
    weight = torch.full([pairs.shape[1]], math.sqrt(2.0), dtype=left.dtype, device=left.device)
    weight[pairs[0] == pairs[1]] = 1.0
    packed = pairs[0] * n_channels + pairs[1]
    per_degree: list[Tensor] = []
    for degree in range(l_max + 1):
        start, count = degree * degree, 2 * degree + 1
        a, b = left[:, start : start + count], right[:, start : start + count]
        product = torch.matmul(a.transpose(1, 2), b) / math.sqrt(float(count))
        per_degree.append(torch.index_select(product.flatten(1), 1, packed) * weight)
    return torch.stack(per_degree, dim=-1).reshape(left.shape[0], pairs.shape[1] * (l_max + 1))


def power_spectrum(density: Tensor) -> Tensor:
    """Return the packed power spectrum (C, F) of densities (C, (L+1)^2, U)."""
    return correlate(density, density)


def soap_power_spectrum(graph: AtomicGraph, table: RadialTable) -> Tensor:
    """Return the packed power spectrum (C, F) of the density that `density_expansion` makes from the same arguments."""
    density = density_expansion(graph, table)
    return power_spectrum(density)


def soap_jacobian(graph: AtomicGraph, table: RadialTable) -> tuple[Tensor, Tensor]:
    """Return the power spectrum (C, F) and its derivative (E, 3, F), that of edge e's centre by edge vector e, in A^-1.

    The spectrum is bilinear in the density: dp = correlate(dc, c) + correlate(c, dc).
    """
    density = density_expansion(graph, table)
    jacobian = expansion_jacobian(graph, table)
    own = torch.index_select(density, 0, edge_centres(graph.first_edge))
    columns = [correlate(jacobian[:, axis], own) + correlate(own, jacobian[:, axis]) for axis in range(3)]
    return power_spectrum(density), torch.stack(columns, dim=1)


def soap_linear(graph: AtomicGraph, table: RadialTable, weights: Tensor, members: bool) -> Tensor:
    """Return energies linear in the power spectrum: e[i, k] = sum_f p[i, f] weights[a_i, f, k].

    Args:
        weights: (A, F, 1+K), one set per center species; (1, F, 1+K) is one set for all.
        members: False keeps column 0 alone.

    Returns:
        (C, 1+K), or (C, 1) without members.
    """
    features = soap_power_spectrum(graph, table)
    return linear_read_out(features, graph.species[graph.centre], weights, members)


def soap_gap(
    graph: AtomicGraph,
    table: RadialTable,
    points: Tensor,
    first_point: list[int],
    weights: Tensor,
    zeta: int,
    features: Optional[Tensor],  # noqa: UP045  (TorchScript)
    members: bool,
) -> Tensor:
    """Return energies of a sparse-kernel model on the power spectrum: `dot_product.sparse_read_out` of its columns.

    Args:
        features: (F') columns of the power spectrum that the kernel reads, or None for all.

    Returns:
        (C, 1+K), or (C, 1) without members.
    """
    spectrum = soap_power_spectrum(graph, table)
    if features is not None:
        spectrum = spectrum.index_select(1, features)
    return sparse_read_out(spectrum, graph.species[graph.centre], points, first_point, weights, zeta, members)
