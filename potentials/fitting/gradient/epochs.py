"""How many epochs a training takes where its settings leave that to the data: until it has made enough steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rhopot.potentials.fitting.gradient.batches import epoch_batches
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings

# Gradient steps of a training, and the fewest epochs: few structures are seen often, each of many often enough.
STEPS = 6000
FEWEST = 60


@dataclass(frozen=True)
class TrainingLength:
    """Epochs of a training and the steps of its first one."""

    epochs: int
    steps: int

    def __str__(self) -> str:
        return f"{self.epochs} epoch{'s' * (self.epochs > 1)} of {self.steps} step{'s' * (self.steps > 1)}"


def training_length(settings: TrainingSettings, sizes: Sequence[int], seed: int) -> TrainingLength:
    """Return the number of epochs: that of the settings or, where they name none, max(60, 6000 / steps) rounded up.

    Args:
        sizes: atoms of every training structure, over all processes.
        seed: of the order of the structures, which makes a little difference to steps that count atoms.
    """
    steps = len(epoch_batches(sizes, settings.batch, settings.batch_by, seed, 0))
    return TrainingLength(settings.epochs or max(FEWEST, -(-STEPS // steps)), steps)
