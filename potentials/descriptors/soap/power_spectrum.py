"""SOAP power spectrum: rotation-invariant correlations of two neighbours around an atom (nu = 2).

    c_ulm(i)  = sum_j R_ul,a_j(r_ij) Y_lm(r_ij / r_ij) + own term                                  [1, eqs. 1.22-1.25]
    p_uvl(i)  = sum_m c_ulm(i) c_vlm(i) / sqrt(2 l + 1) * (sqrt(2) if u != v),    u <= v           [1, eqs. 1.16, 1.19b]

u = (species, n) or, with mixed species, one joint index. It is the kernel of three-body functions: p . p' is the
overlap of two environments' densities, squared and averaged over rotations.

In : edge vectors r_ij = r_j - r_i (E, 3) in A and the edge index of one graph (`AtomicGraph`)
Out: (C, F), F = U (U+1) / 2 (L+1), order u > v > l. C2 at the cutoff with the quintic cutoff function.
Range: one cutoff. Cost: O(E n l^2 + C U^2 l^2).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1. Bartók, Kondor, Csányi, doi:10.1103/PhysRevB.87.184115
"""

from typing import Final, Optional

import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.soap import reference as twin
from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings
from rhopot.potentials.descriptors.soap.table import build_table
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class SoapPowerSpectrum(nn.Module):
    """Power spectrum of atomic environments, from edges to features.

    Args:
        settings: settings, with `symbols`.
        coupling: U (L+1, Q, A, N) or (Q, A, N) that contracts the primitive functions (see `coupling`).
        reference: True uses the plain PyTorch operators, which differentiate to any order; a GPU has only them.

    Attributes:
        n_features: F.
        radial: (A, K, 3, L+1, Q) table, float64 until the module is cast.
        species_channel: (A,) channel block of each species.
    """

    reference: Final[bool]
    radial: Tensor
    species_channel: Tensor

    def __init__(self, settings: SoapSettings, coupling: np.ndarray | None = None, reference: bool = False) -> None:
        super().__init__()
        soap = build_table(settings, settings.l_max, coupling)
        self.register_buffer("radial", torch.from_numpy(soap.table.values))
        self.register_buffer("species_channel", torch.from_numpy(soap.species_channel))
        self.settings = settings
        self.reference = reference
        self.cutoff: float = settings.cutoff
        self.center_weight: float = settings.center_weight
        self.n_channels: int = soap.n_channels
        self.n_density: int = soap.n_channels * soap.table.values.shape[4]
        self.n_features: int = self.n_density * (self.n_density + 1) // 2 * (settings.l_max + 1)
        self.table_error: float = soap.table.error

    def table(self) -> RadialTable:
        """Return the radial functions as the operators take them."""
        return RadialTable(self.radial, self.cutoff, self.species_channel, self.n_channels, self.center_weight)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the packed power spectrum (C, F); vectors in the dtype of `radial`."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.soap_power_spectrum(graph, self.table())
        return torch.ops.rhopot.soap_power_spectrum_v1(*graph, *self.table())

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, F) and their derivative (E, 3, F) by each edge vector, in A^-1; no autograd graph."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.soap_jacobian(graph, self.table())
        features, jacobian = torch.ops.rhopot.soap_jacobian_v1(*graph, *self.table())
        return features, jacobian

    def linear(self, graph: AtomicGraph, weights: Tensor, members: bool) -> Tensor:
        """Return p[c] . weights[a_c]: (C, 1+K) for weights (A, F, 1+K), or (C, 1) without members."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.soap_linear(graph, self.table(), weights, members)
        return torch.ops.rhopot.soap_linear_v1(*graph, *self.table(), weights, members)

    def sparse_kernel(
        self,
        graph: AtomicGraph,
        points: Tensor,
        first_point: list[int],
        weights: Tensor,
        zeta: int,
        features: Optional[Tensor],  # noqa: UP045  (TorchScript)
        members: bool,
    ) -> Tensor:
        """Return energies of a sparse dot-product kernel, (C, 1+K) or (C, 1) without members (see `soap_gap`)."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.soap_gap(graph, self.table(), points, first_point, weights, zeta, features, members)
        return torch.ops.rhopot.soap_gap_v1(
            *graph, *self.table(), points, first_point, weights, zeta, features, members
        )


def unpack_power_spectrum(features: Tensor, l_max: int) -> Tensor:
    """Return the full, symmetric spectrum sum_m c_u c_v / sqrt(2 l + 1) from the packed one.

    Args:
        features: (C, F), F = U (U+1) / 2 (L+1).
        l_max: L.

    Returns:
        (C, U, U, L+1).
    """
    packed = features.reshape(features.shape[0], features.shape[1] // (l_max + 1), l_max + 1)
    n_density = int((2.0 * packed.shape[1] + 0.25) ** 0.5)
    u, v = torch.triu_indices(n_density, n_density)
    weight = packed.new_full((len(u),), 2.0**0.5)
    weight[u == v] = 1.0
    packed = packed / weight[:, None]
    full = packed.new_zeros(features.shape[0], n_density, n_density, l_max + 1)
    full[:, u, v] = packed
    full[:, v, u] = packed
    return full
