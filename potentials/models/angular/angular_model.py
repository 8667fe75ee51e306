"""Committee of angular networks, which exchange features between atoms."""

from torch import Tensor

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.learned_features_model import LearnedFeaturesModel


class AngularModel(LearnedFeaturesModel):
    """Energies from an `AngularBasis` and `AngularNetworks`, with baseline and members (see `CommitteeModel`)."""

    def of_each(self, graph: AtomicGraph, which: list[int]) -> list[Tensor]:
        """Return the energies (C) in eV by each network in `which`, without baseline."""
        radial, tail = self.descriptor.edges(graph.edge_vectors.to(self.networks.scale.dtype))
        return [self.networks(radial, tail, graph, k) for k in which]
