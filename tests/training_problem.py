"""A small training on labelled Li-Si structures, for tests in this process and in others."""

from __future__ import annotations

from typing import Any

import labelled
import torch

from rhopot.potentials.fitting.gradient.training_settings import LossSettings, ScheduleSettings, TrainingSettings
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame

NETWORK = NetworkSettings(hidden=(12, 8))
FORCES = Targets(energy=0.002, forces=0.05)
ENERGIES = Targets(energy=0.002, forces=None)


def fit_problem(train: list[Frame], validation: list[Frame] | None = None, **changes: Any) -> FitProblem:
    """Return a task for those frames, without members unless changed."""
    fields: dict[str, Any] = {
        "descriptor": labelled.FastSpectrum(2, labelled.CUTOFF),
        "symbols": labelled.SYMBOLS,
        "targets": FORCES,
        "baseline": labelled.BASELINE,
        "members": 0,
    }
    return FitProblem(train=train, validation=validation or [], **(fields | changes))


def training_settings(epochs: int | None, **changes: Any) -> TrainingSettings:
    """Return settings in float64 on the CPU with batches of four frames."""
    fields: dict[str, Any] = {
        "epochs": epochs,
        "batch": 4,
        "dtype": "float64",
        "device": "cpu",
        "checkpoint_seconds": 0.0,
        "schedule": ScheduleSettings(warmup=0.0),
        "loss": LossSettings(beta=3.0),
    }
    return TrainingSettings(**(fields | changes))


def weights(model: torch.nn.Module) -> torch.Tensor:
    """Return all weights of a model's networks as one row."""
    return torch.cat([parameter.detach().flatten() for parameter in model.networks.parameters()])


class Stopping(SilentProgress):
    """Interrupts a training after some epochs, as Ctrl-C does."""

    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def describe(self, stage: str, text: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
