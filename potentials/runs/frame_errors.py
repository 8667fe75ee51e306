"""Errors of a model frame by frame: the worst frames as a table, predictions of all of them as extended XYZ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import ase.io
import numpy as np
from rich.table import Table

from rhopot.potentials.console import table
from rhopot.potentials.files import write_atomically
from rhopot.potentials.fitting.metrics import FramePrediction, energy_error, free_forces
from rhopot.potentials.structures import CompositionBaseline, Frame


@dataclass(frozen=True)
class FrameErrors:
    """Of one frame: error of the energy (meV/atom), root mean square error of force components and largest error of the
    force vector on an atom (meV/A), predicted standard deviation of the energy (meV/atom); None where not known.
    """

    frame: Frame
    energy: float | None
    forces: float | None
    largest: float | None
    deviation: float | None


def errors_of(frame: Frame, predicted: FramePrediction, constants: CompositionBaseline | None = None) -> FrameErrors:
    """Errors of one frame; `constants`: added to its energy (see `metrics.error_table`)."""
    energy = None if frame.energy is None else 1000.0 * energy_error(frame, predicted, constants)
    compared = free_forces(frame, predicted)
    forces = largest = None
    if compared is not None:
        error = compared[1] - compared[0]
        forces = 1000.0 * float(np.sqrt(np.mean(error**2)))
        largest = 1000.0 * float(np.linalg.norm(error, axis=1).max())
    deviation = None if predicted.energy_deviation is None else 1000.0 * predicted.energy_deviation / len(frame)
    return FrameErrors(frame, energy, forces, largest, deviation)


def worst_as_table(errors: Sequence[FrameErrors], count: int) -> Table:
    """The frames with the largest errors of forces, of energies where no frame has forces."""
    of_forces = any(each.forces is not None for each in errors)

    def size(each: FrameErrors) -> float:
        value = each.forces if of_forces else each.energy
        return -1.0 if value is None else abs(value)

    columns = ("frame", "config_type", "atoms", "E error meV/atom", "F RMSE meV/A", "largest F error", "E std meV/atom")
    rows = [
        (
            each.frame.name,
            each.frame.config_type,
            str(len(each.frame)),
            *("" if v is None else f"{v:.2f}" for v in (each.energy, each.forces, each.largest, each.deviation)),
        )
        for each in sorted(errors, key=size, reverse=True)[:count]
    ]
    shown = [k for k in range(len(columns)) if any(row[k] for row in rows)]
    title = f"frames with the largest errors of {'forces' if of_forces else 'energies'}"
    return table(title, [columns[k] for k in shown], [[row[k] for k in shown] for row in rows])


def write_predictions(path: Path, frames: Sequence[Frame], predictions: Sequence[FramePrediction]) -> None:
    """Write extended XYZ: labels as REF_energy, REF_forces, REF_stress, predictions as rhopot_energy and so on.

    `file` and `frame` (from 0) say where each comes from, `group` to which group it belongs. Units are eV, eV/A and
    eV/A^3 (nine numbers, positive in tension). Where the model gives them, also rhopot_energy_uncertainty (eV), and of
    each atom rhopot_forces_uncertainty and rhopot_forces_error (eV/A).
    """
    written = [_with_predictions(*pair) for pair in zip(frames, predictions, strict=True)]
    write_atomically(path, lambda partial: ase.io.write(partial, written, format="extxyz"))


def _with_predictions(frame: Frame, predicted: FramePrediction) -> ase.Atoms:
    atoms = frame.atoms.copy()
    atoms.info = {"config_type": frame.config_type, "file": frame.source, "frame": frame.index}
    if frame.group is not None:
        atoms.info["group"] = frame.group
    of_frame = {
        "REF_energy": frame.energy,
        "REF_stress": frame.stress,
        "rhopot_energy": predicted.energy,
        "rhopot_stress": predicted.stress,
        "rhopot_energy_uncertainty": predicted.energy_deviation,
    }
    of_atoms = {
        "REF_forces": frame.forces,
        "rhopot_forces": predicted.forces,
        "rhopot_forces_uncertainty": predicted.force_deviations,
        "rhopot_forces_error": predicted.force_radii,
    }
    atoms.info |= {
        name: np.ravel(value) if np.ndim(value) else value for name, value in of_frame.items() if value is not None
    }
    for name, values in of_atoms.items():
        if values is not None:
            atoms.set_array(name, np.asarray(values))
    return atoms
