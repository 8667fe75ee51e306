"""Committee of angular networks, which exchange features between atoms: centers are all atoms of the graph."""

from collections.abc import Sequence

from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.committee_model import CommitteeModel


class AngularModel(CommitteeModel):
    """Energies from angular networks, with baseline and members (see `CommitteeModel`)."""

    def __init__(
        self,
        descriptor: AngularBasis,
        networks: AngularNetworks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__(descriptor, networks, baseline, pair, spread)
        self.n_layers: int = len(networks.layers)

    def learnt(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline."""
        radial, tail = self.descriptor.edges(graph.edge_vectors.to(self.networks.scale.dtype))
        found: Tensor = self.networks(radial, tail, graph)
        return found
