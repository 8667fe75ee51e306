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
Cost: O(N w^3 + V log V) per wavelet. Memory without gradients: a few fields of one block.

[1] P. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2024), chapters 2-4
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.scattering.grid import ScatteringGrid, boxed_cell
from rhopot.potentials.scattering.hypers import ScatteringHypers
from rhopot.potentials.scattering.modulus import power_integrals, special_modulus
from rhopot.potentials.scattering.paths import Path, all_paths
from rhopot.potentials.scattering.plan import Block, Second, make_plan
from rhopot.potentials.scattering.spread import fourier_sums, window_width
from rhopot.potentials.scattering.wavelets import crop, typical_field, typical_gain, wavelet_filters

CHUNK = 1 << 21  # real numbers of a field's components held at once where channels can be taken one by one


class WaveletScattering(nn.Module):
    """Scattering features of structures.

    Args:
        hypers: settings, with `symbols`.
        paths: features to evaluate, in this order; None takes all. Only what they need is computed.

    Attributes:
        paths: what each feature is.
        n_features: F.
    """

    weights: Tensor
    places: Tensor

    def __init__(self, hypers: ScatteringHypers, paths: Sequence[Path] | None = None) -> None:
        super().__init__()
        if not hypers.symbols:
            raise ValueError("symbols must name at least one element, got none; use hypers.with_symbols")
        allowed = all_paths(hypers)
        foreign = [path.name for path in paths or () if path not in set(allowed)]
        if foreign:
            raise ValueError(f"paths must be allowed by the settings, got {foreign[0]}; see all_paths")
        self.hypers = hypers
        self.paths = tuple(allowed if paths is None else paths)
        self.n_features = len(self.paths)
        self.plan = make_plan(hypers, self.paths)
        self.second_scales = sorted({second.scale for block in self.plan.blocks for second in block.seconds})
        self.width = window_width(hypers.tolerance)
        self.wavelets = list(hypers.wavelets)
        self.powers = list(hypers.powers)
        self.register_buffer("weights", torch.tensor(hypers.weights, dtype=torch.float64))
        self.register_buffer("places", torch.tensor(self.plan.places, dtype=torch.int64))

    def forward(self, positions: Tensor, species: Tensor, cell: Tensor, pbc: Tensor, grid: ScatteringGrid) -> Tensor:
        """Return the features (F,), per atom.

        Args:
            positions: (N, 3) in A, N >= 1.
            species: (N,) int64, index into `hypers.symbols`.
            cell: (3, 3) in A, rows are vectors.
            pbc: (3,) bool.
            grid: from `choose_grid`, the same for all structures that shall vary smoothly.
        """
        box = boxed_cell(cell, pbc, list(grid.lengths))
        sums = self.species_sums(positions, species, box, grid)
        filters = {scale: self.scale_filters(scale, box, grid) for scale in self.second_scales}
        pieces = [self.zeroth(species)] + [self.block(block, sums, box, grid, filters) for block in self.plan.blocks]
        return self.arranged(pieces, len(species))

    def arranged(self, pieces: list[Tensor], n_atoms: int) -> Tensor:
        """Return the features (F,) from integrals in the order of appearance (see `Plan`), without the bias."""
        integrals = torch.cat(pieces) / n_atoms
        return torch.cat([torch.ones_like(integrals[:1]), integrals])[self.places]

    def species_sums(self, positions: Tensor, species: Tensor, box: Tensor, grid: ScatteringGrid) -> Tensor:
        """Return the Fourier sums (A, n1, n2, n3//2+1) of the species on the finest grid, divided by the volume."""
        fractional = positions @ torch.linalg.inv(box)
        points = list(grid.points[0])
        sums = fourier_sums(fractional, species, self.weights.shape[1], points, self.width)
        return sums / torch.abs(torch.linalg.det(box))

    def zeroth(self, species: Tensor) -> Tensor:
        """Return sum_k |c(Z_k)|^q, flat, order channel > q."""
        weights = torch.abs(self.weights[:, species])
        return torch.stack([torch.sum(weights**q, dim=1) for q in self.powers], dim=1).reshape(-1)

    def scale_filters(self, scale: int, box: Tensor, grid: ScatteringGrid) -> list[Tensor]:
        """Return the filters of second wavelets at a scale (by index), one (2l+1, n1, n2, n3//2+1) per (n, l)."""
        points = list(grid.points[scale])
        return wavelet_filters(box, points, self.hypers.scales[scale], self.hypers.beta, self.wavelets)

    def block(
        self, block: Block, sums: Tensor, box: Tensor, grid: ScatteringGrid, filters: dict[int, list[Tensor]]
    ) -> Tensor:
        """Return the integrals of one block, flat, in the order of `Plan`.

        Args:
            block: what to compute.
            sums: from `species_sums`.
            box: (3, 3).
            grid: the grids.
            filters: `scale_filters` of every second scale.
        """
        volume = torch.abs(torch.linalg.det(box))
        modulus = self.first_modulus(block, sums, box, grid)
        pieces = [self.first(modulus, volume)] if block.integrate else []
        if block.seconds:
            spectrum = torch.fft.rfftn(modulus, dim=(1, 2, 3), norm="forward")
            for second in block.seconds:
                filtered = filters[second.scale][second.wavelet]
                for rows in self.portions(second, grid):
                    pieces.append(self.second(block, second, rows, spectrum, filtered, volume, grid))
        return torch.cat(pieces)

    def first(self, modulus: Tensor, volume: Tensor) -> Tensor:
        """Return the integrals of first-order moduli (C, n1, n2, n3), flat."""
        return power_integrals(modulus, self.powers, volume / modulus[0].numel()).reshape(-1)

    def portions(self, second: Second, grid: ScatteringGrid) -> list[list[int]]:
        """Return the rows of a second wavelet in portions whose fields fit into `CHUNK` numbers (or one row each)."""
        degree = self.wavelets[second.wavelet][1]
        each = max(1, CHUNK // ((2 * degree + 1) * math.prod(grid.points[second.scale])))
        return [list(second.rows[start : start + each]) for start in range(0, len(second.rows), each)]

    def second(
        self,
        block: Block,
        second: Second,
        rows: list[int],
        spectrum: Tensor,
        filtered: Tensor,
        volume: Tensor,
        grid: ScatteringGrid,
    ) -> Tensor:
        """Return the integrals of second-order moduli, flat, from the spectra (C, ...) of a block's moduli.

        `rows` of the spectra are taken; `filtered` (2l+1, ...) is the second wavelet on its own grid.
        """
        (order, degree), scale = self.wavelets[second.wavelet], self.hypers.scales[second.scale]
        points = list(grid.points[second.scale])
        gain = typical_gain(order, degree, scale, self.hypers.beta, self.hypers.scales[block.scale])
        cropped = crop(spectrum[rows], list(grid.points[block.level]), points)
        modulus = special_modulus(real_fields(cropped, filtered, degree, points), self.floor(block)[rows] * gain)
        return power_integrals(modulus, self.powers, volume / math.prod(points)).reshape(-1)

    def first_modulus(self, block: Block, sums: Tensor, box: Tensor, grid: ScatteringGrid) -> Tensor:
        """Return sigma(rho_c * psi) (C, n1, n2, n3) of a block's channels on the block's grid."""
        points = list(grid.points[block.level])
        scale = self.hypers.scales[block.scale]
        wavelet = self.wavelets[block.wavelet]
        filtered = wavelet_filters(box, points, scale, self.hypers.beta, [wavelet])[0]
        weights = self.weights[list(block.channels)]
        spectrum = crop(sums, list(grid.points[0]), points)
        if len(block.channels) <= len(spectrum):
            spectrum = torch.tensordot(weights.to(spectrum.dtype), spectrum, dims=1)
            return special_modulus(real_fields(spectrum, filtered, wavelet[1], points), self.floor(block))
        fields = real_fields(spectrum, filtered, wavelet[1], points)
        floor = self.floor(block)
        flat = fields.reshape(len(fields), -1)
        shape = [1, fields.shape[1], *points]
        moduli = [special_modulus((row @ flat).reshape(shape), floor[k : k + 1]) for k, row in enumerate(weights)]
        return torch.cat(moduli)

    def floor(self, block: Block) -> Tensor:
        """Return eps (C,) of the first moduli: regularization x the typical field of the channel's largest weight."""
        size = typical_field(*self.wavelets[block.wavelet], self.hypers.scales[block.scale], self.hypers.beta)
        largest = torch.amax(torch.abs(self.weights[list(block.channels)]), dim=1)
        return self.hypers.regularization * size * largest


def real_fields(spectrum: Tensor, filtered: Tensor, degree: int, points: list[int]) -> Tensor:
    """Return the fields (C, 2l+1, n1, n2, n3) of spectra (C, n1, n2, n3//2+1) times real filters (2l+1, ...)."""
    # The factor -i of odd degrees makes the field real.
    turned = spectrum if degree % 2 == 0 else torch.complex(spectrum.imag, -spectrum.real)
    return torch.fft.irfftn(turned[:, None] * filtered, s=points, dim=(2, 3, 4), norm="forward")
