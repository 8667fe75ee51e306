"""Learning rate of an epoch as a part of the configured one: f(t), t = 0, 1, ... in epochs, fractions of them included.

    warmup    f = t / w                                   for t < w = warmup * epochs, then
    constant  f = 1
    cosine    f = final + (1 - final) (1 + cos(pi x)) / 2,    x = (t - w) / (epochs - w)
    halving   f = max(final, 2^-floor(t / every))         the paper's molecules: every 2000 of 12000 epochs [1]
    plateau   f = max(final, 2^-n), n = times that a member waited `patience` epochs for a better validation loss

The plateau is each member's own, the others are shared.

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), supporting information 0.5.2
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rhopot.potentials.fitting.gradient.training_settings import ScheduleSettings


def rate_factor(settings: ScheduleSettings, epochs: int, time: float) -> float:
    """Return f at `time` (in epochs) of a training of `epochs` epochs; the plateau's own factor is not in it."""
    warmup = settings.warmup * epochs
    if time < warmup:
        return time / warmup
    if settings.name == "cosine":
        x = min((time - warmup) / (epochs - warmup), 1.0)
        return settings.final + (1.0 - settings.final) * 0.5 * (1.0 + math.cos(math.pi * x))
    if settings.name == "halving":
        return max(settings.final, 0.5 ** math.floor(time / settings.every))
    return 1.0


class Plateau:
    """Halves the rate of every member that has waited `patience` epochs for a better validation loss.

    factor (K): part of the learning rate of each member; best (K): its best loss; since (K): epochs since then.
    """

    def __init__(self, settings: ScheduleSettings, n_members: int) -> None:
        self._settings = settings
        self.factor = torch.ones(n_members, dtype=torch.float64)
        self.best = torch.full([n_members], math.inf, dtype=torch.float64)
        self.since = torch.zeros(n_members, dtype=torch.int64)

    def update(self, loss: Tensor, epochs: int) -> None:
        """Take the members' validation losses (K), `epochs` epochs after those before."""
        better = loss < self.best
        self.best = torch.where(better, loss, self.best)
        self.since = torch.where(better, 0, self.since + epochs)
        if self._settings.name != "plateau":
            return
        halved = torch.clamp(0.5 * self.factor, min=self._settings.final)
        due = self.since >= self._settings.patience
        self.factor = torch.where(due, halved, self.factor)
        self.since = torch.where(due, 0, self.since)

    def state(self) -> dict[str, Tensor]:
        """Return everything that a later `load` needs."""
        return {"factor": self.factor, "best": self.best, "since": self.since}

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a state."""
        self.factor, self.best, self.since = state["factor"], state["best"], state["since"]
