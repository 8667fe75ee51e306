"""Energies that a model adds to what it has learned: a constant per element and, where given, a pair potential."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph


class NoPair(nn.Module):
    """The absent pair baseline: zero energy for every centre."""

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return zeros (C)."""
        return torch.zeros([graph.centre.shape[0]], dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)


class EnergyBaseline(nn.Module):
    """Per-element constant (eV) plus pair energies (eV), in float64 whatever the model's own float type.

    Args:
        elements: energy per atom of each element, in the order of the model's symbols.
        pair: module (graph) -> energy (C) in eV, or None.
    """

    elements: list[float]

    def __init__(self, elements: Sequence[float], pair: nn.Module | None = None) -> None:
        super().__init__()
        self.elements = [float(energy) for energy in elements]
        self.pair = NoPair() if pair is None else pair

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the baseline energy of each centre (C) in float64."""
        # Filled one by one: in TorchScript torch.tensor(list of floats) rounds to float32 whatever dtype it is given.
        constant = torch.zeros([len(self.elements)], dtype=torch.float64, device=graph.edge_vectors.device)
        for a in range(len(self.elements)):
            constant[a].fill_(self.elements[a])
        pair = self.pair(graph)
        return constant[graph.species[graph.centre]] + pair.to(torch.float64)
