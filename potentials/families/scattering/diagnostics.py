"""Validation diagnostics: force errors, residual net force and translational invariance error.

    forces       F = -dE/dr beside their labels
    net force    |sum_i F_i| / N in eV/A: forces add up to zero but for the error of the grid
    translation  |E(r + t) - E(r)| / N in eV for a random shift t

The last two are measured on some of the structures, with the shift of `perturbations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering.grid import unpack_grid
from rhopot.potentials.families.scattering.perturbations import random_shift
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.map_frames import map_frames, one_thread_each
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.models.scattering_model import ScatteringModel
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import MEV_PER_EV, STRETCH

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelDiagnostics:
    """One structure: errors of the force components (eV/A), net force (eV/A) and energy change (eV), per atom."""

    force_errors: Floats
    net_force: float
    translation: float


def assess(
    model: ScatteringModel, frames: Sequence[Frame], seed: int, communicator: Communicator, progress: Progress
) -> list[ModelDiagnostics]:
    """Return the diagnostics of each frame, on every process."""
    stage = "forces of the validation set"
    with one_thread_each(communicator) as workers:
        found = map_frames(frames, lambda frame: _diagnose(model, frame, seed), communicator, progress, stage, workers)
    return list(communicator.broadcast(found))


def summary(found: Sequence[ModelDiagnostics]) -> dict[str, Any]:
    """Return root mean squares and largest values in meV per atom and eV/A per atom."""
    translation = MEV_PER_EV * np.array([one.translation for one in found])
    net = np.array([one.net_force for one in found])
    return {
        "translation_mev_per_atom": {"rms": _rms(translation), "max": float(np.abs(translation).max(initial=0.0))},
        "net_force_ev_per_angstrom_and_atom": {"rms": _rms(net), "max": float(net.max(initial=0.0))},
    }


def _diagnose(model: ScatteringModel, frame: Frame, seed: int) -> ModelDiagnostics:
    """Evaluate a frame, then once more with all atoms shifted."""
    atoms = frame.atoms
    species = species_of(atoms, model.jacobian.scattering.settings.symbols)
    cell, pbc = torch.from_numpy(np.array(atoms.cell.array)), torch.from_numpy(np.array(atoms.pbc))
    positions = torch.from_numpy(np.array(atoms.positions)).requires_grad_()
    prepared = model.prepare(positions, cell, pbc, STRETCH)
    energy = model(positions, species, cell, pbc, prepared, 0, 1, False)[0]
    (gradient,) = torch.autograd.grad(energy, positions)
    forces = -gradient.numpy()
    shift = torch.from_numpy(random_shift(frame, unpack_grid(prepared), seed))
    with torch.no_grad():
        shifted = model(positions + shift, species, cell, pbc, prepared, 0, 1, False)[0]
    errors = np.zeros(0) if frame.forces is None else (forces - frame.forces)[frame.free].ravel()
    net = float(np.linalg.norm(forces.sum(axis=0))) / len(frame)
    return ModelDiagnostics(errors, net, float(shifted - energy.detach()) / len(frame))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
