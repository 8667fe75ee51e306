"""Wavelet scattering of a periodic structure: from atoms to invariants of the whole cell.

    rho_c(u)  = sum_k c(Z_k) delta(u - R_k)                                                          [1, eq. 2.2]
    f_c,l(u)  = sigma(rho_c * psi_l)(u)                                 first order, l = (n1, l1, j1) [1, eq. 2.11]
    f_c,ll'   = sigma(f_c,l * psi_l')                                   second order                  [1, eq. 2.20]
    features  : 1,  sum_k |c(Z_k)|^q / N,  int f^q du / N               see `paths`                   [1, eq. 4.1]

The densities of the species are transformed once; channels are linear combinations of them (of their fields where
species are fewer than channels). Every transform is real. Scale j stands on a grid 2^j times coarser (`grid`); a
modulus goes to other grids by its Fourier coefficients.

In : positions (N, 3) and cell (3, 3) in A, species (N,), pbc (3,), a `ScatteringGrid`
Out: (F,) per atom, in powers of A given by the wavelets' definition (`wavelets`). Differentiable in positions and cell.
     Translations below a grid point, other cells of one crystal: equal to the error of sums over grid points, since no
     modulus is limited in band. Rotation of atoms with their cell, permutations: exact.
TorchScript compiles the module: its plan lies in lists of integers, one entry per block (see `plan`).
Blocks are independent: share s of S computes some of them, by falling cost each to the share that has least to do, and
share 0 the bias and the zeroth order.
Cost: O(N w^3 + V log V) per wavelet. Memory without gradients: a few fields of one block.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from rhopot.potentials import operators
from rhopot.potentials.descriptors.scattering import modulus as twin
from rhopot.potentials.descriptors.scattering.convolution_plan import ConvolutionPlan, make_convolution_plan
from rhopot.potentials.descriptors.scattering.grid import ScatteringGrid, boxed_cell
from rhopot.potentials.descriptors.scattering.nufft import fine_points, spread, window_width, windows_to_sums
from rhopot.potentials.descriptors.scattering.paths import WaveletPath, all_paths
from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings
from rhopot.potentials.descriptors.scattering.wavelets import (
    crop,
    dual_vectors,
    typical_field,
    typical_gain,
    wavelet_filters,
)

operators.load()

# Real numbers of a field's components that gradients hold at once where channels can be taken one by one: 2 MiB stay in
# the cache, and what the allocator hands back to the system, page by page, cost a fifth of the time with 16 MiB.
CHUNK = 1 << 18
# Time of a field's modulus and powers, there and back, over that of one component's transform (measured).
MODULUS = 0.5


class WaveletScattering(nn.Module):
    """Scattering features of structures.

    Args:
        settings: settings, with `symbols`.
        paths: features to evaluate, in this order; None takes all. Only what they need is computed.
        reference: True uses the plain PyTorch operators, which differentiate to any order (`modulus`).

    Attributes:
        paths: what each feature is.
        n_features: F.
        n_blocks: first wavelets to compute.
    """

    reference: Final[bool]
    weights: Tensor
    largest: Tensor
    places: Tensor
    wavelets: list[tuple[int, int]]
    scales: list[float]
    powers: list[float]
    first_wavelet: list[int]
    first_scale: list[int]
    first_level: list[int]
    first_floor: list[float]
    integrates: list[bool]
    channels: list[list[int]]
    second_wavelet: list[list[int]]
    second_scale: list[list[int]]
    second_gain: list[list[float]]
    second_rows: list[list[list[int]]]
    filtered_scales: list[int]

    def __init__(
        self, settings: ScatteringSettings, paths: Sequence[WaveletPath] | None = None, reference: bool = False
    ) -> None:
        super().__init__()
        if not settings.symbols:
            raise ValueError("symbols must name at least one element, got none; use settings.with_symbols")
        allowed = all_paths(settings)
        known = set(allowed)
        foreign = [path.name for path in paths or () if path not in known]
        if foreign:
            raise ValueError(f"paths must be allowed by the settings, got {foreign[0]}; see all_paths")
        self.settings = settings
        self.reference = reference
        self.paths = tuple(allowed if paths is None else paths)
        self.n_features = len(self.paths)
        self.wavelets, self.scales, self.powers = list(settings.wavelets), list(settings.scales), list(settings.powers)
        self.beta: float = settings.base_width
        self.regularization: float = settings.regularization
        self.width: int = window_width(settings.tolerance)
        self.chunk: int = CHUNK
        self.modulus_cost: float = MODULUS
        self.register_buffer("weights", torch.tensor(settings.weights, dtype=torch.float64))
        self.register_buffer("largest", torch.amax(torch.abs(self.weights), dim=1))
        self._keep(make_convolution_plan(settings, self.paths))

    def _keep(self, plan: ConvolutionPlan) -> None:
        """Write the plan into lists, one entry per block."""
        self.register_buffer("places", torch.tensor(plan.places, dtype=torch.int64))
        self.n_integrals: int = plan.size
        self.n_blocks: int = len(plan.blocks)
        self.first_wavelet = [block.wavelet for block in plan.blocks]
        self.first_scale = [block.scale for block in plan.blocks]
        self.first_level = [block.level for block in plan.blocks]
        self.integrates = [block.integrate for block in plan.blocks]
        self.channels = [list(block.channels) for block in plan.blocks]
        self.second_wavelet = [[second.wavelet for second in block.seconds] for block in plan.blocks]
        self.second_scale = [[second.scale for second in block.seconds] for block in plan.blocks]
        self.second_rows = [[list(second.rows) for second in block.seconds] for block in plan.blocks]
        self.first_floor = [
            self.regularization * typical_field(*self.wavelets[block.wavelet], self.scales[block.scale], self.beta)
            for block in plan.blocks
        ]
        self.second_gain = [
            [
                typical_gain(*self.wavelets[each.wavelet], self.scales[each.scale], self.beta, self.scales[block.scale])
                for each in block.seconds
            ]
            for block in plan.blocks
        ]
        self.filtered_scales = sorted({scale for each in self.second_scale for scale in each})

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        grid: ScatteringGrid,
        share: int = 0,
        n_shares: int = 1,
    ) -> Tensor:
        """Return one share of the features (F,), per atom; zero where they belong to other shares.

        Args:
            positions: (N, 3) in A, N >= 1.
            species: (N,) int64, index into `settings.symbols`.
            cell: (3, 3) in A, rows are vectors.
            pbc: (3,) bool.
            grid: from `choose_grid`, the same for all structures that shall vary smoothly.
            share, n_shares: which part to compute, and how many there are.
        """
        shares = self.block_shares(grid.points, n_shares)
        if share not in shares:
            return self.idle(species, share)
        box = boxed_cell(cell, pbc, grid.lengths)
        sums = self.species_sums(positions, species, box, grid.points[0])
        filters: dict[int, list[Tensor]] = {}
        for scale in self.needed_scales(shares, share):
            filters[scale] = self.scale_filters(scale, box, grid.points[scale])
        pieces = [self.unstructured(species, share)]
        for block in range(self.n_blocks):
            if shares[block] == share:
                pieces.append(self.block(block, sums, box, grid.points, filters))
            else:
                pieces.append(torch.zeros([self.block_size(block)], dtype=sums.real.dtype, device=sums.device))
        return self.arranged(pieces, len(species))

    def arranged(self, pieces: list[Tensor], n_atoms: int) -> Tensor:
        """Return the features (F,) from integrals in the order of appearance (see `ConvolutionPlan`)."""
        return (torch.cat(pieces) / n_atoms)[self.places]

    def unstructured(self, species: Tensor, share: int) -> Tensor:
        """Return the bias and zeroth order, times the number of atoms: part of share 0."""
        zeroth = self.zeroth(species)
        pieces = torch.cat([torch.full_like(zeroth[:1], len(species)), zeroth])
        return pieces if share == 0 else torch.zeros_like(pieces)

    def idle(self, species: Tensor, share: int) -> Tensor:
        """Return the features (F,) of a share without blocks, zeros but for those of share 0."""
        pieces = self.unstructured(species, share)
        rest = torch.zeros([self.n_integrals - len(pieces)], dtype=pieces.dtype, device=pieces.device)
        return self.arranged([pieces, rest], len(species))

    def species_sums(self, positions: Tensor, species: Tensor, box: Tensor, points: list[int]) -> Tensor:
        """Return the Fourier sums (A, n1, n2, n3//2+1) of the species on the finest grid, divided by the volume."""
        windows = self.species_windows(positions, species, box, points)
        return windows_to_sums(windows, points, self.width) / torch.abs(torch.linalg.det(box))

    def species_windows(self, positions: Tensor, species: Tensor, box: Tensor, points: list[int]) -> Tensor:
        """Return the windows of the atoms of every species (A, m1, m2, m3), from which their Fourier sums come."""
        fractional = positions @ torch.linalg.inv(box)
        return spread(fractional, species, self.weights.shape[1], fine_points(points), self.width)

    def zeroth(self, species: Tensor) -> Tensor:
        """Return sum_k |c(Z_k)|^q, flat, order channel > q."""
        weights = torch.abs(self.weights[:, species])
        return torch.stack([torch.sum(weights**q, dim=1) for q in self.powers], dim=1).reshape(-1)

    def scale_filters(self, scale: int, box: Tensor, points: list[int]) -> list[Tensor]:
        """Return the filters of second wavelets at a scale (by index), one (2l+1, n1, n2, n3//2+1) per (n, l)."""
        return [self.filters(wavelet, scale, box, points) for wavelet in range(len(self.wavelets))]

    def filters(self, wavelet: int, scale: int, box: Tensor, points: list[int]) -> Tensor:
        """Return the filters (2l+1, n1, n2, n3//2+1) of a wavelet (by index) at a scale (by index)."""
        dual = dual_vectors(box, self.scales[scale])
        order, degree = self.wavelets[wavelet]
        if self.reference or box.is_cuda:
            return wavelet_filters(dual, points, self.beta, order, degree)
        return torch.ops.rhopot.wavelet_filters_v1(dual, points, self.beta, order, degree)

    def block_size(self, block: int) -> int:
        """Return how many integrals a block has."""
        rows = len(self.channels[block]) if self.integrates[block] else 0
        for each in self.second_rows[block]:
            rows += len(each)
        return rows * len(self.powers)

    def block_shares(self, points: list[list[int]], n_shares: int) -> list[int]:
        """Return the share of every block: by falling cost, each to the share with least work so far."""
        costs = [self.block_cost(block, points) for block in range(self.n_blocks)]
        shares = [0] * len(costs)
        loads = [0] * n_shares
        left = [True] * len(costs)
        for _ in range(len(costs)):
            block = -1
            for candidate in range(len(costs)):
                if left[candidate] and (block < 0 or costs[candidate] > costs[block]):
                    block = candidate
            least = 0
            for candidate in range(n_shares):
                if loads[candidate] < loads[least]:
                    least = candidate
            shares[block] = least
            loads[least] += costs[block]
            left[block] = False
        return shares

    def needed_scales(self, shares: list[int], share: int) -> list[int]:
        """Return the scales of the second wavelets in the blocks of a share (see `block_shares`)."""
        needed: list[int] = []
        for scale in self.filtered_scales:
            for block in range(self.n_blocks):
                if shares[block] == share and scale in self.second_scale[block] and scale not in needed:
                    needed.append(scale)
        return needed

    def block_cost(self, block: int, points: list[list[int]]) -> int:
        """Return the work on a block: grid points of all transforms, and MODULUS times those of all moduli."""
        own = points[self.first_level[block]]
        fields = len(self.channels[block])
        transforms = min(fields, self.weights.shape[1]) * (2 * self.wavelets[self.first_wavelet[block]][1] + 1)
        cost = (transforms + self.modulus_cost * fields) * own[0] * own[1] * own[2]
        for which, scale in enumerate(self.second_scale[block]):
            own = points[scale]
            fields = len(self.second_rows[block][which])
            transforms = fields * (2 * self.wavelets[self.second_wavelet[block][which]][1] + 1)
            cost += (transforms + self.modulus_cost * fields) * own[0] * own[1] * own[2]
        return int(cost)

    def block(
        self, block: int, sums: Tensor, box: Tensor, points: list[list[int]], filters: dict[int, list[Tensor]]
    ) -> Tensor:
        """Return the integrals of one block, flat, in the order of `ConvolutionPlan`.

        Args:
            block: which one.
            sums: from `species_sums`.
            box: (3, 3).
            points: points of the grids of all scales.
            filters: `scale_filters` of every second scale.
        """
        volume = torch.abs(torch.linalg.det(box))
        modulus = self.first_modulus(block, sums, box, points)
        pieces: list[Tensor] = []
        if self.integrates[block]:
            pieces.append(self.first(modulus, volume))
        if len(self.second_scale[block]) > 0:
            spectrum = self.coefficients(modulus)
            for which, scale in enumerate(self.second_scale[block]):
                filtered = filters[scale][self.second_wavelet[block][which]]
                rows = self.second_rows[block][which]
                pieces.append(self.second(block, which, rows, spectrum, filtered, volume, points))
        return torch.cat(pieces)

    def first_modulus(self, block: int, sums: Tensor, box: Tensor, points: list[list[int]]) -> Tensor:
        """Return sigma(rho_c * psi) (C, n1, n2, n3) of a block's channels on the block's grid."""
        have, own = points[0], points[self.first_level[block]]
        filtered = self.filters(self.first_wavelet[block], self.first_scale[block], box, own)
        weights = torch.stack([self.weights[channel] for channel in self.channels[block]])
        odd, floor = self.wavelets[self.first_wavelet[block]][1] % 2 == 1, self.floor(block)
        if len(weights) < len(sums):  # as few transforms as channels
            sums, have = torch.tensordot(weights.to(sums.dtype), crop(sums, have, own), dims=1), own
            weights = torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
        if self.reference or sums.is_cuda:
            return twin.wavelet_modulus(sums, have, filtered, own, odd, weights, floor)
        return torch.ops.rhopot.wavelet_modulus_v1(sums, have, filtered, own, odd, weights, floor)

    def coefficients(self, modulus: Tensor) -> Tensor:
        """Return the Fourier coefficients (C, n1, n2, n3//2+1) of moduli (C, n1, n2, n3)."""
        if self.reference or modulus.is_cuda:
            return twin.field_coefficients(modulus)
        return torch.ops.rhopot.field_coefficients_v1(modulus)

    def coefficients_adjoint(self, by_coefficients: Tensor, points: list[int]) -> Tensor:
        """Return dE/d moduli (C, n1, n2, n3) from dE/d their Fourier coefficients."""
        if self.reference or by_coefficients.is_cuda:
            return twin.field_coefficients_adjoint(by_coefficients, points)
        return torch.ops.rhopot.field_coefficients_adjoint_v1(by_coefficients, points)

    def first(self, modulus: Tensor, volume: Tensor) -> Tensor:
        """Return the integrals of first-order moduli (C, n1, n2, n3), flat."""
        if self.reference or modulus.is_cuda:
            sums = twin.power_sums(modulus, self.powers)
        else:
            sums = torch.ops.rhopot.power_sums_v1(modulus, self.powers)
        return (sums * (volume / modulus[0].numel())).reshape(-1)

    def portions(self, block: int, which: int, points: list[list[int]]) -> list[list[int]]:
        """Return the rows of a second wavelet in portions whose fields fit into `chunk` numbers (or one row each)."""
        degree = self.wavelets[self.second_wavelet[block][which]][1]
        own = points[self.second_scale[block][which]]
        each = max(1, self.chunk // ((2 * degree + 1) * own[0] * own[1] * own[2]))
        rows = self.second_rows[block][which]
        return [rows[start : start + each] for start in range(0, len(rows), each)]

    def second(
        self,
        block: int,
        which: int,
        rows: list[int],
        spectrum: Tensor,
        filtered: Tensor,
        volume: Tensor,
        points: list[list[int]],
        first: int = 0,
    ) -> Tensor:
        """Return the integrals of second-order moduli, flat, from the spectra (C, ...) of a block's moduli.

        `rows` of the block's channels are taken, of which `spectrum` holds those from `first` on; `filtered`
        (2l+1, ...) is the second wavelet on its own grid.
        """
        have, own = points[self.first_level[block]], points[self.second_scale[block][which]]
        odd = self.wavelets[self.second_wavelet[block][which]][1] % 2 == 1
        index = torch.tensor(rows, device=spectrum.device)
        floor = torch.index_select(self.floor(block), 0, index) * self.second_gain[block][which]
        held = [row - first for row in rows]
        if self.reference or spectrum.is_cuda:
            sums = twin.wavelet_power_sums(spectrum, have, filtered, own, odd, held, floor, self.powers)
        else:
            sums = torch.ops.rhopot.wavelet_power_sums_v1(spectrum, have, filtered, own, odd, held, floor, self.powers)
        return (sums * (volume / (own[0] * own[1] * own[2]))).reshape(-1)

    def floor(self, block: int) -> Tensor:
        """Return eps (C,) of the first moduli: regularization x the typical field of the channel's largest weight."""
        return self.first_floor[block] * torch.stack([self.largest[channel] for channel in self.channels[block]])
