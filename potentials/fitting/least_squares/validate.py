"""Predictions for the validation set straight from its equations: errors, the rows of its energies, and their sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.least_squares.assemble import add_ranks, compressed
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.design import DesignRows
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations
from rhopot.potentials.fitting.map_frames import map_frames
from rhopot.potentials.fitting.metrics import mean_absolute_errors
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.frames import TARGETS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ValidationErrors:
    """Errors of K predictions: energies (V, K) in eV per atom, one per frame, and forces (components, K) in eV/A.

    energy_rows (V, r): how these energies depend on the coordinates w of the coefficients.
    """

    energy_errors: Floats
    energy_rows: Floats
    force_errors: Floats

    def metrics(self, k: int = 0) -> dict[str, float]:
        """Return mean absolute errors of prediction k in meV per atom and meV/A, where there is anything to compare."""
        return mean_absolute_errors(self.energy_errors[:, k], self.force_errors[:, k])


def validate(
    frames: Sequence[Frame],
    system: LinearSystem,
    coordinates: Coordinates,
    targets: Targets,
    coefficients: Floats,
    seen: NormalEquations,
    communicator: Communicator,
    progress: Progress,
) -> tuple[ValidationErrors, NormalEquations]:
    """Return the predictions of coefficients (n, K), and the frames' own equations, complete on rank 0 only.

    seen: equations to which these may be added, with the same preconditioner on all ranks
    """
    unseen = NormalEquations(coordinates.rank, 1, seen.block_rows, seen.triangle)

    def add(frame: Frame, rows: DesignRows, left: dict[str, Floats]) -> None:
        equations = system.of_rows(frame, rows, left, targets)
        if equations is not None:
            unseen.add(compressed(equations.weighted(), coordinates), 0)

    errors = validation_errors(frames, system, coordinates, coefficients, communicator, progress, add)
    add_ranks(unseen, communicator)
    return errors, unseen


def validation_errors(
    frames: Sequence[Frame],
    system: LinearSystem,
    coordinates: Coordinates,
    coefficients: Floats,
    communicator: Communicator,
    progress: Progress,
    use: Callable[[Frame, DesignRows, dict[str, Floats]], None] = lambda frame, rows, left: None,
) -> ValidationErrors:
    """Return the predictions of coefficients (n, K), complete on rank 0 only; use: is given each frame's rows too."""

    def one(frame: Frame) -> ValidationErrors:
        rows, left = system.rows_and_remainder(frame, TARGETS)
        use(frame, rows, left)
        return _errors(frame, rows, left, coordinates, coefficients)

    found = map_frames(frames, one, communicator, progress, "validation")
    none = np.zeros((0, coefficients.shape[1]))
    parts = [ValidationErrors(none, np.zeros((0, coordinates.rank)), none), *found]
    names = ("energy_errors", "energy_rows", "force_errors")
    return ValidationErrors(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _errors(
    frame: Frame, rows: DesignRows, left: dict[str, Floats], coordinates: Coordinates, coefficients: Floats
) -> ValidationErrors:
    """Return the predictions of one frame."""
    n_columns, n_predictions = coefficients.shape
    energy, none = np.zeros((0, n_columns)), np.zeros((0, n_predictions))
    energy_errors = force_errors = none
    if "energy" in left:
        energy = rows.energy.numpy()[None, :] / len(frame.atoms)
        energy_errors = energy @ coefficients - left["energy"].reshape(-1, 1) / len(frame.atoms)
    if "forces" in left:
        forces = rows.forces.numpy()[frame.free].reshape(-1, n_columns)
        force_errors = forces @ coefficients - left["forces"][frame.free].reshape(-1, 1)
    return ValidationErrors(energy_errors, coordinates.compress(energy), force_errors)
