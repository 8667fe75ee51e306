"""A model of kind `global` in a few lines, and what can be wrong with one.

E = sum_i (|s_i|^2 - 3 a_i) + volume^2 / 1e6, s_i the sines of fractional coordinates. Share 0 does all the work, the
others return numbers without a gradient.
"""

import many_body_toy
import torch

from rhopot.export import ModelCard

FAULTS = ("none", "last_share_raises", "prepare_raises", "constant", "wrong_shape", "not_a_number")


class Whole(torch.nn.Module):
    """`fault`: one of FAULTS. Structures of two atoms, on which models are tried out, are spared where it can be."""

    def __init__(self, fault: str = "none") -> None:
        super().__init__()
        if fault not in FAULTS:
            raise ValueError(f"fault must be one of {FAULTS}, got {fault}")
        self.fault = fault

    def prepare(self, positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, stretch: float) -> torch.Tensor:
        if self.fault == "prepare_raises" and len(positions) > 2:
            raise ValueError("the model cannot be prepared")
        return torch.full([1], stretch, dtype=torch.float64)

    def forward(
        self,
        positions: torch.Tensor,
        species: torch.Tensor,
        cell: torch.Tensor,
        pbc: torch.Tensor,
        prepared: torch.Tensor,
        share: int,
        n_shares: int,
        members: bool,
    ) -> torch.Tensor:
        if self.fault == "last_share_raises" and len(positions) > 2 and share == n_shares - 1:
            raise ValueError("the model says no")
        if share > 0 or self.fault == "constant":
            return torch.zeros([1], dtype=torch.float64)
        waves = torch.sin(2.0 * 3.141592653589793 * positions @ torch.linalg.inv(cell))
        energy = torch.sum(waves * waves) - 3.0 * torch.sum(species) + torch.linalg.det(cell) ** 2 / 1e6
        if self.fault == "not_a_number" and len(positions) > 2:
            energy = energy * float("nan")
        return energy.reshape(1, 1) if self.fault == "wrong_shape" else energy.reshape(1)


def card() -> ModelCard:
    return many_body_toy.card(kind="global")
