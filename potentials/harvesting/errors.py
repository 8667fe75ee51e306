"""Predicted force errors of frames: the radius that 90% of the force errors stay within (`forces_error`), by atom.

Where a model knows no such radius (too few structures in its validation set), `NORMAL` times the standard deviation of
the members' forces stands for it: the 90% quantile of the length of a vector of three normal errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from rhopot.export import LoadedModel, RhopotCalculator
from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.units import Floats

NORMAL = 2.5
KEPT_ATOMS = 10**7  # whose errors are kept in memory, 16 bytes each


@dataclass(frozen=True)
class PredictedErrors:
    """What a model predicts of its own errors in a frame of N atoms.

    forces: (N,) eV/A, radius of the force error; deviations: (N,) eV/A, standard deviation of the members' forces per
    Cartesian component
    """

    forces: Floats
    deviations: Floats

    @property
    def largest(self) -> float:
        """Largest radius in eV/A."""
        return float(self.forces.max())


class ErrorPredictor:
    """Predicts the force errors of a model.

    Raises:
        ValueError: the model has no ensemble members whose forces are known.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._calculator = RhopotCalculator(model)
        self._kept: dict[tuple[str, int, int | None], PredictedErrors] = {}
        self._n_kept = 0
        known = self._calculator.implemented_properties
        if "forces_uncertainty" not in known:
            raise ValueError(
                f"model must have ensemble members whose forces are known, got '{model.name}' without; train it with "
                "uncertainty.members"
            )
        self.calibrated = "forces_error" in known

    def of(self, candidate: Candidate) -> PredictedErrors:
        """Errors of a candidate, which are kept for the next call as far as `KEPT_ATOMS` allow.

        Raises:
            ValueError: the model cannot evaluate it, with the name of the frame.
        """
        key = candidate.source, candidate.index, candidate.centre
        if key not in self._kept:
            try:
                found = self(candidate.atoms)
            except ValueError as error:
                raise ValueError(f"{candidate.name}: {error}") from error
            if self._n_kept + len(candidate.atoms) > KEPT_ATOMS:
                return found
            self._kept[key] = found
            self._n_kept += len(candidate.atoms)
        return self._kept[key]

    def __call__(self, atoms: Atoms) -> PredictedErrors:
        """Errors of a structure; NaN becomes infinite: such an atom is known least."""
        asked = "forces_error" if self.calibrated else "forces_uncertainty"
        self._calculator.calculate(atoms, [asked])
        found = self._calculator.results
        deviations = np.asarray(found["forces_uncertainty"], dtype=np.float64)
        radii = np.asarray(found["forces_error"]) if self.calibrated else NORMAL * deviations
        return PredictedErrors(np.nan_to_num(radii, nan=np.inf), np.nan_to_num(deviations, nan=np.inf))
