"""Committee of networks on a descriptor (see `models.committee_model`).

Smoothness and range: those of the descriptor. Cost: the descriptor once, K networks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.committee_model import CommitteeModel
from rhopot.potentials.models.network import Networks


class NetworkModel(CommitteeModel):
    """Energies from networks on a descriptor, with baseline and members.

    Args:
        descriptor: module with `n_features` and `forward` (see `Descriptor`).
        networks: as trained; they are folded here.
        baseline, pair, calibration: see `CommitteeModel`.

    Raises:
        ValueError: networks for other numbers of features or elements, or a negative calibration.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        networks: Networks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        calibration: float = 1.0,
    ) -> None:
        if networks.n_features != descriptor.n_features or networks.n_sets not in (1, len(baseline)):
            raise ValueError(
                f"networks must take {descriptor.n_features} features and have 1 or {len(baseline)} weight sets, "
                f"got {networks.n_features} and {networks.n_sets}; make them for this descriptor and its elements"
            )
        super().__init__(descriptor, networks.folded(), baseline, pair, calibration)
        self.register_buffer("own", torch.zeros(0, dtype=networks.output.weight.dtype))
        self.own: Tensor

    def learned(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline."""
        features = self.descriptor(with_vectors(graph, graph.edge_vectors.to(self.own.dtype)))
        found: Tensor = self.networks(features, graph.species[graph.centre])
        return found
