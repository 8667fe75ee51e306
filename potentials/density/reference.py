"""Density operators in plain PyTorch: the definition that every fast kernel must reproduce.

Around each centre i the neighbours j closer than the cutoff make a density, expanded in radial x angular functions

    c[i, lm, u] = sum_j  [block(a_j) = block(u)]  R[q(u), l, a_j](r_ij)  Y_lm(r_ij / |r_ij|)       [1, eqs. 1.22-1.25]
                  + center_weight [block(a_i) = block(u)] [l = 0] R[q(u), 0, a_i](0) Y_00       (the centre itself)

with u = block * Q + q. `species_channel` names the block that a neighbour species fills: one block each, or one for all
(then R carries the species dependence). The rotation-invariant power spectrum is                  [1, eqs. 1.16, 1.19b]

    p[i, (u <= v) l] = sum_m c[i, lm, u] c[i, lm, v] / sqrt(2 l + 1)  *  (sqrt(2) if u != v)

whose factors make the dot product of two packed vectors that of the full, symmetric ones. Feature index:
pair * (L+1) + l, pairs u-major: (0,0), (0,1) ... (0,U-1), (1,1) ...

Weighted norms over the orders of several probes                                       [2, eqs. 3-5]

    s[i, p, n] = sum over l + 2 t = n of sum_m c[i, lm, t P + p]^2,        0 <= t < T,    U = T P
    Phi[i, p, n] = s / (sqrt(s + eps_pn^2) + eps_pn) = sqrt(s + eps_pn^2) - eps_pn

are the norm of order n of probe p with the root's kink at zero rounded off. Feature index: p (L+1) + n.

In : edge_vectors (E, 3) r_j - r_i in A, sorted by centre; first_edge (C+1): edges of centre i are first_edge[i] ...
     first_edge[i+1]-1; neighbour (E) and centre (C): rows of `species` (N_all); radial (A, K, 3, L+1, Q): see `hermite`
Out: densities (C, (L+1)^2, U), features (C, F), F = U (U+1) / 2 (L+1), energies (C, columns)
Smoothness: that of the radial functions; C2 at the cutoff. An edge of length zero contributes its value and no slope.
Range: one cutoff. Cost: O(E L^2 Q) for the density, O(C L^2 U^2) for the invariants.

Everything here runs on any device, in the float type of its arguments, and differentiates to any order by autograd.
Rows are taken with index_select: what [] does backwards sorts its indices on a GPU.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1. SOAP: doi:10.1103/PhysRevB.87.184115
[2] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
"""

import math
from typing import Optional

import torch
from torch import Tensor

from rhopot.potentials.density.dot_product import sparse_read_out
from rhopot.potentials.density.harmonics import angular_index, real_spherical_harmonics
from rhopot.potentials.density.hermite import evaluate_hermite


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


def edge_centres(first_edge: Tensor) -> Tensor:
    """Return the row of the centre that each edge belongs to: (E,) int64 from the (C+1) offsets."""
    counts = first_edge[1:] - first_edge[:-1]
    return torch.repeat_interleave(torch.arange(counts.shape[0], device=first_edge.device), counts)


def density_expansion(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
) -> Tensor:
    """Return the expansion coefficients c[C, (L+1)^2, U], U = n_channels * Q (see the module's equation)."""
    n_centres, n_angular, n_radial = centre.shape[0], radial.shape[3] * radial.shape[3], radial.shape[4]
    neighbour_species = species[neighbour]
    edge_block = edge_centres(first_edge) * n_channels + species_channel[neighbour_species]
    values = edge_expansion(edge_vectors, neighbour_species, radial, cutoff)
    blocks = torch.zeros([n_centres * n_channels, n_angular, n_radial], dtype=values.dtype, device=values.device)
    blocks = blocks.index_add(0, edge_block, values)
    if center_weight != 0.0:
        centre_species = species[centre]
        own_block = torch.arange(n_centres, device=centre.device) * n_channels + species_channel[centre_species]
        own = torch.zeros([n_centres, n_angular, n_radial], dtype=values.dtype, device=values.device)
        own[:, 0, :] = center_weight / math.sqrt(4.0 * math.pi) * radial[centre_species, 0, 0, 0, :]
        blocks = blocks.index_add(0, own_block, own)
    blocks = blocks.reshape(n_centres, n_channels, n_angular, n_radial)
    return blocks.transpose(1, 2).reshape(n_centres, n_angular, n_channels * n_radial)


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


