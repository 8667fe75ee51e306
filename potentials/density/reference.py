"""Density operators in plain PyTorch: the definition that every fast kernel must reproduce.

Around each centre i the neighbours j closer than the cutoff make a density, expanded in radial x angular functions

    c[i, lm, u] = sum_j  [block(a_j) = block(u)]  R[q(u), l, a_j](r_ij)  Y_lm(r_ij / |r_ij|)       [1, eqs. 1.22-1.25]
                  + center_weight [block(a_i) = block(u)] [l = 0] R[q(u), 0, a_i](0) Y_00       (the centre itself)

with u = block * Q + q. `species_channel` names the block that a neighbour species fills: one block each, or one for all
(then R carries the species dependence). Invariants of the density: `descriptors.soap.reference`,
`descriptors.gmp.reference`.

In : edge_vectors (E, 3) r_j - r_i in A, sorted by centre; first_edge (C+1): edges of centre i are first_edge[i] ...
     first_edge[i+1]-1; neighbour (E) and centre (C): rows of `species` (N_all); radial (A, K, 3, L+1, Q): see `hermite`
Out: densities (C, (L+1)^2, U)
Smoothness: that of the radial functions; C2 at the cutoff. An edge of length zero adds its value and no gradient.
Range: one cutoff. Cost: O(E L^2 Q).

Everything here runs on any device, in the float type of its arguments, and differentiates to any order by autograd.
Rows are taken with index_select: what [] does backwards sorts its indices on a GPU.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1. SOAP: doi:10.1103/PhysRevB.87.184115
"""

import math

import torch
from torch import Tensor

from rhopot.potentials.density.harmonics import angular_index, real_spherical_harmonics
from rhopot.potentials.density.hermite import evaluate_hermite
from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def edge_expansion(edge_vectors: Tensor, neighbour_species: Tensor, radial: Tensor, cutoff: float) -> Tensor:
    """Return R[q,l,a_j](r) Y_lm(r/|r|) of each edge: (E, (L+1)^2, Q)."""
    l_max = radial.shape[3] - 1
    square = (edge_vectors * edge_vectors).sum(dim=-1)
    zero = square == 0
    length = torch.sqrt(torch.where(zero, torch.ones_like(square), square))
    angular = real_spherical_harmonics(edge_vectors / length[:, None], l_max)
    distance = torch.where(zero, torch.zeros_like(length), length)
    functions = evaluate_hermite(distance, neighbour_species, radial, cutoff)
    rows = torch.tensor(angular_index(l_max), dtype=torch.int64, device=radial.device)
    return torch.index_select(functions, 1, rows) * angular[:, :, None]


def density_expansion(graph: AtomicGraph, table: RadialTable) -> Tensor:
    """Return the expansion coefficients c[C, (L+1)^2, U], U = n_channels * Q (see the module's equation)."""
    n_centres, l_count, n_radial = graph.centre.shape[0], table.radial.shape[3], table.radial.shape[4]
    n_angular = l_count * l_count
    neighbour_species = graph.species[graph.neighbour]
    edge_block = edge_centres(graph.first_edge) * table.n_channels + table.species_channel[neighbour_species]
    values = edge_expansion(graph.edge_vectors, neighbour_species, table.radial, table.cutoff)
    blocks = torch.zeros([n_centres * table.n_channels, n_angular, n_radial], dtype=values.dtype, device=values.device)
    blocks = blocks.index_add(0, edge_block, values)
    if table.center_weight != 0.0:
        centre_species = graph.species[graph.centre]
        first_block = torch.arange(n_centres, device=graph.centre.device) * table.n_channels
        own_block = first_block + table.species_channel[centre_species]
        own = torch.zeros([n_centres, n_angular, n_radial], dtype=values.dtype, device=values.device)
        own[:, 0, :] = table.center_weight / math.sqrt(4.0 * math.pi) * table.radial[centre_species, 0, 0, 0, :]
        blocks = blocks.index_add(0, own_block, own)
    blocks = blocks.reshape(n_centres, table.n_channels, n_angular, n_radial)
    return blocks.transpose(1, 2).reshape(n_centres, n_angular, table.n_channels * n_radial)


def expansion_jacobian(graph: AtomicGraph, table: RadialTable) -> Tensor:
    """Return the derivative of each edge's centre's density by that edge vector, (E, 3, (L+1)^2, U) in A^-1.

    An edge changes the density of its own centre by its own term only, so one forward derivative per Cartesian
    direction gives all of them.
    """
    neighbour_species = graph.species[graph.neighbour]
    block = torch.nn.functional.one_hot(table.species_channel[neighbour_species], table.n_channels)
    block = block.to(graph.edge_vectors.dtype)

    def expand(vectors: Tensor) -> Tensor:
        values = edge_expansion(vectors, neighbour_species, table.radial, table.cutoff)
        return torch.einsum("ekq,eb->ekbq", values, block).flatten(2)

    derivatives: list[Tensor] = []
    for axis in range(3):
        tangent = torch.zeros_like(graph.edge_vectors)
        tangent[:, axis] = 1.0
        derivatives.append(torch.func.jvp(expand, (graph.edge_vectors,), (tangent,))[1])
    return torch.stack(derivatives, dim=1)


def jacobian_forces(jacobian: Tensor, first_edge: Tensor, gradient: Tensor) -> Tensor:
    """Return dE/d(edge vector) from a Jacobian: g[k, e, a] = sum_f jacobian[e, a, f] gradient[k, i(e), f].

    Args:
        jacobian: (E, 3, F) derivative of the features of each edge's centre.
        first_edge: (C + 1) where each centre's edges begin.
        gradient: (K, C, F), dE/d(features) of K models.

    Returns:
        (K, E, 3).
    """
    return torch.einsum("eaf,kef->kea", jacobian, gradient[:, edge_centres(first_edge)])
