"""`rhopot train`: from a configuration file to an output folder (the training itself: `runs.train`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rhopot.potentials.config import load_config
from rhopot.potentials.console import make_console
from rhopot.potentials.fitting.communicator import find_communicator
from rhopot.potentials.runs.train import run_training
from rhopot.potentials.runs.training_set import load_training_set


def train(config: Path, overrides: Sequence[str], *, resume: bool, overwrite: bool) -> None:
    """Fit as configured and fill the output folder."""
    communicator = find_communicator()
    console = make_console(quiet=communicator.rank > 0)
    settings = load_config(config, overrides)
    run_training(settings, load_training_set, communicator, console, resume=resume, overwrite=overwrite)
