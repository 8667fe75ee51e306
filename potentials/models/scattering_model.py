"""Sparse linear model on wavelet scattering: the total energy of a structure, with the members of its ensemble.

    E = sum_i e0(a_i) + N (Phi . w + b),        member k: E + g (E_k - E),   E_k with (w_k, b_k)

Phi are the features per atom of the paths that any member uses, w and b averages over the members [1, sec. 4.1]; g is
the factor that calibrates the standard deviation of the members on the errors of the validation set. The model
obeys the contract of models of kind `global` (`rhopot.export.global_models`); the grids are what is prepared.

In : positions (N, 3) and cell (3, 3) in A, float64; species (N,) int64; pbc (3,) bool
Range: the structure (a global model). Cost and memory: those of `ScatteringJacobian`; the gradient is made in the
forward pass, block by block, and handed to autograd through E.detach() + g . (x - x.detach()), so no fields are stored.
Without gradients the pass costs a third.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.descriptors.scattering import ScatteringJacobian, WaveletScattering
from rhopot.potentials.descriptors.scattering.grid import GridRule, pack_grid, unpack_grid
from rhopot.potentials.models.global_model import GlobalModel


class ScatteringModel(GlobalModel):
    """Energy of a structure from scattering features.

    Args:
        scattering: the features, F of them.
        coefficients: (F, 1 + K) in eV per atom and unit of the feature: average, then members.
        constants: (1 + K) in eV per atom.
        baseline: A energies in eV, one per element.
        calibration: factor g on the members' deviations from their mean.

    Raises:
        ValueError: arguments for other numbers of features or elements, or a negative calibration.
    """

    coefficients: Tensor
    constants: Tensor
    baseline: Tensor
    calibration: float
    committee: int

    def __init__(
        self,
        scattering: WaveletScattering,
        coefficients: Tensor,
        constants: Tensor,
        baseline: Sequence[float],
        calibration: float = 1.0,
    ) -> None:
        super().__init__()
        if coefficients.shape != (scattering.n_features, len(constants)) or constants.dim() != 1:
            raise ValueError(
                f"coefficients must be ({scattering.n_features}, 1 + K) with 1 + K constants, got "
                f"{tuple(coefficients.shape)} and {tuple(constants.shape)}; fit them to these features"
            )
        if len(baseline) != len(scattering.settings.symbols):
            raise ValueError(
                f"baseline must have one energy for each of {', '.join(scattering.settings.symbols)}, "
                f"got {len(baseline)}; give 0 where there is none"
            )
        if not calibration >= 0:
            raise ValueError(
                f"calibration must be a factor of at least 0, got {calibration}; 1 leaves the members as they are"
            )
        self.jacobian = ScatteringJacobian(scattering)
        self.rule = GridRule(scattering.settings)
        self.register_buffer("coefficients", coefficients.detach().to(torch.float64))
        self.register_buffer("constants", constants.detach().to(torch.float64))
        self.register_buffer("baseline", torch.tensor([float(e) for e in baseline], dtype=torch.float64))
        self.committee = int(coefficients.shape[1]) - 1
        self.calibration = float(calibration)

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee

    def prepare(self, positions: Tensor, cell: Tensor, pbc: Tensor, stretch: float) -> Tensor:
        """Return the grids for a structure, as numbers (see `pack_grid`)."""
        return pack_grid(self.rule(positions.detach(), cell.detach(), pbc, stretch))

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        prepared: Tensor,
        share: int,
        n_shares: int,
        members: bool,
    ) -> Tensor:
        """Return one share of the energies (1 + K) in eV, or (1) without members."""
        grid = unpack_grid(prepared)
        n_atoms = len(species)
        weights = self.coefficients[:, 0]
        gradient = torch.is_grad_enabled() and (positions.requires_grad or cell.requires_grad)
        if gradient:
            features, by_positions, by_cell = self.jacobian(
                weights, positions, species, cell, pbc, grid, share, n_shares
            )
        else:
            features = self.jacobian.scattering(positions.detach(), species, cell.detach(), pbc, grid, share, n_shares)
            by_positions, by_cell = positions, cell  # read by nobody
        energies = features @ self.coefficients * n_atoms
        if share == 0:
            energies = energies + self.constants * n_atoms + torch.sum(self.baseline[species])
        total = energies[:1]
        if gradient:
            # The same number, with a gradient that is known already.
            step = torch.sum(by_positions * (positions - positions.detach()))
            step = step + torch.sum(by_cell * (cell - cell.detach()))
            total = total + n_atoms * step
        if members and self.committee > 0:
            return torch.cat([total, energies[:1] + self.calibration * (energies[1:] - energies[:1])])
        return total

    def member_derivatives(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        prepared: Tensor,
        share: int,
        n_shares: int,
        first: int,
        count: int,
    ) -> Tensor:
        """Return one share of dE_k/dr and dE_k/d(cell), (count, N + 3, 3) in eV/A; never under `torch.no_grad`."""
        grid = unpack_grid(prepared)
        mean = self.coefficients[:, 0]
        parts: list[Tensor] = []
        for k in range(first, first + count):
            weights = mean + self.calibration * (self.coefficients[:, 1 + k] - mean)
            _, by_positions, by_cell = self.jacobian(weights, positions, species, cell, pbc, grid, share, n_shares)
            parts.append(torch.cat([by_positions, by_cell]) * len(species))
        return torch.stack(parts)
