"""Committee of networks that learn features of atoms. With two layers or more, centers are all atoms of the graph."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.committee_model import CommitteeModel


class LearnedFeaturesModel(CommitteeModel):
    """Energies from networks of several layers (see `CommitteeModel`); a subclass defines `of_each`.

    Derivatives of one network pass through that network alone, so that the forces of K members cost as much as K
    networks: columns are made of all members, and each derivative of a column passes through all of them.

    n_layers: layers of the networks, that the model's card states; an evaluation with several ranks exchanges features
        between them
    """

    def __init__(
        self,
        descriptor: Any,
        networks: Any,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        calibration: float = 1.0,
    ) -> None:
        super().__init__(descriptor, networks, baseline, pair, calibration)
        self.n_layers: int = len(networks.layers)

    def of_each(self, graph: AtomicGraph, which: list[int]) -> list[Tensor]:
        """Return the energies (C) in eV by each network in `which`, without baseline."""
        raise NotImplementedError("a model with learned features must define of_each")

    def learned(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline."""
        return torch.stack(self.of_each(graph, list(range(self.committee))))

    def member(self, graph: AtomicGraph, k: int) -> Tensor:
        """Return the energies (C) in eV by network k, without baseline."""
        return self.of_each(graph, [k])[0]

    def members_apart(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Return the columns (C, 1 + K), the energies a_k (C) of each network, both in eV, and the factor g.

        Column k is that of the prediction, e, and of one network: e + g (a_k - e).
        """
        graph = AtomicGraph(edge_vectors, first_edge, neighbour, centre, species)
        fixed = self.baseline(graph)
        learned = [energies.to(torch.float64) for energies in self.of_each(graph, list(range(self.committee)))]
        columns = self.columns(torch.stack(learned, 1), fixed, True)
        return columns, [energies + fixed for energies in learned], self.calibration
