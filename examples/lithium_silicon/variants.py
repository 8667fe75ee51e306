"""The four variants of feature selection that the study compares, fitted to energies; and a fifth with forces.

| variant | selection |
| --- | --- |
| full | 100 members, each on a bootstrap sample of the paths, with sqrt(d + 1) random candidates in each step |
| first order | the same on features of zeroth and first order |
| not randomized | 4 members, each on three quarters of the paths, with all features as candidates |
| random sampling | the same, but quarters are of single frames, so that validation resembles training |
| forces | full, with forces along random directions and stresses along random strains |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from structures import RELAXATION, SYMBOLS, TITLES, per_atom

from rhopot.potentials.config import load_config
from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering
from rhopot.potentials.families.scattering.calibration import calibrated
from rhopot.potentials.families.scattering.candidate_features import choose_columns
from rhopot.potentials.families.scattering.directional_features import (
    PerturbedRows,
    StructureFeatures,
    evaluate_plan,
    plan_evaluations,
)
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.equations import derivative_along, equations
from rhopot.potentials.families.scattering.feature_store import FeatureStore
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.fitting.sparse_regression import Ensemble, fit_ensemble, stack
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.structures.composition import CompositionBaseline, composition, fit_baseline

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "scattering.yaml"
QUARTERS = {"sampling": "folds", "n_members": 4, "candidates": "all"}
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "first order": {},
    "not randomized": QUARTERS,
    "random sampling": {**QUARTERS, "unit": "frames"},
    "forces": {},
}


@dataclass(frozen=True)
class Matrices:
    """Features of all parts: `values` by part (n, F), and what the relaxation paths add for their equations."""

    scattering: WaveletScattering
    values: dict[str, np.ndarray]
    measured: StructureFeatures


def settings(parts: dict[str, FrameSet], words: list[str]) -> tuple[ScatteringSettings, ScatteringFitSettings, Targets]:
    """The ready configuration, changed by `words`: descriptor (completed from the paths), regressor, targets."""
    config = load_config(CONFIG, ["data.train=[in-memory]", *words])
    settings: Any = config.descriptor.with_symbols(SYMBOLS)
    settings = settings.completed([frame.atoms for frame in parts[RELAXATION]])
    regressor: Any = config.regressor
    return settings, regressor, config.targets


def measure_all(
    settings: ScatteringSettings,
    regressor: ScatteringFitSettings,
    targets: Targets,
    parts: dict[str, FrameSet],
    store: Path,
    progress: Progress,
) -> Matrices:
    """Compute the features of all parts; rows in the folder `store` are not computed again."""
    scattering = WaveletScattering(settings)
    kept = FeatureStore(store, scattering)

    def measured(part: str, perturbed: bool) -> StructureFeatures:
        frames = parts[part]
        nothing = [0.0] * len(SYMBOLS)  # energies do not enter here
        task = FitProblem(frames, (), cast("Any", scattering), SYMBOLS, targets, nothing, progress=progress)
        return evaluate_plan(
            plan_evaluations(task, regressor, frames, perturbed), TITLES[part].lower(), task, scattering, kept
        )

    values = {part: measured(part, perturbed=False).values for part in parts}
    return Matrices(scattering, values, measured(RELAXATION, perturbed=True))


@dataclass(frozen=True)
class Fitted:
    """A variant fitted to one fold: the ensemble, the energies of the elements, the calibration factor."""

    ensemble: Ensemble
    baseline: CompositionBaseline
    factor: float

    def energies(self, features: np.ndarray, frames: FrameSet) -> np.ndarray:
        """Energies (n) in eV per atom."""
        shares = np.array([composition(frame.atoms, SYMBOLS) / len(frame) for frame in frames])
        return self.ensemble.predict(features)[:, 0] + shares @ np.array(self.baseline.energies)

    def deviations(self, features: np.ndarray) -> np.ndarray:
        """Predicted standard deviations (n) of the energies in eV per atom."""
        return self.factor * self.ensemble.predict(features)[:, 1:].std(axis=1)

    def curve(self, features: np.ndarray, frames: FrameSet) -> np.ndarray:
        """Root-mean-square errors (M) in eV per atom of the averages of models of 1..M columns."""
        shares = np.array([composition(frame.atoms, SYMBOLS) / len(frame) for frame in frames])
        return self.ensemble.curve(features, per_atom(frames) - shares @ np.array(self.baseline.energies))


def fit(name: str, matrices: Matrices, train: np.ndarray, regressor: ScatteringFitSettings, targets: Targets) -> Fitted:
    """Fit a variant to the relaxation frames `train` (a mask)."""
    settings = ScatteringFitSettings(**{**regressor.model_dump(), **VARIANTS[name]})
    part = select(matrices.measured, train, energies_alone=name != "forces")
    baseline = fit_baseline(part.frames, SYMBOLS)
    scattering = matrices.scattering
    columns = choose_columns(
        part.values, part.shifted.rows, scattering.settings, scattering.paths, settings.signal, settings.size
    ).usable
    if name == "first order":
        columns &= np.array([path.order < 2 for path in scattering.paths])
    rows = stack(list(equations(part, targets, baseline, settings.translation, settings.unit).values()))
    greedy = settings.greedy(0).model_copy(update={"keep_paths": True})
    ensemble = fit_ensemble(rows, greedy, columns, workers=2)
    calibration = calibrated(ensemble, rows, part.values[:0], np.zeros(0))
    return Fitted(ensemble, baseline, float("nan") if calibration is None else calibration.factor)


def select(measured: StructureFeatures, mask: np.ndarray, energies_alone: bool = False) -> StructureFeatures:
    """Frames of a mask, with their shifts and, where energies are not all that is fitted, their derivatives."""
    place = np.cumsum(mask) - 1

    def of(perturbed: PerturbedRows, wanted: bool = True) -> PerturbedRows:
        chosen = mask[perturbed.owners] & wanted
        displacements = [u for u, keep in zip(perturbed.displacements, chosen, strict=True) if keep]
        return PerturbedRows(place[perturbed.owners[chosen]], displacements, perturbed.rows[chosen])

    return StructureFeatures(
        [frame for frame, keep in zip(measured.frames, mask, strict=True) if keep],
        measured.values[mask],
        of(measured.shifted),
        of(measured.directed, not energies_alone),
        of(measured.strained, not energies_alone),
    )


def force_errors(fitted: Fitted, matrices: Matrices, test: np.ndarray) -> np.ndarray:
    """Errors of forces along random directions (eV/A): of the same mean square as those of components."""
    part = select(matrices.measured, test)
    directed = part.directed
    atoms = np.array([len(part.frames[k]) for k in directed.owners])
    predicted = atoms * fitted.ensemble.predict(directed.rows, constant=False)[:, 0]
    reference = [
        derivative_along(part.frames[k], "forces", u)
        for k, u in zip(directed.owners, directed.displacements, strict=True)
    ]
    return predicted - np.array(reference)
