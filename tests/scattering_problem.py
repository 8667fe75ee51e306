"""A small ensemble on labelled Li-Si structures, for tests in this process and in others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import labelled
import numpy as np
import small_models
import torch

from rhopot.potentials.descriptors.scattering import WaveletScattering, choose_grid
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.feature_store import Sample
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.models.scattering_model import ScatteringModel
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import STRETCH

SMALL = small_models.SCATTERING.model_copy(update={"padding": None})
# Coarse grids and sharp moduli: more noise under shifts than the defaults have, and more room for it.
FEW = ScatteringFitSettings(n_members=10, max_features=30, directions=2, strains=1, translated=20, translation=1e-5)
BOTH = Targets(energy=0.002, forces=0.05)
ALL = Targets(energy=0.002, forces=0.05, stress=0.01)
ENERGIES = Targets(energy=0.002, forces=None)


def frames(count: int, seed: int = 0, per_group: int = 3) -> list[Frame]:
    """Return labelled structures in groups."""
    made = labelled.frames(count, seed)
    return [replace(frame, group=f"path-{seed}-{k // per_group}") for k, frame in enumerate(made)]


def fit_problem(train: list[Frame], validation: list[Frame] | None = None, **changes: Any) -> FitProblem:
    """Return a task for those frames, with members unless changed."""
    fields: dict[str, Any] = {
        "descriptor": WaveletScattering(SMALL),
        "symbols": labelled.SYMBOLS,
        "targets": BOTH,
        "baseline": labelled.BASELINE,
        "members": 6,
    }
    return FitProblem(train=train, validation=validation or [], **(fields | changes))


def sample(frame: Frame, displacement: np.ndarray | None = None, derivative: bool = False) -> Sample:
    """Return a row to compute."""
    still = np.zeros((len(frame), 3))
    return Sample(
        frame.atoms,
        choose_grid(SMALL, frame.atoms, STRETCH),
        still if displacement is None else displacement,
        derivative,
    )


def features(scattering: WaveletScattering, frame: Frame, positions: np.ndarray | None = None) -> torch.Tensor:
    """Return the features (F,) of a frame, with its atoms elsewhere."""
    atoms = frame.atoms
    return scattering(
        torch.as_tensor(atoms.positions if positions is None else positions),
        species_of(atoms, labelled.SYMBOLS),
        torch.tensor(atoms.cell.array),
        torch.tensor(atoms.pbc),
        choose_grid(SMALL, atoms, STRETCH),
    )


def energies(model: ScatteringModel, frames: list[Frame], members: bool = False) -> np.ndarray:
    """Return energies (n) in eV, with those of the members (n, 1 + K)."""
    found = []
    for frame in frames:
        positions, cell = torch.tensor(frame.atoms.positions), torch.tensor(frame.atoms.cell.array)
        pbc, species = torch.tensor(frame.atoms.pbc), species_of(frame.atoms, labelled.SYMBOLS)
        prepared = model.prepare(positions, cell, pbc, STRETCH)
        found.append(model(positions, species, cell, pbc, prepared, 0, 1, members).numpy())
    return np.array(found) if members else np.array(found)[:, 0]
