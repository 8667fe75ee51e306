"""Base of local models: the exported argument list, turned into an `AtomicGraph` once."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.extrapolation import ExtrapolationGrade


class LocalModel(nn.Module):
    """Energies of centres from their edges, as model files give them (see `rhopot.export.local_models`).

    A subclass defines `energies`; `forward` is what ASE and LAMMPS call, and where a fit has given the model an
    `extrapolation`, `extrapolation_grades` too. That takes the subclass' `descriptor` (see `Descriptor`).
    """

    if TYPE_CHECKING:  # TorchScript takes the types of modules from their instances
        descriptor: Any

    def __init__(self) -> None:
        super().__init__()
        self.extrapolation: ExtrapolationGrade | None = None

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, float64, of the centres; column 0 alone, (C, 1), without members."""
        raise NotImplementedError("a local model must define energies")

    def forward(
        self,
        edge_vectors: Tensor,
        first_edge: Tensor,
        neighbour: Tensor,
        centre: Tensor,
        species: Tensor,
        members: bool,
    ) -> Tensor:
        """Return `energies` of the graph with these fields."""
        return self.energies(AtomicGraph(edge_vectors, first_edge, neighbour, centre, species), members)

    def extrapolation_grades(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return how far the centres of the graph lie outside the training data (C), above 1: outside; float64."""
        if self.extrapolation is None:
            return torch.zeros([centre.shape[0]], dtype=torch.float64, device=centre.device)
        graph = AtomicGraph(edge_vectors, first_edge, neighbour, centre, species)
        directions = self.extrapolation.directions
        own = with_vectors(graph, edge_vectors.to(directions.dtype))
        return self.extrapolation(self.descriptor.linear(own, directions, True), species[centre])
