"""GMP features: norms of Gaussian multipoles of the valence density around an atom.

    c_qlm(i)  = sum_j R_ql,a_j(r_ij) Y_lm(r_ij / r_ij) + own term         q = (trace t, probe p), order n = l + 2 t
    s_pn(i)   = sum_{l + 2 t = n} sum_m c_(t p)lm(i)^2                  [1, eqs. 3-5: weighted Cartesian norm, squared]
    Phi_pn(i) = sqrt(s_pn + eps_pn^2) - eps_pn

One density for all elements: the number of features is P (L+1), whatever the elements. Each neighbour enters by the
density of its element (see `radial`), the centre by its own at r = 0. The split over l, m is exact (see
`decomposition`). On symmetric sites norms vanish; eps makes them quadratic in small displacements there (see `table`).

In : edge vectors r_ij = r_j - r_i (E, 3) in A and the edge index of one graph (`AtomicGraph`)
Out: (C, F), F = P (L+1), order probe > order of the harmonic. C2 at the cutoff. Range: one cutoff. Cost: O(E P L^3).

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.descriptors.gmp import reference as twin
from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings
from rhopot.potentials.descriptors.gmp.radial import AtomDensity
from rhopot.potentials.descriptors.gmp.table import build_table
from rhopot.potentials.descriptors.gmp.valence import valence_density
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class GmpFeatures(Features):
    """Gaussian multipole features of atomic environments, from edges to features.

    Args:
        settings: settings, with `symbols`.
        densities: one density per symbol; None takes the valence densities of the elements.
        reference: True uses the plain PyTorch operators, which differentiate to any order; a GPU has only them.

    Attributes:
        n_features: F = P (L+1).
        radial: (A, K, 3, L+1, Q) table, float64 until the module is cast.
        species_channel: (A,) zeros: all elements share one density.
        floor: (F,) eps of each norm.
        scale: (F,) typical magnitude of each feature (see `table`); not part of the module's state.
    """

    reference: Final[bool]
    radial: Tensor
    species_channel: Tensor
    floor: Tensor

    def __init__(
        self, settings: GmpSettings, densities: Sequence[AtomDensity] | None = None, reference: bool = False
    ) -> None:
        super().__init__()
        found = [valence_density(symbol) for symbol in settings.symbols] if densities is None else densities
        gmp = build_table(settings, found)
        self.register_buffer("radial", torch.from_numpy(gmp.table.values))
        self.register_buffer("species_channel", torch.zeros(len(settings.symbols), dtype=torch.int64))
        self.register_buffer("floor", torch.from_numpy(gmp.floor))
        self.settings = settings
        self.reference = reference
        self.cutoff: float = settings.cutoff
        self.center_weight: float = settings.center_weight
        self.n_probes: int = len(settings.probe_widths)
        self.n_features: int = settings.n_features
        self.table_error: float = gmp.table.error
        self.scale = gmp.scale

    def table(self) -> RadialTable:
        """Return the radial functions as the operators take them."""
        return RadialTable(self.radial, self.cutoff, self.species_channel, 1, self.center_weight)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the features (C, F); vectors in the dtype of `radial`."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.gmp_features(graph, self.table(), self.n_probes, self.floor)
        return torch.ops.rhopot.gmp_features_v1(*graph, *self.table(), self.n_probes, self.floor)

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, F) and their derivative (E, 3, F) by each edge vector, in A^-1; no autograd graph."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.gmp_jacobian(graph, self.table(), self.n_probes, self.floor)
        features, jacobian = torch.ops.rhopot.gmp_jacobian_v1(*graph, *self.table(), self.n_probes, self.floor)
        return features, jacobian
