"""Behler-Parrinello symmetry functions: distances (G2) and angles (G4) around an atom, per species of the neighbours.

    G2(i) = sum_j    exp(-eta (r_ij - R_s)^2) f_c(r_ij)                                                    [1, eq. 6]
    G4(i) = sum_j<k  2^(1-zeta) (1 + lambda cos t_jik)^zeta exp(-eta (r_ij^2 + r_ik^2 + r_jk^2))
                     f_c(r_ij) f_c(r_ik) f_c(r_jk)                                                         [1, eq. 8]

one G2 for each neighbour species and one G4 for each unordered pair of them, on two grids of parameters.

In : edge vectors r_ij = r_j - r_i (E, 3) in A and the edge index of one graph (`AtomicGraph`)
Out: (C, F), F = A N2 + A (A+1) / 2 N4; order: G2, species > eta > R_s; then G4, pair > eta > zeta > lambda
Smoothness: C2 with the quintic cutoff function, C1 with the paper's cosine. Range: one cutoff.
Cost: O(E N2 + T N4) for T pairs of neighbours: it grows with the square of the number of neighbours.

[1] J. Behler, J. Chem. Phys. 134, 074106 (2011), doi:10.1063/1.3553717
"""

from typing import Final

import torch
from torch import Tensor

from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.descriptors.symmetry_functions import reference as twin
from rhopot.potentials.descriptors.symmetry_functions.reference import SymmetryGrid
from rhopot.potentials.descriptors.symmetry_functions.symmetry_settings import SymmetryFunctionSettings
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class SymmetryFunctions(Features):
    """Symmetry functions of atomic environments, from edges to features.

    Args:
        settings: settings, with `symbols`.
        reference: True uses the plain PyTorch operators, which differentiate to any order; a GPU has only them.

    Attributes:
        n_features: F.
        radial: (N2, 2) eta in A^-2 and R_s in A of each G2, float64 until the module is cast.
        angular: (N_eta,) eta of the G4 in A^-2.

    Raises:
        ValueError: `settings` name no elements.
    """

    reference: Final[bool]
    radial: Tensor
    angular: Tensor
    zeta: list[int]
    sign: list[int]

    def __init__(self, settings: SymmetryFunctionSettings, reference: bool = False) -> None:
        super().__init__()
        if not settings.symbols:
            raise ValueError("symbols must name at least one element, got none; use settings.with_symbols([...])")
        scale = settings.eta_scale
        grid = [(scale * eta, shift) for eta in settings.g2_etas for shift in settings.g2_shifts]
        self.register_buffer("radial", torch.tensor(grid, dtype=torch.float64).reshape(-1, 2))
        self.register_buffer("angular", torch.tensor([scale * eta for eta in settings.g4_etas], dtype=torch.float64))
        self.settings = settings
        self.reference = reference
        self.zeta = list(settings.g4_zetas)
        self.sign = list(settings.g4_signs)
        self.cutoff: float = settings.cutoff
        self.cutoff_width: float = settings.width
        self.cutoff_function: str = settings.cutoff_function
        self.n_species: int = len(settings.symbols)
        self.n_features: int = settings.n_features

    def grid(self) -> SymmetryGrid:
        """Return the functions as the operators take them."""
        return SymmetryGrid(
            self.radial, self.angular, self.zeta, self.sign,
            self.cutoff, self.cutoff_width, self.cutoff_function, self.n_species,
        )  # fmt: skip

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the symmetry functions (C, F); vectors in the dtype of `radial`."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.symmetry_functions(graph, self.grid())
        return torch.ops.rhopot.symmetry_functions_v1(*graph, *self.grid())

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, F) and their derivative (E, 3, F) by each edge vector, in A^-1; no autograd graph."""
        if self.reference or graph.edge_vectors.is_cuda:
            return twin.symmetry_jacobian(graph, self.grid())
        features, jacobian = torch.ops.rhopot.symmetry_jacobian_v1(*graph, *self.grid())
        return features, jacobian
