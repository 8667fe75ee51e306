"""SOAP radial spectrum: how many neighbours of each species stand at which distance (nu = 1).

    p_u(i) = c_u00(i) = Y_00 sum_j R_u0,a_j(r_ij) + own term                                        [1, eqs. 1.16, 1.22]

the rotation-invariant part of the density itself: a two-body descriptor.

In : edge vectors r_ij = r_j - r_i (E, 3) in A and the edge index of one graph (`AtomicGraph`)
Out: (C, U), order species > n. C2 at the cutoff with the quintic cutoff function. Range: one cutoff. Cost: O(E n).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.density import reference as twin
from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings
from rhopot.potentials.descriptors.soap.table import build_table
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class RadialSpectrum(Features):
    """Radial spectrum of atomic environments, from edges to features; `settings.l_max` is not used.

    Args:
        settings: settings, with `symbols`.
        coupling: U (1, Q, A, N) or (Q, A, N) that contracts the primitive functions (see `coupling`).
        reference: True uses the plain PyTorch operators, which differentiate to any order; a GPU has only them.

    Attributes:
        n_features: U.
        radial: (A, K, 3, 1, Q) table, float64 until the module is cast.
        species_channel: (A,) channel block of each species.
    """

    reference: Final[bool]
    radial: Tensor
    species_channel: Tensor

    def __init__(self, settings: SoapSettings, coupling: np.ndarray | None = None, reference: bool = False) -> None:
        super().__init__()
        soap = build_table(settings, 0, coupling)
        self.register_buffer("radial", torch.from_numpy(soap.table.values))
        self.register_buffer("species_channel", torch.from_numpy(soap.species_channel))
        self.settings = settings
        self.reference = reference
        self.cutoff: float = settings.cutoff
        self.center_weight: float = settings.center_weight
        self.n_channels: int = soap.n_channels
        self.n_features: int = soap.n_channels * soap.table.values.shape[4]
        self.table_error: float = soap.table.error

    def table(self) -> RadialTable:
        """Return the radial functions as the operators take them."""
        return RadialTable(self.radial, self.cutoff, self.species_channel, self.n_channels, self.center_weight)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the radial spectrum (C, U); vectors in the dtype of `radial`."""
        if self.reference or graph.edge_vectors.is_cuda:
            density = twin.density_expansion(graph, self.table())
        else:
            density = torch.ops.rhopot.density_expansion_v1(*graph, *self.table())
        return density[:, 0, :]

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, U) and their derivative (E, 3, U) by each edge vector, in A^-1; no autograd graph."""
        features = self.forward(graph)
        jacobian = twin.expansion_jacobian(graph, self.table())
        return features.detach(), jacobian[:, :, 0, :].detach()
