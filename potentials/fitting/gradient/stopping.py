"""The best weights of each member, by its own validation loss, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rhopot.potentials.fitting.gradient.optimise import along_members


class BestWeights:
    """Keeps every member's weights of its best epoch; a member that waits `patience` epochs for a better one stops.

    The others train on, so members of a committee end where each would have ended alone.

    loss, epoch (K): of the best weights; stopped (K); values: (K, ...) each.
    """

    def __init__(self, parameters: Sequence[Tensor], n_members: int, patience: int | None) -> None:
        self._patience = patience
        self.loss = torch.full([n_members], math.inf, dtype=torch.float64)
        self.epoch = torch.zeros(n_members, dtype=torch.int64)
        self.stopped = torch.zeros(n_members, dtype=torch.bool)
        self.values = [p.detach().clone() for p in parameters]

    @property
    def finished(self) -> bool:
        """Whether every member has stopped."""
        return bool(self.stopped.all())

    @torch.no_grad()
    def update(self, parameters: Sequence[Tensor], loss: Tensor, epoch: int) -> None:
        """Take the weights (K, ...) after `epoch` epochs with their validation losses (K)."""
        better = (loss < self.loss) & ~self.stopped
        self.loss = torch.where(better, loss, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        for kept, parameter in zip(self.values, parameters, strict=True):
            mask = along_members(better.to(kept.device), kept).to(torch.bool)
            kept.copy_(torch.where(mask, parameter, kept))
        if self._patience is not None:
            self.stopped |= epoch - self.epoch >= self._patience

    def state(self) -> dict[str, Any]:
        """Return everything that a later `load` needs."""
        return {"loss": self.loss, "epoch": self.epoch, "stopped": self.stopped, "values": self.values}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.loss, self.epoch, self.stopped = state["loss"], state["epoch"], state["stopped"]
        for kept, value in zip(self.values, state["values"], strict=True):
            kept.copy_(value)
