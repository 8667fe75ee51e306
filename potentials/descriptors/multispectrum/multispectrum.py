"""Multispectra: rotation-invariant correlations of one to four neighbors around an atom, in an optimal radial basis.

In : edge vectors r_ij = r_j - r_i (E, 3) in A and the edge index of one graph (`AtomicGraph`)
Out: (C, F), the invariants that `terms` lists, order nu = 1, 2, 3, 4. C2 at the cutoff with the quintic function.
Range: one cutoff. Cost: O(E L^2 Q + C F L).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1-2
"""

from collections.abc import Sequence
from typing import Final

import ase
import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.multispectrum import reference as twin
from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.potentials.descriptors.multispectrum.tables import TermTables, term_tables
from rhopot.potentials.descriptors.multispectrum.terms import choose_terms
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, learn_basis
from rhopot.potentials.descriptors.soap.table import build_table, coupling_of
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class Multispectrum(nn.Module):
    """Multispectra of atomic environments, from edges to features.

    Args:
        settings: settings, with `symbols`, a learned basis and sizes (`learn`).
        reference: True uses the plain PyTorch operators, which differentiate to any order; a GPU has only them.

    Attributes:
        n_features: F.
        radial: (A, K, 3, L+1, Q) table, float64 until the module is cast.
        species_channel: (A,) channel block of each species.

    Raises:
        ValueError: settings that have not been learned from data.
    """

    reference: Final[bool]
    radial: Tensor
    species_channel: Tensor
    one: Tensor
    two: Tensor
    pairs: Tensor
    three: Tensor
    four: Tensor
    degrees: Tensor
    first_entry: Tensor
    entries: Tensor
    values: Tensor

    def __init__(self, settings: MultispectrumSettings, reference: bool = False) -> None:
        super().__init__()
        if settings.sizes is None:
            raise ValueError("sizes must be learned from data first, got none; use learn(settings, frames)")
        soap = build_table(settings, settings.l_max)
        terms = choose_terms(
            np.array(settings.sizes),
            (settings.n_two, settings.n_three, settings.n_four),
            (settings.l_max, settings.l_three, settings.l_four),
        )
        self.register_buffer("radial", torch.from_numpy(soap.table.values))
        self.register_buffer("species_channel", torch.from_numpy(soap.species_channel))
        for name, tensor in term_tables(terms)._asdict().items():
            self.register_buffer(name, tensor)
        self.settings = settings
        self.reference = reference
        self.cutoff: float = settings.cutoff
        self.center_weight: float = settings.center_weight
        self.n_channels: int = soap.n_channels
        self.n_features: int = terms.n_features
        self.table_error: float = soap.table.error

    def table(self) -> RadialTable:
        """Return the radial functions as the operators take them."""
        return RadialTable(self.radial, self.cutoff, self.species_channel, self.n_channels, self.center_weight)

    def terms(self) -> TermTables:
        """Return the terms as the operators take them."""
        return TermTables(
            self.one,
            self.two,
            self.pairs,
            self.three,
            self.four,
            self.degrees,
            self.first_entry,
            self.entries,
            self.values,
        )

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the invariants (C, F); vectors in the dtype of `radial`."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.graph_multispectrum(graph, self.table(), self.terms())
        density = torch.ops.rhopot.density_expansion_v1(*graph, *self.table())
        return torch.ops.rhopot.multispectrum_v1(density, *self.terms())

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, F) and their derivative (E, 3, F) by each edge vector, in A^-1; no autograd graph."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.multispectrum_jacobian(graph, self.table(), self.terms())
        features, jacobian = torch.ops.rhopot.multispectrum_jacobian_v1(*graph, *self.table(), *self.terms())
        return features, jacobian

    def linear(self, graph: AtomicGraph, weights: Tensor, members: bool) -> Tensor:
        """Return p[c] . weights[a_c]: (C, 1+K) for weights (A, F, 1+K), or (C, 1) without members."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.multispectrum_linear(graph, self.table(), self.terms(), weights, members)
        return torch.ops.rhopot.multispectrum_linear_v1(*graph, *self.table(), *self.terms(), weights, members)


def learn(settings: MultispectrumSettings, frames: Sequence[ase.Atoms]) -> MultispectrumSettings:
    """Return complete settings: contraction and sizes of the channels from `frames`, where they are not known."""
    if settings.sizes is not None:
        return settings
    covariance = density_covariance(settings, frames)
    learned = learn_basis(settings, frames, covariance)
    assert isinstance(learned, MultispectrumSettings)
    n_species, n = covariance.n_species, covariance.n_radial
    blocks = covariance.values.reshape(-1, n_species, n, n_species, n)
    degrees = 2.0 * np.arange(settings.l_max + 1) + 1.0
    u = coupling_of(learned, settings.l_max)
    if settings.species_mode == "mixed":
        square = np.einsum("lqan,lanbm,lqbm->lq", u, blocks, u)
    else:
        square = np.einsum("lqan,lanam,lqam->laq", u, blocks, u).reshape(len(degrees), -1)
    sizes = np.sqrt(np.maximum(square, 0.0) / degrees[:, None])
    return learned.model_copy(update={"sizes": tuple(tuple(float(x) for x in row) for row in sizes)})
