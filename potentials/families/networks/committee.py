"""What the `Family` objects of neural networks share: defaults of a committee, and the fit."""

from __future__ import annotations

from typing import Any

from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.local import REPULSION, expected_errors
from rhopot.potentials.families.networks.fit import train_networks
from rhopot.potentials.fitting.problem import FitProblem, FitResult

# A committee of four; no learning curve, for every point of it is a training.
COMMITTEE: dict[str, Any] = {
    **REPULSION,
    "targets": expected_errors(energy=0.007, forces=0.1, stress=0.1),
    "uncertainty": {"members": 4},
    "report": {"learning_curve": []},
}


def fit_networks(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Train the networks, with early stopping on the validation set."""
    return train_networks(problem, settings.regressor, settings.training)
