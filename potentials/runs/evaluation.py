"""Predictions of a loaded model for labelled frames, ready for error tables and parity plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.export import LoadedModel, ModelCard, evaluate
from rhopot.potentials import plots
from rhopot.potentials.fitting.metrics import FramePrediction, free_forces
from rhopot.potentials.runs.force_calibration import has_force_deviations, sampled
from rhopot.potentials.structures import Frame, naming
from rhopot.potentials.structures.frames import TARGETS
from rhopot.potentials.structures.keys import OF_FRAMES, WORDS, Key
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, to_voigt


def trained_keys(card: ModelCard) -> dict[str, Key]:
    """Keys of the labels that a model was fitted to, of the config_type and of the groups, as its card has them."""
    keys: Any = card.training_data.summary.get("keys", {})
    known = (*WORDS, *OF_FRAMES)
    return {target: key if isinstance(key, str) else tuple(key) for target, key in keys.items() if target in known}


def fitted_targets(card: ModelCard) -> tuple[str, ...]:
    """Quantities that a model was to be fitted to, as its card has them; all where it says nothing."""
    targets: Any = card.fit.get("targets", {})
    return tuple(target for target in TARGETS if targets.get(target, {}) is not None)


def predict_frames(
    model: LoadedModel,
    frames: Sequence[Frame],
    progress: Callable[[int], None] | None = None,
    *,
    uncertainty: bool = False,
) -> list[FramePrediction]:
    """Energy (eV), and forces (eV/A) and stress (eV/A^3) where they can be compared, of every frame, in order.

    Frames with an energy alone are evaluated without derivatives, which take two thirds of the time.
    uncertainty: ask models with members for standard deviations as well: of every energy, and of the forces in evenly
    chosen frames (`force_calibration.MOST_ATOMS`), because they take a gradient for each member.
    """
    members = uncertainty and model.card.uncertainty.members > 0
    with_deviations: set[int] = set()
    if members and has_force_deviations(model):
        labelled = [k for k, frame in enumerate(frames, 1) if frame.forces is not None]
        with_deviations = {labelled[k] for k in sampled([len(frames[k - 1]) for k in labelled], model.card.kind)}
    predictions = []
    for done, frame in enumerate(frames, 1):
        gradients = frame.forces is not None or frame.stress is not None
        deviations = done in with_deviations
        with naming(frame):
            result = evaluate(model, [frame.atoms], gradients=gradients, members=members, deviations=deviations)[0]
        stress = result.stress(frame.atoms) if frame.stress is not None else None
        spread = result.energy_uncertainty(), result.forces_uncertainty, result.forces_error
        predictions.append(FramePrediction(result.energy, result.forces, stress, *spread))
        if progress is not None:
            progress(done)
    return predictions


def parity_panels(
    frames: Sequence[Frame], predictions: Sequence[FramePrediction], baseline: dict[str, float] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reference and prediction per panel of `plots.parity`, forces of free atoms alone.

    baseline: eV per element, taken off both energies
    """
    pairs = list(zip(frames, predictions, strict=True))
    panels = {}
    rows = []
    for frame, predicted in pairs:
        if frame.energy is not None:
            shift = sum((baseline or {}).get(symbol, 0.0) for symbol in frame.atoms.symbols)
            rows.append([(frame.energy - shift) / len(frame), (predicted.energy - shift) / len(frame)])
    if rows:
        energies = np.array(rows)
        panels[f"energy{' - elements' if baseline else ''} (eV/atom)"] = (energies[:, 0], energies[:, 1])
    with_forces = [both for frame, predicted in pairs if (both := free_forces(frame, predicted)) is not None]
    if with_forces:
        reference, found = (np.concatenate(part).ravel() for part in zip(*with_forces, strict=True))
        panels["force (eV/Å)"] = (reference, found)
    with_stress = [(f.stress, p.stress) for f, p in pairs if f.stress is not None and p.stress is not None]
    if with_stress:
        in_gpa = [GPA_PER_EV_PER_CUBIC_ANGSTROM * to_voigt(np.array(part)) for part in zip(*with_stress, strict=True)]
        panels["stress (GPa)"] = (in_gpa[0].ravel(), in_gpa[1].ravel())
    return panels


def draw_parity(
    path: str | Path,
    frames: Sequence[Frame],
    predictions: Sequence[FramePrediction],
    baseline: dict[str, float] | None = None,
    title: str = "",
) -> Path:
    """Parity plot of energies, forces and stresses, those that there are."""
    return plots.parity(path, parity_panels(frames, predictions, baseline), title)
