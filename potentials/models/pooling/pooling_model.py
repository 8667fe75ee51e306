"""Committee of pooling networks: the mean is the energy of a structure, the standard deviation its uncertainty.

    E = mean_k E_k,     member k: E + g (E_k - E)     E_k: `models.pooling.network`, plus the baseline

obeys the contract of models of kind `global` (`rhopot.export.global_models`). Structures have no periodic images: the
mean position of a node means nothing among them, so periodic boundaries are refused. Nothing is prepared. Share 0 does
all the work.

In : positions (N, 3) in A, float64; species (N) int64; cell (3, 3) is not read
Cost: all distances (N^2) beside that of the networks; `member_derivatives` is a gradient for each member.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.global_model import GlobalModel
from rhopot.potentials.models.pooling.network import PoolingNetworks
from rhopot.potentials.models.pooling.pooling import open_graph


class PoolingModel(GlobalModel):
    """Energies of structures from pooling networks, with baseline and members.

    Args:
        descriptor: the basis.
        networks: as trained.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        calibration: factor on the members' deviations from their mean.

    Attributes:
        periodic: False: structures with periodic boundaries are refused.
    """

    committee: int

    def __init__(
        self,
        descriptor: AngularBasis,
        networks: PoolingNetworks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        calibration: float = 1.0,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.networks = networks.requires_grad_(False)
        self.committee = networks.n_members
        self.periodic: bool = False
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("calibration", torch.tensor(float(calibration), dtype=torch.float64))
        self.calibration: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee if self.committee > 1 else 0

    def prepare(self, positions: Tensor, cell: Tensor, pbc: Tensor, stretch: float) -> Tensor:
        """Return no numbers (0): nothing is chosen for a structure.

        Periodic structures are refused, but the pair of atoms in a box that LAMMPS tries every model out on.
        """
        tried_out = positions.shape[0] == 2 and stretch == 1.0
        if bool(pbc.any()) and not tried_out:
            raise ValueError(
                "boundaries of a model of family pooling must be open along all axes, got periodic ones; pooled "
                "positions mean nothing among images: take 'boundary s s s', or a model of kind 'local'"
            )
        return torch.zeros([0], dtype=torch.float64)

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        prepared: Tensor,
        share: int,
        n_shares: int,
        members: bool,
    ) -> Tensor:
        """Return the energies (1 + K) in eV, or (1) without members; zeros from every share but the first."""
        if share > 0:
            width = 1 + self.committee if members and self.committee > 1 else 1
            return torch.zeros([width], dtype=torch.float64, device=positions.device)
        energies = self.energies(positions, species)
        # The sum is there for single atoms: their energy depends on no position, and adapters ask for the gradient.
        mean = energies.mean(0, keepdim=True) + 0.0 * positions.sum()
        if members and self.committee > 1:
            return torch.cat([mean, mean + self.calibration.to(torch.float64) * (energies - mean)])
        return mean

    def energies(self, positions: Tensor, species: Tensor) -> Tensor:
        """Return the energies (K) in eV of the networks with the baseline, before the calibration of members."""
        graph = open_graph(positions, species, self.descriptor.cutoff)
        radial, tail = self.descriptor.edges(graph.edge_vectors.to(self.networks.scale.dtype))
        n_atoms = torch.full([1], positions.shape[0], dtype=torch.int64, device=positions.device)
        found = self.networks(self.centered(positions), torch.zeros_like(species), n_atoms, radial, tail, graph, False)[
            0
        ]
        return found[:, 0].to(torch.float64) + self.baseline(graph).sum()

    def centered(self, positions: Tensor) -> Tensor:
        """Return positions (N, 3) from the center of the structure, in the float type of the networks."""
        return (positions - positions.mean(0, keepdim=True)).to(self.networks.scale.dtype)

    def member_derivatives(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        prepared: Tensor,
        share: int,
        n_shares: int,
        first: int,
        count: int,
    ) -> Tensor:
        """Return one share of dE_k/dr and, in the last rows, dE_k/d(cell) = 0, (count, N + 3, 3) in eV/A."""
        rows = positions.shape[0] + 3
        found = torch.zeros([count, rows, 3], dtype=torch.float64, device=positions.device)
        if share > 0:
            return found
        places = positions.detach().requires_grad_(True)
        no_numbers = torch.zeros([0], dtype=torch.float64)
        energies = self.forward(places, species, cell, pbc, no_numbers, 0, 1, True)
        for k in range(count):
            gradient = torch.autograd.grad([energies[1 + first + k]], [places], retain_graph=True)[0]
            assert gradient is not None
            found[k, : rows - 3] = gradient.detach()
        return found

    def pooled_nodes(self, positions: Tensor, species: Tensor, member: int) -> list[tuple[Tensor, Tensor]]:
        """Return for each pooling by one of the networks which part of each atom is in each node (N, M), and where in A
        the nodes are (M, 3); float64."""
        graph: AtomicGraph = open_graph(positions, species, self.descriptor.cutoff)
        radial, tail = self.descriptor.edges(graph.edge_vectors.to(self.networks.scale.dtype))
        center = positions.mean(0, keepdim=True)
        found: list[tuple[Tensor, Tensor]] = []
        for parts, places in self.networks.pooled(self.centered(positions), radial, tail, graph, member):
            found.append((parts.to(torch.float64), places.to(torch.float64) + center))
        return found
