"""Derivative of a linear combination of features in bounded memory, block by block, shared between processes.

    E = sum_f w_f Phi_f,     dE/dR,  dE/dcell

Reverse differentiation of all features at once stores every field. Here each second wavelet of each block is
differentiated as soon as its integrals are known, with respect to what it reads: the spectra of the block's moduli, its
filter and the volume. Then the block itself, with respect to the Fourier sums of the atoms and the cell. The sums are
differentiated last. The numbers are those of autograd through the whole.

Shares are those of `WaveletScattering`: results are parts that add up over them.

Memory: the fields of one block's first wavelet and of one portion of one second wavelet, besides the filters. Time: one
pass forward and one back. TorchScript compiles the module.
"""

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.scattering.features import WaveletScattering
from rhopot.potentials.descriptors.scattering.grid import ScatteringGrid, boxed_cell
from rhopot.potentials.descriptors.scattering.nufft import sums_to_windows, windows_to_sums


class ScatteringJacobian(nn.Module):
    """Features and the derivatives of their weighted sum.

    Args:
        scattering: the features.
    """

    def __init__(self, scattering: WaveletScattering) -> None:
        super().__init__()
        self.scattering = scattering

    def forward(
        self,
        weights: Tensor,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        grid: ScatteringGrid,
        share: int = 0,
        n_shares: int = 1,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return one share of the features and of the derivatives of their weighted sum; never under `torch.no_grad`.

        Args:
            weights: w (F,).
            positions, species, cell, pbc, grid: as in `WaveletScattering.forward`.
            share, n_shares: which part to compute, and how many there are.

        Returns:
            features (F,), d(w . features)/d positions (N, 3) at fixed cell and d/d cell (3, 3) at fixed positions, per
            A, detached; zero where they belong to other shares.
        """
        positions, cell = positions.detach().requires_grad_(), cell.detach().requires_grad_()
        shares = self.scattering.block_shares(grid.points, n_shares)
        if share not in shares:
            return self.scattering.idle(species, share), torch.zeros_like(positions), torch.zeros_like(cell)
        box = boxed_cell(cell, pbc, grid.lengths)
        volume = torch.abs(torch.linalg.det(box))
        windows = self.scattering.species_windows(positions, species, box, grid.points[0])
        sums = windows_to_sums(windows.detach(), grid.points[0], self.scattering.width) / volume.detach()
        needed = self.scattering.needed_scales(shares, share)
        inputs = [sums, box]
        for scale in self.scattering.filtered_scales:
            if scale in needed:
                inputs += self.scattering.scale_filters(scale, box, grid.points[scale])
            else:
                inputs += [torch.zeros_like(volume.detach()) for _ in self.scattering.wavelets]
        leaves = [each.detach().requires_grad_() for each in inputs]
        totals = [torch.zeros_like(each) for each in leaves]
        # Weights in the order in which integrals appear, per atom as the features are.
        appearing = torch.zeros(self.scattering.n_integrals, dtype=weights.dtype, device=weights.device)
        appearing = appearing.index_add(0, self.scattering.places, weights) / len(species)
        pieces = [self.scattering.unstructured(species, share)]
        start = len(pieces[0])
        for block in range(self.scattering.n_blocks):
            stop = start + self.scattering.block_size(block)
            if shares[block] == share:
                pieces.append(self.block(block, appearing[start:stop], leaves, totals, grid.points))
            else:
                pieces.append(torch.zeros_like(appearing[start:stop]))
            start = stop
        # What the sums are made of: dE/d sums goes back by hand, through one real transform.
        by_volume = -torch.sum(totals[0].real * sums.real + totals[0].imag * sums.imag) / volume.detach()
        by_windows = sums_to_windows(totals[0] / volume.detach(), grid.points[0], self.scattering.width)
        by_positions, by_cell = input_gradients(
            positions, cell, [windows, volume] + inputs[1:], [by_windows, by_volume] + totals[1:]
        )
        return self.scattering.arranged(pieces, len(species)), by_positions, by_cell

    def block(
        self, block: int, weights: Tensor, leaves: list[Tensor], totals: list[Tensor], points: list[list[int]]
    ) -> Tensor:
        """Return the integrals of a block, flat and detached, and add its derivatives to `totals`.

        `leaves` and `totals`: the Fourier sums, the box and the filters (scale > wavelet), and derivatives by them.
        """
        volume = torch.abs(torch.linalg.det(leaves[1]))
        modulus = self.scattering.first_modulus(block, leaves[0], leaves[1], points)
        pieces: list[Tensor] = []
        outputs: list[Tensor] = []
        gradients: list[Tensor | None] = []
        start = 0
        if self.scattering.integrates[block]:
            integrals = self.scattering.first(modulus, volume)
            start = len(integrals)
            outputs.append(integrals)
            gradients.append(weights[:start])
            pieces.append(integrals.detach())
        if len(self.scattering.second_scale[block]) > 0:
            spectrum = self.scattering.coefficients(modulus.detach())
            values, by_spectrum, by_volume = self.seconds(
                block, weights[start:], spectrum, volume.detach().requires_grad_(), leaves, totals, points
            )
            outputs += [modulus, volume]
            own = points[self.scattering.first_level[block]]
            gradients.append(self.scattering.coefficients_adjoint(by_spectrum, own))
            gradients.append(by_volume)
            pieces.append(values)
        found = torch.autograd.grad(outputs, leaves[:2], gradients)
        add(totals[0], found[0])
        add(totals[1], found[1])
        return torch.cat(pieces)

    def seconds(
        self,
        block: int,
        weights: Tensor,
        spectrum: Tensor,
        volume: Tensor,
        leaves: list[Tensor],
        totals: list[Tensor],
        points: list[list[int]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the second-order integrals of a block and the derivatives by its spectra and the volume."""
        by_spectrum, by_volume = torch.zeros_like(spectrum), torch.zeros_like(volume)
        pieces: list[Tensor] = []
        start = 0
        for which, scale in enumerate(self.scattering.second_scale[block]):
            place = 2 + self.scattering.filtered_scales.index(scale) * len(self.scattering.wavelets)
            place += self.scattering.second_wavelet[block][which]
            for rows in self.scattering.portions(block, which, points):
                # Derivatives by no more spectra than the portion reads.
                first, count = rows[0], rows[-1] - rows[0] + 1
                part = spectrum.narrow(0, first, count).detach().requires_grad_()
                values = self.scattering.second(block, which, rows, part, leaves[place], volume, points, first)
                stop = start + len(values)
                upstream: list[Tensor | None] = [weights[start:stop]]
                found = torch.autograd.grad([values], [part, volume, leaves[place]], upstream)
                add(by_spectrum.narrow(0, first, count), found[0])
                add(by_volume, found[1])
                add(totals[place], found[2])
                pieces.append(values.detach())
                start = stop
        return torch.cat(pieces), by_spectrum, by_volume


def add(total: Tensor, gradient: Tensor | None) -> None:
    """Add a derivative in place; None is zero."""
    if gradient is not None:
        total += gradient


def input_gradients(
    positions: Tensor, cell: Tensor, outputs: list[Tensor], gradients: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the derivatives by positions and cell from those by what was made of them."""
    moving: list[Tensor] = []
    upstream: list[Tensor | None] = []
    # The box of a molecule is fixed: nothing but the sums depends on the inputs.
    for output, gradient in zip(outputs, gradients):  # noqa: B905
        if output.requires_grad:
            moving.append(output)
            upstream.append(gradient)
    found = torch.autograd.grad(moving, [positions, cell], upstream, allow_unused=True)
    by_positions, by_cell = torch.zeros_like(positions), torch.zeros_like(cell)
    add(by_positions, found[0])
    add(by_cell, found[1])
    return by_positions.detach(), by_cell.detach()
