"""Multispectra in plain PyTorch: the definition that every fast kernel must reproduce.

From the density c[i, lm, u] of `rhopot.potentials.density.reference`, the invariants that `terms` lists, in the order
nu = 1, 2, 3, 4. Pairs of several degrees stand in one array whose components beyond 2 l + 1 are zero. Everything runs
on any device and differentiates to any order. Cost: O(C F L), memory too.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1-2, eq. 1.18
"""

import torch
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.density.reference import density_expansion, expansion_jacobian
from rhopot.potentials.descriptors.features import linear_read_out
from rhopot.potentials.descriptors.multispectrum.tables import TermTables
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def graph_multispectrum(graph: AtomicGraph, table: RadialTable, terms: TermTables) -> Tensor:
    """Return the invariants (C, F) of the density that `density_expansion` makes from the same arguments."""
    return multispectrum(density_expansion(graph, table), terms)


def multispectrum_jacobian(graph: AtomicGraph, table: RadialTable, terms: TermTables) -> tuple[Tensor, Tensor]:
    """Return the invariants (C, F) and those of edge e's centre differentiated by edge vector e (E, 3, F), in A^-1."""
    with torch.no_grad():
        density = density_expansion(graph, table)
        own = density.index_select(0, edge_centres(graph.first_edge)).repeat_interleave(3, dim=0)
        tangents = expansion_jacobian(graph, table).flatten(0, 1)
        jacobian = torch.func.jvp(lambda c: multispectrum(c, terms), (own,), (tangents,))[1]
        return multispectrum(density, terms), jacobian.reshape(graph.edge_vectors.shape[0], 3, -1)


def multispectrum_linear(
    graph: AtomicGraph, table: RadialTable, terms: TermTables, weights: Tensor, members: bool
) -> Tensor:
    """Return energies linear in the invariants, e[i, k] = sum_f p[i, f] weights[a_i, f, k]: (C, 1+K).

    Args:
        weights: (A, F, 1+K), one set per center species; (1, F, 1+K) is one set for all.
        members: False keeps column 0 alone: (C, 1).
    """
    features = graph_multispectrum(graph, table, terms)
    return linear_read_out(features, graph.species[graph.centre], weights, members)


def multispectrum(density: Tensor, terms: TermTables) -> Tensor:
    """Return the invariants (C, F) of densities (C, (L+1)^2, U)."""
    first = density[:, 0, :].index_select(1, terms.one)
    l_two, l_pair = terms.two[:, 0], terms.pairs[:, 4]
    width = 1 + 2 * int(torch.cat([l_two, l_pair, torch.zeros_like(terms.one[:1])]).max())
    left = components(density, l_two, terms.two[:, 1], width)
    right = components(density, l_two, terms.two[:, 2], width)
    twice = torch.where(terms.two[:, 1] == terms.two[:, 2], 1.0, 2.0).to(density.dtype)
    second = (left * right).sum(2) * torch.sqrt(twice) * _norm(l_two, density)
    pairs = coupled_pairs(density, terms, width)
    k = terms.three[:, 0]
    third = pairs.index_select(1, k) * components(density, l_pair.index_select(0, k), terms.three[:, 1], width)
    a, b = terms.four[:, 0], terms.four[:, 1]
    fourth = pairs.index_select(1, a) * pairs.index_select(1, b)
    norm = _norm(l_pair, density)
    return torch.cat(
        [first, second, third.sum(2) * norm.index_select(0, k), fourth.sum(2) * norm.index_select(0, a)], dim=1
    )


def components(density: Tensor, degree: Tensor, channel: Tensor, width: int) -> Tensor:
    """Return c_lmu (C, T, width) of channels l = `degree` (T), u = `channel` (T), zeros beyond 2 l + 1."""
    n_angular, n_channels = density.shape[1], density.shape[2]
    m = torch.arange(width, device=density.device)
    row = degree[:, None] * degree[:, None] + m
    row = torch.where(m < 2 * degree[:, None] + 1, row, n_angular)
    padded = torch.cat([density, torch.zeros_like(density[:, :1])], dim=1).flatten(1)
    chosen = torch.index_select(padded, 1, (row * n_channels + channel[:, None]).flatten())
    return chosen.reshape(density.shape[0], degree.shape[0], width)


def coupled_pairs(density: Tensor, terms: TermTables, width: int) -> Tensor:
    """Return V_km (C, K, width) of all pairs, zeros beyond 2 l + 1."""
    pairs = torch.zeros([density.shape[0], terms.pairs.shape[0], width], dtype=density.dtype, device=density.device)
    for g in range(terms.degrees.shape[0]):
        triple = terms.degrees[g]
        rows = torch.nonzero((terms.pairs[:, ::2] == triple).all(1)).flatten()
        entries = terms.entries[int(terms.first_entry[g]) : int(terms.first_entry[g + 1])]
        values = terms.values[int(terms.first_entry[g]) : int(terms.first_entry[g + 1])].to(density.dtype)
        n1, n2 = 2 * int(triple[0]) + 1, 2 * int(triple[1]) + 1
        flat = (entries[:, 0] * n2 + entries[:, 1]) * width + entries[:, 2]
        coupling = torch.zeros([n1 * n2 * width], dtype=density.dtype, device=density.device)
        coupling = coupling.index_add(0, flat, values).reshape(n1, n2, width)
        chosen = terms.pairs.index_select(0, rows)
        left, right = (
            components(density, chosen[:, 0], chosen[:, 1], n1),
            components(density, chosen[:, 2], chosen[:, 3], n2),
        )
        pairs = pairs.index_add(1, rows, torch.einsum("abm,cka,ckb->ckm", coupling, left, right))
    return pairs


def _norm(degree: Tensor, density: Tensor) -> Tensor:
    """Return 1 / sqrt(2 l + 1) for each degree."""
    return torch.rsqrt(2.0 * degree.to(density.dtype) + 1.0)
