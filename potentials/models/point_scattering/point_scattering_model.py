"""Committee of networks of point scattering; with two layers or more centers are all atoms of the graph."""

from collections.abc import Sequence

from torch import Tensor, nn

from rhopot.potentials.descriptors.point_scattering import PointWavelets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.committee_model import CommitteeModel
from rhopot.potentials.models.point_scattering.network import PointScatteringNetworks


class PointScatteringModel(CommitteeModel):
    """Energies from networks of point scattering, with baseline and members (see `CommitteeModel`)."""

    def __init__(
        self,
        descriptor: PointWavelets,
        networks: PointScatteringNetworks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__(descriptor, networks, baseline, pair, spread)
        self.n_layers: int = len(networks.layers)

    def learnt(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline."""
        own = with_vectors(graph, graph.edge_vectors.to(self.descriptor.exponents.dtype))
        wavelets, atoms = self.descriptor.neighbourhoods(own)
        found: Tensor = self.networks(wavelets, atoms, own)
        return found
