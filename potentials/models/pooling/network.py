"""Pooling networks: angular messages between atoms, poolings, and angular messages between the nodes of each.

    atoms       some layers of `models.angular.network`, eqs. 6.6-6.15
    pooling     eqs. 6.17-6.19 (`pooling`), then layers between all nodes of a structure; both for each pooling
    E           = sum_k scale o . x_k + N shift     over the nodes of the last pooling, eq. 6.16

of X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6. Features are pooled as
sums with weights that add up to one for every atom, so without messages between nodes the energy is that of the atoms.
The sum over pairs of neighbors (eq. 6.14) has the terms j = k: two nodes, or two atoms, act on each other too.

Nodes have distances and angles like atoms. As in section 6.2.2 their neighbors follow from pooled positions, not from
the pooled adjacency of eq. 6.18; what remains of that is the weight of an edge,

    w_kl = f_c(d_kl) q(o_k) q(o_l),     q(o) = o / (1 + o),     d_kl^2 = |R_kl|^2 + SOFT^2,     u_kl = R_kl / d_kl

in place of f_c: a node that hardly any atom belongs to neither sends nor receives. Two nodes may be in one place, and
do where symmetry wants it (benzene: carbon and hydrogen); there |R_kl| has no derivative. With SOFT every derivative is
finite, and the direction fades out over that length.

K members stand side by side: every parameter has a leading dimension K. Cost: that of the layers between atoms, and for
M nodes about M^3 n_angular filters multiplications for each layer between nodes: all pairs and all angles.
Smoothness: twice continuously differentiable, but where two atoms are in one place. Range: the structure.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.angular.network import AngularLayer
from rhopot.potentials.models.pooling.pooling import Nodes, Pooling, graph_of_nodes
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings

SOFT = 0.25  # A
# Of initial updates of nodes, relative to those of atoms: while assignments are random, messages of nodes are noise,
# which a training gets rid of by putting all atoms into one node, for good.
BEGIN = 0.1


class PooledLayers(nn.Module):
    """One pooling and the layers of messages between its nodes."""

    def __init__(
        self,
        basis: AngularBasis,
        settings: PoolingNetworkSettings,
        fraction: float,
        largest: int,
        streams: Sequence[torch.Generator],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.pooling = Pooling(fraction, largest, settings.width, streams, dtype)
        self.layers = nn.ModuleList(
            AngularLayer(basis, settings, streams, dtype) for _ in range(settings.pooled_layers)
        )
        with torch.no_grad():
            for layer in self.layers:
                layer.get_parameter("update").mul_(BEGIN)
        self.register_buffer("scale", torch.ones((), dtype=dtype))
        self.scale: Tensor

    def forward(self, nodes: Nodes, graph: AtomicGraph, radial: Tensor, tail: Tensor, k: int) -> Tensor:
        """Return the refined features (M, d); tail: directions and f_c of the edges between these nodes."""
        q = nodes.occupancy / (1.0 + nodes.occupancy)
        rows = torch.repeat_interleave(graph.centre, graph.first_edge[1:] - graph.first_edge[:-1])
        weights = tail[:, 3:] * (q.index_select(0, rows) * q.index_select(0, graph.neighbour)).unsqueeze(1)
        weighted = torch.cat([tail[:, :3], weights], 1)
        x = nodes.x
        for layer in self.layers:
            x = layer(x, radial, weighted, self.scale, graph, k)
        return x


class PoolingNetworks(nn.Module):
    """K pooling networks on one basis.

    Args:
        basis: distances and angles between atoms, and the elements.
        settings: shape.
        largest: atoms of the largest structure of the training data, which the numbers of nodes follow from.
        seeds: one per member.
        dtype: of parameters and results.
    """

    n_members: int
    if TYPE_CHECKING:  # TorchScript takes the types of modules from their instances
        levels: Any

    def __init__(
        self,
        basis: AngularBasis,
        settings: PoolingNetworkSettings,
        largest: int,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.n_members = len(seeds)
        between = {"cutoff": settings.pooled_cutoff, "cutoff_width": None}
        self.pooled_basis = AngularBasis(basis.settings.model_copy(update=between)).to(dtype)
        each = [torch.randn(basis.n_species, settings.width, generator=one, dtype=torch.float64) for one in streams]
        self.embedding = nn.Parameter(torch.stack(each).to(dtype))
        self.layers = nn.ModuleList(AngularLayer(basis, settings, streams, dtype) for _ in range(settings.layers))
        self.levels = nn.ModuleList(
            PooledLayers(self.pooled_basis, settings, fraction, largest, streams, dtype) for fraction in settings.nodes
        )
        each = [torch.randn(settings.width, generator=stream, dtype=torch.float64) for stream in streams]
        self.output = nn.Parameter((torch.stack(each) * settings.width**-0.5).to(dtype))
        self.soft: float = SOFT
        for name, value in (("scale", 1.0), ("energy_scale", 1.0), ("energy_shift", 0.0)):
            self.register_buffer(name, torch.full((), value, dtype=dtype))
        self.scale: Tensor
        self.energy_scale: Tensor
        self.energy_shift: Tensor

    def prepare(
        self, neighbours: float, weights: Sequence[float], energy_scale: float, energy_shift: float = 0.0
    ) -> None:
        """Set the constants.

        neighbours: mean sum of f_c over the neighbors of an atom; weights: mean sum of w over the other nodes of a node
        for each pooling; energy_scale, energy_shift: scale and mean of the energies of atoms in eV.
        """
        self.scale.fill_(1.0 / neighbours)
        for level, weight in zip(self.levels, weights, strict=True):
            level.scale.fill_(1.0 / weight)
        self.energy_scale.fill_(energy_scale)
        self.energy_shift.fill_(energy_shift)

    def forward(
        self,
        positions: Tensor,
        image: Tensor,
        n_atoms: Tensor,
        radial: Tensor,
        tail: Tensor,
        graph: AtomicGraph,
        penalties: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return energies (K, n) in eV of structures, without baseline, and where asked for the penalties (K, n, 2).

        positions (N, 3): in A, from the center of the structure; image (N): which structure an atom belongs to;
        n_atoms (n); radial, tail: of the basis, for the edges of the atoms' graph; penalties: link and entropy, summed
        over the poolings.
        """
        energies: list[Tensor] = []
        found: list[Tensor] = []
        for k in range(self.n_members):
            energy, total = self.member(positions, image, n_atoms, radial, tail, graph, penalties, k)
            energies.append(energy)
            found.append(total)
        return torch.stack(energies), torch.stack(found)

    def member(
        self,
        positions: Tensor,
        image: Tensor,
        n_atoms: Tensor,
        radial: Tensor,
        tail: Tensor,
        graph: AtomicGraph,
        penalties: bool,
        k: int,
    ) -> tuple[Tensor, Tensor]:
        """Return energies (n) in eV and penalties (n, 2) by network k; arguments as those of `forward`."""
        n = n_atoms.shape[0]
        nodes = self.atoms(positions, image, radial, tail, graph, k)
        edges = graph
        total = torch.zeros([n, 2], dtype=positions.dtype, device=positions.device)
        for level in self.levels:
            s = level.pooling.assignments(nodes, n_atoms, k)
            if penalties:
                total = total + level.pooling.penalties(nodes, s, n, edges)
            nodes = level.pooling(nodes, s, n_atoms)
            edges = graph_of_nodes(nodes)
            between, ends = self.pooled_basis.edges(edges.edge_vectors, self.soft)
            x = level(nodes, edges, between, ends, k)
            nodes = Nodes(x, nodes.positions, nodes.occupancy, nodes.image)
        energies = torch.zeros([n], dtype=positions.dtype, device=positions.device)
        energies = energies.index_add(0, nodes.image, nodes.x @ self.output[k])
        return energies * self.energy_scale + self.energy_shift * n_atoms, total

    def atoms(
        self, positions: Tensor, image: Tensor, radial: Tensor, tail: Tensor, graph: AtomicGraph, k: int
    ) -> Nodes:
        """Return the atoms as nodes of member k, after the layers of messages between them."""
        x = self.embedding[k].index_select(0, graph.species)
        for layer in self.layers:
            x = layer(x, radial, tail, self.scale, graph, k)
        return Nodes(x, positions, torch.ones_like(positions[:, 0]), image)

    def pooled(
        self, positions: Tensor, radial: Tensor, tail: Tensor, graph: AtomicGraph, k: int
    ) -> list[tuple[Tensor, Tensor]]:
        """Return for each pooling of one structure by member k which part of each atom is in each node (N, M), and the
        positions (M, 3) in A of the nodes."""
        image = torch.zeros_like(graph.species)
        n_atoms = torch.full([1], positions.shape[0], dtype=torch.int64, device=positions.device)
        nodes = self.atoms(positions, image, radial, tail, graph, k)
        parts = torch.eye(positions.shape[0], dtype=positions.dtype, device=positions.device)
        found: list[tuple[Tensor, Tensor]] = []
        for level in self.levels:
            s = level.pooling.assignments(nodes, n_atoms, k)
            nodes = level.pooling(nodes, s, n_atoms)
            parts = parts @ s[:, : nodes.image.shape[0]]
            edges = graph_of_nodes(nodes)
            between, ends = self.pooled_basis.edges(edges.edge_vectors, self.soft)
            found.append((parts, nodes.positions))
            nodes = Nodes(level(nodes, edges, between, ends, k), nodes.positions, nodes.occupancy, nodes.image)
        return found