def soap_power_spectrum(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
) -> Tensor:
    """Return the packed power spectrum (C, F) of the density that `density_expansion` makes from the same arguments."""
    density = density_expansion(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    return power_spectrum(density)


def expansion_jacobian(
    edge_vectors: Tensor,
    neighbour: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
) -> Tensor:
    """Return the derivative of each edge's centre's density by that edge vector, (E, 3, (L+1)^2, U) in A^-1.

    An edge changes the density of its own centre by its own term only, so one forward derivative per Cartesian
    direction gives all of them.
    """
    neighbour_species = species[neighbour]
    block = torch.nn.functional.one_hot(species_channel[neighbour_species], n_channels).to(edge_vectors.dtype)

    def expand(vectors: Tensor) -> Tensor:
        values = edge_expansion(vectors, neighbour_species, radial, cutoff)
        return torch.einsum("ekq,eb->ekbq", values, block).flatten(2)

    slopes: list[Tensor] = []
    for axis in range(3):
        tangent = torch.zeros_like(edge_vectors)
        tangent[:, axis] = 1.0
        slopes.append(torch.func.jvp(expand, (edge_vectors,), (tangent,))[1])
    return torch.stack(slopes, dim=1)


def soap_jacobian(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
) -> tuple[Tensor, Tensor]:
    """Return the power spectrum (C, F) and its derivative (E, 3, F), that of edge e's centre by edge vector e, in A^-1.

    The spectrum is bilinear in the density: dp = correlate(dc, c) + correlate(c, dc).
    """
    density = density_expansion(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    slopes = expansion_jacobian(edge_vectors, neighbour, species, radial, cutoff, species_channel, n_channels)
    own = torch.index_select(density, 0, edge_centres(first_edge))
    columns = [correlate(slopes[:, axis], own) + correlate(own, slopes[:, axis]) for axis in range(3)]
    return power_spectrum(density), torch.stack(columns, dim=1)


def soap_linear(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
    weights: Tensor,
    members: bool,
) -> Tensor:
    """Return energies linear in the power spectrum: e[i, k] = sum_f p[i, f] weights[a_i, f, k].

    Args:
        weights: (A, F, 1+K), one set per centre species; (1, F, 1+K) is one set for all.
        members: False keeps column 0 alone.

    Returns:
        (C, 1+K), or (C, 1) without members.
    """
    features = soap_power_spectrum(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    return linear_read_out(features, species[centre], weights, members)


def linear_read_out(features: Tensor, centre_species: Tensor, weights: Tensor, members: bool) -> Tensor:
    """Return features[i] . weights[a_i]: (C, 1+K) for weights (A, F, 1+K) or (1, F, 1+K), (C, 1) without members."""
    used = weights if members else weights[:, :, :1]
    if used.shape[0] == 1:
        return torch.matmul(features, used[0])
    energies = torch.zeros([features.shape[0], used.shape[2]], dtype=features.dtype, device=features.device)
    for kind in range(used.shape[0]):
        rows = torch.nonzero(centre_species == kind).flatten()
        energies = energies.index_add(0, rows, torch.matmul(torch.index_select(features, 0, rows), used[kind]))
    return energies


def soap_gap(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
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
    spectrum = soap_power_spectrum(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    if features is not None:
        spectrum = spectrum.index_select(1, features)
    return sparse_read_out(spectrum, species[centre], points, first_point, weights, zeta, members)


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


def gmp_features(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
    n_probes: int,
    floor: Tensor,
) -> Tensor:
    """Return the rounded norms (C, P (L+1)) of the density that `density_expansion` makes from the same arguments."""
    density = density_expansion(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    return gmp_invariants(density, n_probes, floor)


def gmp_jacobian(
    edge_vectors: Tensor,
    first_edge: Tensor,
    neighbour: Tensor,
    centre: Tensor,
    species: Tensor,
    radial: Tensor,
    cutoff: float,
    species_channel: Tensor,
    n_channels: int,
    center_weight: float,
    n_probes: int,
    floor: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the features (C, F) and their derivative (E, 3, F), that of edge e's centre by edge vector e, in A^-1.

    dPhi = sum c dc / sqrt(s + eps^2), summed as s is.
    """
    density = density_expansion(
        edge_vectors, first_edge, neighbour, centre, species, radial, cutoff, species_channel, n_channels, center_weight
    )
    slopes = expansion_jacobian(edge_vectors, neighbour, species, radial, cutoff, species_channel, n_channels)
    rows = edge_centres(first_edge)
    square = order_products(density, density, n_probes).flatten(1)
    root, own = torch.sqrt(square + floor * floor)[rows], density[rows]
    columns = [order_products(own, slopes[:, axis], n_probes).flatten(1) / root for axis in range(3)]
    return gmp_invariants(density, n_probes, floor), torch.stack(columns, dim=1)


def jacobian_forces(jacobian: Tensor, first_edge: Tensor, slope: Tensor) -> Tensor:
    """Return dE/d(edge vector) from a descriptor's derivative: g[k, e, a] = sum_f jacobian[e, a, f] slope[k, i(e), f].

    Args:
        jacobian: (E, 3, F) derivative of the features of each edge's centre.
        first_edge: (C + 1) where each centre's edges begin.
        slope: (K, C, F), dE/d(features) of K models.

    Returns:
        (K, E, 3).
    """
    return torch.einsum("eaf,kef->kea", jacobian, slope[:, edge_centres(first_edge)])
