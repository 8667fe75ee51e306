"""Base of models of kind `global`, whose contract stands in `rhopot.export.global_models`."""

import torch
from torch import Tensor, nn


class GlobalModel(nn.Module):
    """Energy of a structure, divided into shares, with K members.

    A subclass defines `prepare`, `forward` and `member_derivatives`.
    """

    def prepare(self, positions: Tensor, cell: Tensor, pbc: Tensor, stretch: float) -> Tensor:
        """Return what is chosen once per run and kept, as numbers (P,) float64; here none."""
        return torch.zeros([0], dtype=torch.float64)

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
        raise NotImplementedError("a global model must define forward")

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
        raise NotImplementedError("a global model must define member_derivatives")

    def member_gradients(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        prepared: Tensor,
        share: int,
        n_shares: int,
        count: int,
    ) -> Tensor:
        """Return one share of dE_k/dr (count, N, 3) in eV/A of the first members; never under `torch.no_grad`."""
        found = self.member_derivatives(positions, species, cell, pbc, prepared, share, n_shares, 0, count)
        return found[:, : len(species)].contiguous()
