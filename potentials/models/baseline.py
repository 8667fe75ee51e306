"""Energies that a model adds to what it has learnt: a constant per element and, where given, a pair potential."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NoPair(nn.Module):
    """The absent pair baseline: zero energy for every centre."""

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return zeros (C)."""
        return torch.zeros([centre.shape[0]], dtype=edge_vectors.dtype, device=edge_vectors.device)


class EnergyBaseline(nn.Module):
    """Per-element constant (eV) plus pair energies (eV), in float64 whatever the model's own float type.

    Args:
        elements: energy per atom of each element, in the order of the model's symbols.
        pair: module (edge_vectors, first_edge, neighbour, centre, species) -> energy (C) in eV, or None.
    """

    elements: list[float]

    def __init__(self, elements: Sequence[float], pair: nn.Module | None = None) -> None:
        super().__init__()
        self.elements = [float(energy) for energy in elements]
        self.pair = NoPair() if pair is None else pair

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return the baseline energy of each centre (C) in float64."""
        # Filled one by one: in TorchScript torch.tensor(list of floats) rounds to float32 whatever dtype it is given.
        constant = torch.zeros([len(self.elements)], dtype=torch.float64, device=edge_vectors.device)
        for a in range(len(self.elements)):
            constant[a].fill_(self.elements[a])
        pair = self.pair(edge_vectors, first_edge, neighbour, centre, species)
        return constant[species[centre]] + pair.to(torch.float64)
