"""One pooling: soft assignment of nodes to fewer nodes, over features and positions [1, eqs. 6.17-6.19; 2].

    S_ik = softmax_k(x_i . W_k)                 over the nodes k that the structure has
    x'_k = sum_i S_ik x_i                       eq. 6.17
    o'_k = sum_i S_ik o_i                       occupancy: how many atoms a node stands for; 1 of an atom
    R'_k = sum_i S_ik o_i R_i / (o'_k + e)      eq. 6.19, with R from the center of the structure

Other than printed in [1]: R' is a weighted mean, because sums of positions (eq. 6.19 as it stands) do not move with the
structure. e = 1e-6 puts a node that no atom belongs to into the center of the structure, smoothly.

A structure of N atoms has ceil(fraction N) nodes, and no more than the largest structure of the training data; columns
of W beyond them are left out of the softmax, so a structure gets the same nodes beside any other in a batch.

Penalties that guide the assignments, per structure:

    link     |A - S S^T|_F / N              nodes are pooled together where they are near, and only there
    entropy  -1/N sum_ik S_ik log S_ik      a node belongs to few nodes

A is a quintic of the distance that falls from 1 of a node with itself to 0 at LINKED; with a reach as long as that of
messages, all atoms of a small molecule would belong together.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6
[2] R. Ying et al., Hierarchical graph representation learning with differentiable pooling, NeurIPS 2018
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.pooling.settings import ROUNDING, most_nodes

EMPTY = 1e-6
LINKED = 3.0  # A: half of it is a bond
# Standard deviation of the initial logits: nodes begin in different places, with atoms shared between them.
SHARPNESS = 2.0


class Nodes(NamedTuple):
    """Nodes of some structures, which are consecutive: M nodes, or atoms.

    x: (M, d) features; positions: (M, 3) in A from the center of the structure; occupancy: (M) atoms they stand for
    image: (M) which structure they belong to, rising
    """

    x: Tensor
    positions: Tensor
    occupancy: Tensor
    image: Tensor


def open_graph(positions: Tensor, species: Tensor, cutoff: float) -> AtomicGraph:
    """Return the edges shorter than `cutoff` (A) of one structure without periodic images, from all distances."""
    vectors = positions.unsqueeze(0) - positions.unsqueeze(1)
    near = vectors.detach().square().sum(2) < cutoff * cutoff
    pairs = torch.nonzero(near & _different(positions.shape[0], positions.device))
    rows = torch.arange(positions.shape[0], device=positions.device)
    edge_vectors = vectors[pairs[:, 0], pairs[:, 1]]
    return AtomicGraph(edge_vectors, _first_edges(pairs, positions.shape[0]), pairs[:, 1], rows, species)


def graph_of_nodes(nodes: Nodes) -> AtomicGraph:
    """Return the edges between all nodes of the same structure; every node is a center."""
    n = nodes.image.shape[0]
    same = nodes.image.unsqueeze(0) == nodes.image.unsqueeze(1)
    pairs = torch.nonzero(same & _different(n, nodes.image.device))
    vectors = nodes.positions.index_select(0, pairs[:, 1]) - nodes.positions.index_select(0, pairs[:, 0])
    rows = torch.arange(n, device=nodes.image.device)
    return AtomicGraph(vectors, _first_edges(pairs, n), pairs[:, 1], rows, torch.zeros_like(rows))


def _different(n: int, device: torch.device) -> Tensor:
    """Return whether two of n rows are different ones (n, n)."""
    rows = torch.arange(n, device=device)
    return rows.unsqueeze(0) != rows.unsqueeze(1)


def _first_edges(pairs: Tensor, n: int) -> Tensor:
    """Return where the edges of each of n centers begin and the last one ends (n + 1), from pairs sorted by center."""
    counts = torch.bincount(pairs[:, 0], minlength=n)
    return torch.cat([torch.zeros([1], dtype=torch.int64, device=counts.device), counts.cumsum(0)])


class Pooling(nn.Module):
    """One pooling of K members.

    Args:
        fraction: nodes per atom.
        largest: atoms of the largest structure of the training data.
        width: features of a node.
        streams: of the members.
        dtype: of the parameters.
    """

    def __init__(
        self, fraction: float, largest: int, width: int, streams: Sequence[torch.Generator], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.fraction: float = fraction
        self.rounding: float = ROUNDING  # TorchScript knows no globals
        self.empty: float = EMPTY
        self.linked: float = LINKED
        self.most: int = most_nodes(fraction, largest)
        each = [torch.randn(width, self.most, generator=stream, dtype=torch.float64) for stream in streams]
        self.columns = nn.Parameter((SHARPNESS * width**-0.5 * torch.stack(each)).to(dtype))

    def counts(self, n_atoms: Tensor) -> Tensor:
        """Return the nodes of structures (n) from their atoms (n)."""
        exact = n_atoms.to(torch.float64) * self.fraction - self.rounding
        return torch.ceil(exact).clamp(1.0, float(self.most)).to(torch.int64)

    def assignments(self, nodes: Nodes, n_atoms: Tensor, k: int) -> Tensor:
        """Return S (M, most) of member k, zero in the columns of nodes that a structure has not."""
        exists = torch.arange(self.most, device=n_atoms.device).unsqueeze(0) < self.counts(n_atoms).unsqueeze(1)
        logits = nodes.x @ self.columns[k]
        return torch.softmax(logits.masked_fill(~exists.index_select(0, nodes.image), float("-inf")), 1)

    def forward(self, nodes: Nodes, s: Tensor, n_atoms: Tensor) -> Nodes:
        """Return the nodes that those of structures with n_atoms (n) atoms are pooled to; s: their assignments."""
        n, most = n_atoms.shape[0], self.most
        held = s * nodes.occupancy.unsqueeze(1)
        x = _sums(s.unsqueeze(2) * nodes.x.unsqueeze(1), nodes.image, n)
        places = _sums(held.unsqueeze(2) * nodes.positions.unsqueeze(1), nodes.image, n)
        occupancy = _sums(held, nodes.image, n).flatten()
        counts = self.counts(n_atoms)
        exists = torch.arange(most, device=n_atoms.device).unsqueeze(0) < counts.unsqueeze(1)
        rows = torch.nonzero(exists.flatten()).flatten()
        occupancy = occupancy.index_select(0, rows)
        places = places.flatten(0, 1).index_select(0, rows) / (occupancy + self.empty).unsqueeze(1)
        image = torch.repeat_interleave(torch.arange(n, device=n_atoms.device), counts)
        return Nodes(x.flatten(0, 1).index_select(0, rows), places, occupancy, image)

    def penalties(self, nodes: Nodes, s: Tensor, n_images: int, graph: AtomicGraph) -> Tensor:
        """Return link and entropy (n, 2) of the assignments s; graph: edges of the nodes.

        |A - S S^T|^2 = |A|^2 - 2 sum_ij A_ij S_i . S_j + |S^T S|^2, so that no matrix of all pairs is formed.
        """
        x = (graph.edge_vectors.detach().square().sum(1).sqrt() / self.linked).clamp(0.0, 1.0)
        near = 1.0 - x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)
        counts = graph.first_edge[1:] - graph.first_edge[:-1]
        rows = torch.repeat_interleave(graph.centre, counts)
        edge_image = nodes.image.index_select(0, rows)
        linked = (s.index_select(0, rows) * s.index_select(0, graph.neighbour)).sum(1)
        of_edges = _sums(near * (near - 2.0 * linked), edge_image, n_images)
        of_nodes = _sums(1.0 - 2.0 * s.square().sum(1), nodes.image, n_images)
        gram = _sums(s.unsqueeze(2) * s.unsqueeze(1), nodes.image, n_images).square().sum(2).sum(1)
        number = _sums(torch.ones_like(s[:, 0]), nodes.image, n_images).clamp(min=1.0)
        link = ((of_edges + of_nodes + gram).clamp(min=0.0) + 1e-12).sqrt() / number
        entropy = _sums(-(s * torch.log(s + 1e-12)).sum(1), nodes.image, n_images) / number
        return torch.stack([link, entropy], 1)


def _sums(values: Tensor, image: Tensor, n_images: int) -> Tensor:
    """Return the sums (n, ...) of values (M, ...) over the rows of each structure."""
    sizes = list(values.shape)
    sizes[0] = n_images
    return torch.zeros(sizes, dtype=values.dtype, device=values.device).index_add(0, image, values)
