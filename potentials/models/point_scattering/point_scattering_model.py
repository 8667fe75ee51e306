"""Committee of networks of point scattering, which exchange features between atoms."""

from torch import Tensor

from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.learned_features_model import LearnedFeaturesModel


class PointScatteringModel(LearnedFeaturesModel):
    """Energies from `PointWavelets` and `PointScatteringNetworks`, with baseline and members (see `CommitteeModel`)."""

    def of_each(self, graph: AtomicGraph, which: list[int]) -> list[Tensor]:
        """Return the energies (C) in eV by each network in `which`, without baseline."""
        own = with_vectors(graph, graph.edge_vectors.to(self.descriptor.exponents.dtype))
        wavelets, atoms = self.descriptor.neighbourhoods(own)
        return [self.networks(wavelets, atoms, own, k) for k in which]
