"""Other families on the same folds: the ready configurations, trained on the same paths, judged on the same tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from structures import SYMBOLS

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.config import load_config
from rhopot.potentials.console import FitProgress, make_console
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.structures.split import split_groups

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
PEERS = {"SOAP linear": "soap_linear", "SOAP/GAP": "soap_gap", "GMP + network": "gmp_snn"}


def train(config: str, frames: FrameSet) -> LoadedModel:
    """Model of a ready configuration trained on `frames`; one path of them is its validation part."""
    settings = load_config(CONFIGS / f"{config}.yaml", ["data.train=[in-memory]", "report.learning_curve=[]"])
    train_part, validation = split_groups(frames, 0.1, settings.seed)
    refit_on_validation = settings.data.split.refit  # solved at once: the saved model has seen all frames
    data = TrainingSet(train_part, validation, SYMBOLS, "one path", refit_on_validation)
    with FitProgress(make_console()) as progress:
        trained = fit_model(settings, data, SingleProcess(), progress=progress)
    return LoadedModel(trained.card, trained.final.eval(), config)


def judge(model: LoadedModel, frames: FrameSet) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n) in eV per atom and their predicted standard deviations."""
    results = evaluate(model, [frame.atoms for frame in frames], members=True, gradients=False)
    sizes = np.array([len(frame) for frame in frames])
    energies = np.array([result.energy for result in results])
    return energies / sizes, np.array([result.energy_uncertainty() for result in results]) / sizes


def force_errors(model: LoadedModel, frames: FrameSet) -> np.ndarray:
    """Errors of all force components (eV/A)."""
    results = evaluate(model, [frame.atoms for frame in frames])
    return np.concatenate([(r.forces - frame.forces).ravel() for r, frame in zip(results, frames, strict=True)])
