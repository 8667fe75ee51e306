"""Members whose loss has exploded go back to where they still learned, with half the learning rate.

A single step on an unusual batch can throw a network out of what it has learned, and most such networks never come
back: forces become zero and stay so. The mean training loss of an epoch tells: beyond `GROWTH` times the least one so
far, the weights, the optimizer's moments and their averages are put back to what they were at the start of the last
sound epoch. (Its end is not known to be sound: no loss has been computed with the weights of its last step.) After
`ATTEMPTS` times a member stops with its best weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rhopot.potentials.fitting.gradient.optimise import along_members

GROWTH = 5.0
ATTEMPTS = 6


class Recovery:
    """Keeps the state of each member at the start of its last sound epoch.

    Args:
        tensors: (K, ...) each, everything that a step changes; they are changed in place.
        n_members: K.

    Attributes:
        loss: least mean training loss (K) of an epoch; attempts (K): times that a member went back
    """

    def __init__(self, tensors: Sequence[Tensor], n_members: int) -> None:
        self._tensors = list(tensors)
        self._kept = [t.detach().clone() for t in tensors]  # at the start of the last sound epoch
        self._latest = [t.detach().clone() for t in tensors]  # at its end
        self.loss = torch.full([n_members], math.inf, dtype=torch.float64)
        self.attempts = torch.zeros(n_members, dtype=torch.int64)

    @property
    def factor(self) -> Tensor:
        """Part (K) of the learning rate that is left to each member."""
        return 0.5 ** self.attempts.to(torch.float64)

    @property
    def exhausted(self) -> Tensor:
        """Whether each member (K) has gone back too often to be trained on."""
        return self.attempts >= ATTEMPTS

    @torch.no_grad()
    def update(self, loss: Tensor) -> Tensor:
        """Take the mean training losses (K) of an epoch; return which members (K) have gone back."""
        exploded = ~(loss <= GROWTH * self.loss) & torch.isfinite(self.loss)
        self.attempts += exploded
        self.loss = torch.where(loss < self.loss, loss, self.loss)
        for tensor, kept, latest in zip(self._tensors, self._kept, self._latest, strict=True):
            back = along_members(exploded.to(tensor.device), tensor).to(torch.bool)
            tensor.copy_(torch.where(back, kept, tensor))
            kept.copy_(torch.where(back, kept, latest))
            latest.copy_(tensor)
        return exploded

    def state(self) -> dict[str, Any]:
        """Return everything that a later `load` needs."""
        return {"loss": self.loss, "attempts": self.attempts, "kept": self._kept, "latest": self._latest}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.loss, self.attempts = state["loss"], state["attempts"]
        for name, own in (("kept", self._kept), ("latest", self._latest)):
            for mine, theirs in zip(own, state[name], strict=True):
                mine.copy_(theirs)
