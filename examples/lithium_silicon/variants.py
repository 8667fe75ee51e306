"""The four ways of fitting scattering features that the study compares, and forces as a fifth.

| variant | selection |
| --- | --- |
| full | 100 members, each on paths drawn with replacement, looking at sqrt(d + 1) random features in each step |
| first order | the same on features of zeroth and first order |
| not randomised | 4 members, each on three quarters of the paths, looking at all features |
| random sampling | the same, but single frames are dealt to the quarters, so that validation resembles training |
| forces | full, with forces along random directions |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from structures import RELAXATION, SYMBOLS, per_atom

from rhopot.potentials.config import load_config
from rhopot.potentials.ensembles.assess import STRETCH
from rhopot.potentials.ensembles.columns import choose_columns
from rhopot.potentials.ensembles.hypers import EnsembleHypers
from rhopot.potentials.ensembles.matrix import FeatureStore, Sample, feature_rows
from rhopot.potentials.ensembles.moves import random_directions, random_shift
from rhopot.potentials.ensembles.rows import Measured, equations
from rhopot.potentials.fit import Progress, Targets
from rhopot.potentials.fit.parallel import Alone
from rhopot.potentials.greedy import Ensemble, fit_ensemble
from rhopot.potentials.scattering import ScatteringHypers, WaveletScattering, choose_grid
from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.structures.composition import Baseline, composition, fit_baseline

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "scattering.yaml"
QUARTERS = {"sampling": "folds", "n_members": 4, "candidates": "all"}
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {"directions": 0},
    "first order": {"directions": 0},
    "not randomised": {"directions": 0, **QUARTERS},
    "random sampling": {"directions": 0, **QUARTERS, "unit": "frames"},
    "forces": {},
}


@dataclass(frozen=True)
class Matrices:
    """Features of all parts: `values` by part (n, F), and what the relaxation paths add for their equations."""

    scattering: WaveletScattering
    values: dict[str, np.ndarray]
    measured: Measured


def settings(parts: dict[str, FrameSet]) -> tuple[ScatteringHypers, dict[str, Any], Targets]:
    """The ready configuration: descriptor (completed from the paths), regressor, targets."""
    config = load_config(CONFIG, ["data.train=[in-memory]"])
    hypers = ScatteringHypers(**config.descriptor).with_symbols(SYMBOLS)
    hypers = hypers.completed([frame.atoms for frame in parts[RELAXATION]])
    return hypers, config.regressor, config.targets


def measure(
    hypers: ScatteringHypers, regressor: dict[str, Any], parts: dict[str, FrameSet], store: Path, progress: Progress
) -> Matrices:
    """Compute the features of all parts; rows in the folder `store` are not computed again."""
    scattering = WaveletScattering(hypers)
    kept = FeatureStore(store, scattering)

    def rows(samples: list[Sample], stage: str) -> np.ndarray:
        return feature_rows(samples, scattering, kept, Alone(), progress, stage)

    def still(frame: Frame) -> Sample:
        return Sample(frame.atoms, choose_grid(hypers, frame.atoms, STRETCH), np.zeros((len(frame), 3)))

    values = {part: rows([still(frame) for frame in frames], f"features, {part}") for part, frames in parts.items()}
    frames = list(parts[RELAXATION])
    grids = [choose_grid(hypers, frame.atoms, STRETCH) for frame in frames]
    shifts = [Sample(f.atoms, g, random_shift(f, g, 0)) for f, g in zip(frames, grids, strict=True)]
    changes = rows(shifts, "shifted frames") - values[RELAXATION]
    pairs = [(k, u) for k, f in enumerate(frames) for u in random_directions(f, regressor["directions"], 0)]
    slopes = rows([Sample(frames[k].atoms, grids[k], u, slope=True) for k, u in pairs], "derivatives")
    measured = Measured(
        frames,
        values[RELAXATION],
        np.arange(len(frames)),
        changes,
        np.array([k for k, _ in pairs]),
        [u for _, u in pairs],
        slopes,
    )
    return Matrices(scattering, values, measured)


@dataclass(frozen=True)
class Fitted:
    """A variant fitted to one fold: the ensemble and the energies of the elements."""

    ensemble: Ensemble
    baseline: Baseline

    def energies(self, features: np.ndarray, frames: FrameSet) -> np.ndarray:
        """Energies (n) in eV per atom."""
        shares = np.array([composition(frame.atoms, SYMBOLS) / len(frame) for frame in frames])
        return self.ensemble.predict(features)[:, 0] + shares @ np.array(self.baseline.energies)

    def curve(self, features: np.ndarray, frames: FrameSet) -> np.ndarray:
        """Root-mean-square errors (M) in eV per atom of the averages of models of 1..M columns."""
        shares = np.array([composition(frame.atoms, SYMBOLS) / len(frame) for frame in frames])
        return self.ensemble.curve(features, per_atom(frames) - shares @ np.array(self.baseline.energies))


def fit(
    name: str, matrices: Matrices, train: np.ndarray, regressor: dict[str, Any], targets: Targets, workers: int = 2
) -> Fitted:
    """Fit a variant to the relaxation frames `train` (a mask)."""
    hypers = EnsembleHypers(**{**regressor, **VARIANTS[name], "keep_paths": True})
    part = select(matrices.measured, train, hypers.directions)
    baseline = fit_baseline(part.frames, SYMBOLS)
    columns = choose_columns(
        part.values, part.changes, matrices.scattering.hypers, matrices.scattering.paths, hypers.signal, hypers.size
    ).usable
    if name == "first order":
        columns &= np.array([path.order < 2 for path in matrices.scattering.paths])
    rows = equations(part, targets, baseline, hypers.translation, hypers.unit)
    return Fitted(fit_ensemble(rows, hypers.greedy(0), columns, workers), baseline)


def select(measured: Measured, mask: np.ndarray, directions: int) -> Measured:
    """Frames of a mask, with their shifts and, where `directions` is not 0, their derivatives."""
    place = np.cumsum(mask) - 1
    shifted = mask[measured.shifted]
    directed = mask[measured.directed] & (directions > 0)
    return Measured(
        [frame for frame, keep in zip(measured.frames, mask, strict=True) if keep],
        measured.values[mask],
        place[measured.shifted[shifted]],
        measured.changes[shifted],
        place[measured.directed[directed]],
        [u for u, keep in zip(measured.directions, directed, strict=True) if keep],
        measured.slopes[directed],
    )


def force_errors(fitted: Fitted, matrices: Matrices, test: np.ndarray) -> np.ndarray:
    """Errors of forces along random directions (eV/A): of the same mean square as those of components."""
    part = select(matrices.measured, test, 1)
    atoms = np.array([len(part.frames[k]) for k in part.directed])
    predicted = -atoms * fitted.ensemble.predict(part.slopes, constant=False)[:, 0]
    reference = [np.sum(part.frames[k].forces * u) for k, u in zip(part.directed, part.directions, strict=True)]
    return predicted - np.array(reference)
