"""A small power spectrum made of the reference operators: real physics for tests of regressors and fits."""

import ase
import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.soap import reference
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, species_of
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

    def table(self) -> RadialTable:
        """Return the radial functions as the operators take them."""
        return RadialTable(self.radial, self.cutoff, self.species_channel, self.n_channels, 1.0)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return p (C, F)."""
        return reference.soap_power_spectrum(graph, self.table())

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return p (C, F) and dp (E, 3, F)."""
        return reference.soap_jacobian(graph, self.table())

    def linear(
        self,
        graph: AtomicGraph,
        weights: Tensor,
        members: bool,
    ) -> Tensor:
        """Return p . weights (C, 1 + K)."""
        return reference.soap_linear(graph, self.table(), weights, members)


def arguments(atoms: ase.Atoms, symbols: tuple[str, ...], cutoff: float) -> AtomicGraph:
    """Return the graph of one structure."""
    return as_graph(find_edges(atoms, cutoff), species_of(atoms, symbols))


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
            (derivative,) = torch.autograd.grad(f.sum(), r, create_graph=True)
            (second,) = torch.autograd.grad(derivative.sum(), r)
            table[:, :, degree, order] = torch.stack([f, derivative, second], dim=1).detach().numpy()
    table[-1] = 0.0
    return torch.from_numpy(np.repeat(table[None], n_species, axis=0))
