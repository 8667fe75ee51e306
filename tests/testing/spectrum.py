"""A small power spectrum made of the reference operators: real physics for tests of regressors and fits."""

import ase
import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.soap import reference
from rhopot.potentials.graph.neighbours import find_edges


class SmallSpectrum(nn.Module):
    """Power spectrum with R_ql = (1 - x^2)^3 exp(-2 q x^2) x^l, x = r / r_c, and one channel per species."""

    def __init__(self, n_species: int, cutoff: float = 4.5, n_max: int = 3, l_max: int = 2) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.n_channels = n_species
        width = n_species * n_max
        self.n_features = width * (width + 1) // 2 * (l_max + 1)
        self.register_buffer("radial", _table(n_species, cutoff, n_max, l_max))
        self.register_buffer("species_channel", torch.arange(n_species))

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return p (C, F)."""
        return reference.soap_power_spectrum(
            edge_vectors, first_edge, neighbour, centre, species,
            self.radial, self.cutoff, self.species_channel, self.n_channels, 1.0,
        )  # fmt: skip

    def jacobian(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return p (C, F) and dp (E, 3, F)."""
        return reference.soap_jacobian(
            edge_vectors, first_edge, neighbour, centre, species,
            self.radial, self.cutoff, self.species_channel, self.n_channels, 1.0,
        )  # fmt: skip

    def linear(
        self,
        edge_vectors: Tensor,
        first_edge: Tensor,
        neighbour: Tensor,
        centre: Tensor,
        species: Tensor,
        weights: Tensor,
        members: bool,
    ) -> Tensor:
        """Return p . weights (C, 1 + K)."""
        return reference.soap_linear(
            edge_vectors, first_edge, neighbour, centre, species,
            self.radial, self.cutoff, self.species_channel, self.n_channels, 1.0, weights, members,
        )  # fmt: skip


def arguments(atoms: ase.Atoms, symbols: tuple[str, ...], cutoff: float) -> list[Tensor]:
    """Return the tensors of the local model's argument list for one structure."""
    edges = find_edges(atoms, cutoff)
    species = torch.tensor([symbols.index(s) for s in atoms.symbols], dtype=torch.int64)
    found = (edges.vectors, edges.first_edge, edges.neighbour, edges.centre)
    return [*(torch.from_numpy(np.ascontiguousarray(part)) for part in found), species]


def _table(n_species: int, cutoff: float, n_max: int, l_max: int) -> Tensor:
    """Return the radial table (A, K, 3, L + 1, Q), its derivatives by automatic differentiation."""
    knots = torch.linspace(0.0, cutoff, 61, dtype=torch.float64)

    def value(r: Tensor, degree: int, order: int) -> Tensor:
        x = r / cutoff
        return (1 - x**2) ** 3 * torch.exp(-2.0 * order * x**2) * x**degree

    table = np.zeros((len(knots), 3, l_max + 1, n_max))
    for degree in range(l_max + 1):
        for order in range(n_max):
            r = knots.clone().requires_grad_(True)
            f = value(r, degree, order)
            (slope,) = torch.autograd.grad(f.sum(), r, create_graph=True)
            (second,) = torch.autograd.grad(slope.sum(), r)
            table[:, :, degree, order] = torch.stack([f, slope, second], dim=1).detach().numpy()
    table[-1] = 0.0
    return torch.from_numpy(np.repeat(table[None], n_species, axis=0))
