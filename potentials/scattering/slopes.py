"""Derivative of a linear combination of features in bounded memory, block by block.

    E = sum_f w_f Phi_f,     dE/dR,  dE/dcell

Reverse differentiation of all features at once stores every field. Here each second wavelet of each block is
differentiated as soon as its integrals are known, with respect to what it reads: the spectra of the block's moduli, its
filter and the volume. Then the block itself, with respect to the Fourier sums of the atoms and the cell. The sums are
differentiated last. The numbers are those of autograd through the whole.

Memory: the fields of one block's first wavelet and of one portion of one second wavelet, besides the filters. Time: one
pass forward and one back.
"""

import torch
from torch import Tensor

from rhopot.potentials.scattering.features import WaveletScattering
from rhopot.potentials.scattering.grid import ScatteringGrid, boxed_cell


class _Accumulator:
    """Sums of derivatives by the parts that blocks read."""

    def __init__(self, sums: Tensor, box: Tensor, filters: dict[int, list[Tensor]]) -> None:
        self.sums, self.box = sums.detach().requires_grad_(), box.detach().requires_grad_()
        self.filters = {scale: [f.detach().requires_grad_() for f in each] for scale, each in filters.items()}
        self.by_sums, self.by_box = torch.zeros_like(self.sums), torch.zeros_like(self.box)
        self.by_filters = {scale: [torch.zeros_like(f) for f in each] for scale, each in self.filters.items()}


def features_and_slopes(
    scattering: WaveletScattering,
    weights: Tensor,
    positions: Tensor,
    species: Tensor,
    cell: Tensor,
    pbc: Tensor,
    grid: ScatteringGrid,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features and the derivatives of their weighted sum.

    Args:
        scattering: the features.
        weights: w (F,).
        positions, species, cell, pbc, grid: as in `WaveletScattering.forward`.

    Returns:
        features (F,), d(w . features)/d positions (N, 3) at fixed cell and d/d cell (3, 3) at fixed positions, per A.
    """
    with torch.enable_grad():
        positions, cell = positions.detach().requires_grad_(), cell.detach().requires_grad_()
        box = boxed_cell(cell, pbc, grid.lengths)
        sums = scattering.species_sums(positions, species, box, grid.points[0])
        filters = {
            scale: scattering.scale_filters(scale, box, grid.points[scale]) for scale in scattering.filtered_scales
        }
        parts = _Accumulator(sums, box, filters)
        # Weights in the order in which integrals appear, per atom as the features are.
        appearing = torch.zeros(scattering.n_integrals, dtype=weights.dtype, device=weights.device)
        appearing = appearing.index_add(0, scattering.places, weights) / len(species)
        pieces = [scattering.zeroth(species)]
        start = 1 + len(pieces[0])
        for block in range(scattering.n_blocks):
            pieces.append(_block(scattering, block, appearing[start:], parts, grid.points))
            start += len(pieces[-1])
        by_positions, by_cell = _inputs_slopes(positions, cell, sums, box, filters, parts)
    return scattering.arranged(pieces, len(species)), by_positions, by_cell


def _inputs_slopes(
    positions: Tensor, cell: Tensor, sums: Tensor, box: Tensor, filters: dict[int, list[Tensor]], parts: _Accumulator
) -> tuple[Tensor, Tensor]:
    """Return the derivatives by positions and cell from those by the sums, the box and the filters."""
    outputs, gradients = [sums, box], [parts.by_sums, parts.by_box]
    for scale, each in filters.items():
        outputs += each
        gradients += parts.by_filters[scale]
    # The box of a molecule is fixed: nothing but the sums depends on the inputs.
    moving = [k for k, output in enumerate(outputs) if output.requires_grad]
    slopes = torch.autograd.grad(
        [outputs[k] for k in moving],
        [positions, cell],
        [gradients[k] for k in moving],
        allow_unused=True,
        materialize_grads=True,
    )
    return slopes[0], slopes[1]


def _block(
    scattering: WaveletScattering, block: int, weights: Tensor, parts: _Accumulator, points: list[list[int]]
) -> Tensor:
    """Return the integrals of a block, flat and detached, and add its derivatives; `weights` start at the block's."""
    volume = torch.abs(torch.linalg.det(parts.box))
    modulus = scattering.first_modulus(block, parts.sums, parts.box, points)
    pieces, start = [], 0
    outputs, gradients = [], []
    if scattering.integrates[block]:
        integrals = scattering.first(modulus, volume)
        outputs.append(integrals)
        gradients.append(weights[: len(integrals)])
        pieces.append(integrals.detach())
        start = len(integrals)
    if scattering.second_scale[block]:
        spectrum = torch.fft.rfftn(modulus, dim=(1, 2, 3), norm="forward")
        leaves = [spectrum.detach().requires_grad_(), volume.detach().requires_grad_()]
        totals = [torch.zeros_like(leaf) for leaf in leaves]
        for which, scale in enumerate(scattering.second_scale[block]):
            wavelet = scattering.second_wavelet[block][which]
            filtered = parts.filters[scale][wavelet]
            for rows in scattering.portions(block, which, points):
                values = scattering.second(block, which, rows, leaves[0], filtered, leaves[1], points)
                slopes = torch.autograd.grad(values, [*leaves, filtered], weights[start : start + len(values)])
                start += len(values)
                pieces.append(values.detach())
                for total, slope in zip(totals, slopes, strict=False):
                    total += slope
                parts.by_filters[scale][wavelet] += slopes[2]
        outputs += [spectrum, volume]
        gradients += totals
    by_sums, by_box = torch.autograd.grad(outputs, [parts.sums, parts.box], gradients)
    parts.by_sums += by_sums
    parts.by_box += by_box
    return torch.cat(pieces)
