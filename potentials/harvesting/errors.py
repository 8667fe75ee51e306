"""Predicted force errors of frames: the radius that 90% of the force errors stay within (`forces_error`), by atom.

Where a model knows no such radius (too few structures in its validation set), `NORMAL` times the standard deviation of
the members' forces stands for it: the 90% quantile of the length of a vector of three normal errors. Both hold for
atoms whose environments are like those of the training data (`supported`), which models tell that grade them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rhopot.export import LoadedModel, ModelCard, RhopotCalculator
from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.units import Floats

NORMAL = 2.5
KEPT_ATOMS = 10**7  # whose errors are kept in memory, 9 bytes each


@dataclass(frozen=True)
class PredictedErrors:
    """What a model predicts of its own errors in a frame of N atoms.

    forces: (N,) eV/A, radius of the force error; unsupported: (N,) True outside of the training data, nowhere where the
    model does not grade environments
    """

    forces: Floats
    unsupported: NDArray[np.bool_]

    @property
    def largest(self) -> float:
        """Largest radius in eV/A."""
        return float(self.forces.max())


def deviation_of(card: ModelCard, error: float) -> float:
    """Standard deviation (eV/A) from which on the predicted error of an atom of any element is above `error` (eV/A).

    It is what `--until-uncertain` of `rhopot md` compares.

    Raises:
        ValueError: the predicted error of every atom is above, whatever the members say.
    """
    radii = list(card.uncertainty.force_radii.values())
    if not radii:
        return error / NORMAL
    squares = [(error / radius.multiple) ** 2 - radius.floor**2 for radius in radii]
    if max(squares) <= 0.0:
        least = min(radius.multiple * radius.floor for radius in radii)
        raise ValueError(
            f"limit of the predicted force error must be above {least:.3g} eV/A, which the model predicts at least, "
            f"got {error:g}; raise it"
        )
    return float(np.sqrt(max(squares)))


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
        self.grades = "supported" in known

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
        self._calculator.calculate(atoms, [asked, *(["supported"] if self.grades else [])])
        found = self._calculator.results
        radii = np.asarray(found[asked], dtype=np.float64) * (1.0 if self.calibrated else NORMAL)
        supported = found["supported"] if self.grades else np.ones(len(atoms), dtype=bool)
        return PredictedErrors(np.nan_to_num(radii, nan=np.inf), ~np.asarray(supported, dtype=bool))
