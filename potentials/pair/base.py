"""Base of the pair baselines: each pair's energy, half of it assigned to either atom.

    E_i = 1/2 sum_j V_{a_i a_j}(r_ij),   V_ab = V_ba,   V zero and C2 at its own cutoff

In : edge_vectors (E, 3) in A, first_edge (C+1,), neighbour (E,), centre (C,), species (N,) rows of the symbols
Out: energy of each centre (C,) in eV, in the float type of the edge vectors; differentiable to any order.
     Where no edge is shorter than the cutoff, zeros that depend on nothing.

A pair potential gives V for distances above zero; edges at or beyond its cutoff are dropped before anything is
differentiated, so a short-ranged baseline costs three products and one comparison per edge.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph


class PairBaseline(nn.Module):
    """Base of the pair potentials; a subclass defines `pair_energy`.

    Args:
        n_symbols: number of elements A.
        cutoff: distance in A at and beyond which every pair energy is zero.
    """

    cutoff: float
    pair_index: Tensor

    def __init__(self, n_symbols: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = float(cutoff)
        index = torch.zeros((n_symbols, n_symbols), dtype=torch.int64)
        for p, (a, b) in enumerate(unordered_pairs(n_symbols)):
            index[a, b] = index[b, a] = p
        self.register_buffer("pair_index", index)

    def pair_energy(self, distance: Tensor, pair: Tensor) -> Tensor:
        """V (E,) in eV at `distance` (E,) in A, 0 < distance < cutoff, for unordered species pairs `pair` (E,)."""
        raise NotImplementedError("a pair baseline must define pair_energy")

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the energy of each centre (C) in eV."""
        total = torch.zeros([graph.centre.shape[0]], dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        # a little longer, for the rounding; what is exactly shorter is chosen from these few
        edge = _shorter_than(graph.edge_vectors.detach(), 1.0001 * self.cutoff)
        if edge.shape[0] == 0:
            return total
        vectors = graph.edge_vectors[edge]
        squared = (vectors * vectors).sum(dim=1)
        near = torch.nonzero(squared.detach() < self.cutoff * self.cutoff).squeeze(1)
        edge = edge[near]
        row = torch.searchsorted(graph.first_edge, edge, right=True) - 1
        pair = self.pair_index[graph.species[graph.centre[row]], graph.species[graph.neighbour[edge]]]
        energy = 0.5 * self.pair_energy(squared[near].sqrt(), pair)
        return total.index_add(0, row, energy.to(graph.edge_vectors.dtype))


def _shorter_than(vectors: Tensor, length: float) -> Tensor:
    """Rows of `vectors` (E, 3) shorter than `length`, but for rounding: a product is faster than `sum`."""
    one = torch.ones([3], dtype=vectors.dtype, device=vectors.device)
    return torch.nonzero((vectors * vectors) @ one < length * length).squeeze(1)


class SumOfPairs(nn.Module):
    """Several pair baselines added up."""

    cutoff: float

    def __init__(self, parts: Sequence[PairBaseline]) -> None:
        super().__init__()
        if not parts:
            raise ValueError("parts must hold at least one pair baseline, got none; leave the baseline out")
        self.parts = nn.ModuleList(parts)
        self.cutoff = max(part.cutoff for part in parts)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the energy of each centre (C) in eV."""
        total = torch.zeros([graph.centre.shape[0]], dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        for part in self.parts:
            total = total + part(graph)
        return total


def unordered_pairs(n_symbols: int) -> list[tuple[int, int]]:
    """Species pairs (a, b) with a <= b, in the order of a pair baseline's tables."""
    return [(a, b) for a in range(n_symbols) for b in range(a, n_symbols)]
