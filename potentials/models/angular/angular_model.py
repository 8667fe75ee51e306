"""Committee of angular networks: the mean is the prediction, the standard deviation its uncertainty.

As `models.network_model`, with networks that exchange features between atoms: centers are all atoms of the graph.

In : edges of one graph, edge vectors in float64 and A
Out: energies per center in eV (C, 1 + K), float64; column 0 is the prediction, (C, 1) without members
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.local_model import LocalModel


class AngularModel(LocalModel):
    """Energies from angular networks, with baseline and members.

    Args:
        descriptor: the basis.
        networks: as trained.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        spread: factor on the members' deviations from their mean.
    """

    committee: int

    def __init__(
        self,
        descriptor: AngularBasis,
        networks: AngularNetworks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.networks = networks.requires_grad_(False)
        self.committee = networks.n_members
        self.n_layers: int = len(networks.layers)
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("spread", torch.tensor(float(spread), dtype=torch.float64))
        self.spread: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee if self.committee > 1 else 0

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        radial, tail = self.descriptor.edges(graph.edge_vectors.to(self.networks.scale.dtype))
        learnt = self.networks(radial, tail, graph).to(torch.float64).t()
        fixed = self.baseline(graph).unsqueeze(1)
        mean = learnt.mean(1, keepdim=True) + fixed
        if members and self.committee > 1:
            departures = (learnt + fixed - mean) * self.spread.to(torch.float64)
            return torch.cat([mean, mean + departures], dim=1)
        return mean
