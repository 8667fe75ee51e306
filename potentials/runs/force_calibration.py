"""Calibration of the predicted uncertainty of forces: force errors of structures that the model was not fitted to.

The member columns of a model are calibrated for total energies. The standard deviation of their forces gets a factor
of its own for each element, with which 68.27% of the force components lie within one deviation of their label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rhopot.export import LoadedModel, evaluate
from rhopot.export.global_models import knows_member_forces
from rhopot.export.results import species_of
from rhopot.potentials.fitting.calibration import ForceCalibration, ForceErrors, calibrate_forces
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.map_frames import map_frames
from rhopot.potentials.fitting.minimum_counts import FEWEST_ERRORS
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.structures import Frame

# Atoms, in frames evenly chosen, whose deviations are evaluated: a gradient for each member, and in global models that
# is as much as an evaluation of the structure.
MOST_ATOMS = {"local": 2000, "global": 320}


def calibrate_on(
    model: LoadedModel, frames: Sequence[Frame], communicator: Communicator, progress: Progress
) -> ForceCalibration | None:
    """Return the calibration on frames with forces, on every process; None where the frames do not allow one.

    model: without `force_factors`; its members' forces are evaluated on at most `MOST_ATOMS` atoms.
    """
    with_forces = [frame for frame in frames if frame.forces is not None]
    chosen = [with_forces[k] for k in sampled([len(frame) for frame in with_forces], model.card.kind)]
    if len(chosen) < FEWEST_ERRORS or not has_force_deviations(model):
        return None
    found = map_frames(
        chosen, lambda frame: _force_errors(model, frame), communicator, progress, "uncertainty of forces"
    )
    calibration = None
    if communicator.rank == 0:
        groups = {frame.group for frame in chosen}
        n_groups = None if None in groups else len(groups)
        calibration = calibrate_forces(ForceErrors.joined(found), model.card.symbols, n_groups)
        if calibration is not None:
            progress.message(_basis(calibration, frames, len(with_forces), chosen))
    result: ForceCalibration | None = communicator.broadcast(calibration)
    return result


def _basis(found: ForceCalibration, frames: Sequence[Frame], n_labeled: int, chosen: Sequence[Frame]) -> str:
    """Say what a calibration rests on, and why structures of the validation set do not count."""
    groups = "" if found.n_groups is None else f" of {found.n_groups} groups"
    factors = ", ".join(f"{symbol} {factor:.2f}" for symbol, factor in found.factors.items())
    held = sum(not frame.free.any() for frame in chosen)
    reasons = {
        "without forces": len(frames) - n_labeled,
        f"left out to save time (about {MOST_ATOMS['local']} atoms, {MOST_ATOMS['global']} of a global model, are "
        "evaluated)": n_labeled - len(chosen),
        "with all atoms held": held,
        "whose force errors and standard deviations all vanish (by symmetry)": len(chosen) - held - found.n_frames,
    }
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    return (
        f"calibration of the predicted uncertainty of forces: {found.n_components} components in {found.n_frames} "
        f"validation structures{groups}; factors {factors}, of them at most {found.widening:.2f} for the small number "
        f"of structures" + (f"; do not count: {left_out}" if left_out else "")
    )


def has_force_deviations(model: LoadedModel) -> bool:
    """Whether the model's members have forces."""
    return model.card.uncertainty.members > 0 and (model.card.kind == "local" or knows_member_forces(model))


def sampled(sizes: Sequence[int], kind: str) -> list[int]:
    """Return which structures of these sizes, evenly chosen, are evaluated: about `MOST_ATOMS` atoms, 3 at least."""
    total = sum(sizes)
    if total <= MOST_ATOMS[kind]:
        return list(range(len(sizes)))
    count = max(round(len(sizes) * MOST_ATOMS[kind] / total), min(FEWEST_ERRORS, len(sizes)))
    return [k * len(sizes) // count for k in range(count)]


def _force_errors(model: LoadedModel, frame: Frame) -> ForceErrors:
    """Return errors and standard deviations of the force components of atoms that no constraint held."""
    result: Any = evaluate(model, [frame.atoms], deviations=True)[0]
    errors = (result.forces - frame.forces)[frame.free]
    species = species_of(model, frame.atoms)[frame.free]
    return ForceErrors.of(errors, result.forces_uncertainty[frame.free], species, np.zeros_like(species))
