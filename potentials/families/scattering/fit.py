"""Fit of a scattering ensemble: features, candidate features, equations, members, calibration and diagnostics.

    1. features of all frames, of some of them shifted, and derivatives along random directions and strains
    2. candidate features (`candidate_features`) and equations (`equations`)
    3. an ensemble of greedy models, each on its own bootstrap sample of the groups; on a budget, refitted to fewer
       features
    4. calibration of the members' standard deviation (`calibration`), errors and diagnostics on the validation set
       (`diagnostics`)

Members choose their size on groups that they left out: the validation set is used for nothing but errors and
calibration. With a refit on validation the final model is a second ensemble of the same candidates, fitted to both.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import WaveletScattering
from rhopot.potentials.families.scattering.calibration import calibrated
from rhopot.potentials.families.scattering.candidate_features import choose_columns
from rhopot.potentials.families.scattering.diagnostics import ModelDiagnostics, assess, summary
from rhopot.potentials.families.scattering.directional_features import (
    EvaluationPlan,
    StructureFeatures,
    evaluate_plan,
    evenly,
    plan_evaluations,
)
from rhopot.potentials.families.scattering.ensemble_settings import CIRCUMSTANCES, ScatteringFitSettings
from rhopot.potentials.families.scattering.equations import energy_per_atom, equations
from rhopot.potentials.families.scattering.feature_store import FeatureStore, seconds_of
from rhopot.potentials.families.scattering.members import SharedFit, moduli
from rhopot.potentials.families.scattering.selection_report import composition, selection_curve
from rhopot.potentials.fitting.calibration import EnergyCalibration, check_members
from rhopot.potentials.fitting.map_frames import one_thread_each
from rhopot.potentials.fitting.metrics import mean_absolute_errors
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.progress import Forecast
from rhopot.potentials.fitting.sparse_regression import Ensemble, WeightedRows, refit, stack
from rhopot.potentials.models.scattering_model import ScatteringModel
from rhopot.potentials.structures.composition import CompositionBaseline

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Structures of the validation set that the model is assessed on, evenly chosen where there are more.
ASSESSED = 50
# What the forecast leaves out: how many features the members take is found as they are fitted.
LATER = "members, assessment, learning curve and error tables are"


@dataclass(frozen=True)
class _Work:
    """Common arguments of all stages."""

    problem: FitProblem
    settings: ScatteringFitSettings
    scattering: WaveletScattering
    baseline: CompositionBaseline
    store: FeatureStore

    def folder(self, name: str) -> Path | None:
        """Folder of a stage's checkpoints."""
        return None if self.problem.folder is None else self.problem.folder / name

    def say(self, text: str) -> None:
        """Send a message of rank 0."""
        if self.problem.communicator.rank == 0:
            self.problem.progress.message(text)


def fit_scattering(problem: FitProblem, settings: ScatteringFitSettings) -> FitResult:
    """Return the average of sparse models on scattering features.

    problem.descriptor is a `WaveletScattering`; task.members: how many members the model carries, at most all of them.

    Raises:
        ValueError: settings that do not go together, a pair baseline, or data without energies.
    """
    work = _start(problem, settings)
    begin = time.perf_counter()
    if settings.unit == "groups" and any(frame.group is None for frame in problem.train):
        work.say("note: frames carry no group, each frame is drawn by itself; name the key of paths or trajectories")
    plans = [
        plan_evaluations(problem, settings, problem.train, True),
        plan_evaluations(problem, settings, problem.validation, problem.refit_on_validation),
    ]
    _announce(work, plans)
    train = evaluate_plan(plans[0], "train", problem, work.scattering, work.store)
    unseen = evaluate_plan(plans[1], "validation", problem, work.scattering, work.store)
    measured = time.perf_counter()
    columns = choose_columns(
        train.values,
        train.shifted.rows,
        work.scattering.settings,
        work.scattering.paths,
        settings.signal,
        settings.size,
    )
    work.say(str(columns))
    blocks = _equations(work, train)
    rows = stack(list(blocks.values()))
    ensemble, kept = _fit(work, rows, np.flatnonzero(columns.usable))
    values, reference = _labelled(work, unseen)
    calibration = calibrated(ensemble, rows, values, reference) if _stored(work) else None
    model = _model(work, ensemble, calibration)
    fitted = time.perf_counter()
    found = assess(model, evenly(problem.validation, ASSESSED), problem.seed, problem.communicator, problem.progress)
    report = {
        "regressor": settings.model_dump(exclude=CIRCUMSTANCES),
        "targets": problem.targets.model_dump(),
        "columns": {name: int(mask.sum()) for name, mask in asdict(columns).items()},
        "equations": {kind: len(block.targets) for kind, block in blocks.items()} | {"groups": rows.n_groups},
        "ensemble": composition(ensemble, work.scattering.paths),
        "selection": selection_curve(ensemble),
        "validation": mean_absolute_errors(ensemble.predict(values)[:, 0] - reference, _force_errors(found)),
        "behaviour": summary(found),
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": {"features": measured - begin, "fit": fitted - measured, "assessment": time.perf_counter() - fitted},
    }
    final = model
    if problem.refit_on_validation and len(problem.validation):
        everything = stack(list(_equations(work, train.join(unseen)).values()))
        fit = SharedFit(problem.communicator, problem.progress, problem.resume, "members, both parts")
        final = _model(work, fit(everything, ensemble.settings, kept, work.folder("members-final")), calibration)
    return FitResult(model, final, problem.communicator.broadcast(report))


def _start(problem: FitProblem, settings: ScatteringFitSettings) -> _Work:
    """Check what cannot be checked in the sections alone."""
    scattering: Any = problem.descriptor
    if not isinstance(scattering, WaveletScattering):
        raise TypeError(f"descriptor must be a WaveletScattering, got {type(scattering).__name__}; see the families")
    if problem.pair is not None:
        raise ValueError("pair must be None for global models, got a pair baseline; leave it out")
    check_members(problem.members, sum("energy" in problem.targets.sigmas(frame) for frame in problem.train))
    folder = problem.folder / "features" if settings.cache is None and problem.folder is not None else None
    store = FeatureStore(Path(settings.cache) if settings.cache is not None else folder, scattering)
    return _Work(
        problem,
        settings,
        scattering,
        CompositionBaseline(tuple(problem.symbols), tuple(problem.baseline), "given"),
        store,
    )


def _announce(work: _Work, plans: Sequence[EvaluationPlan]) -> None:
    """Report the time and memory of the features, measured on one frame; nothing where they are kept already.

    Most time goes into large frames: half of all points of grids are in frames with more than the chosen one's.
    """
    problem = work.problem
    passes = sorted((sample for plan in plans for sample in plan.passes), key=lambda sample: sample.points)
    points = np.cumsum([sample.points for sample in passes])
    sample = passes[int(np.searchsorted(points, points[-1] / 2))]
    if problem.communicator.rank != 0 or work.store.read(sample) is not None:
        return
    n_rows = sum(plan.n_rows for plan in (plans if problem.refit_on_validation else plans[:1]))
    width = work.scattering.n_features
    with one_thread_each(problem.communicator) as workers:
        seconds = (
            seconds_of(sample, work.scattering) * points[-1] / sample.points / (workers * problem.communicator.size)
        )
        # The rows, joined, stacked and as a table; products of the columns for each thread.
        memory = 8.0 * width * (4 * n_rows + 2 * workers * width)
    problem.progress.forecast(Forecast(width, n_rows, {"features": float(seconds)}, memory, without=LATER))


def _equations(work: _Work, measured: StructureFeatures) -> dict[str, WeightedRows]:
    """Return the rows of a part as they are configured, by kind."""
    return equations(measured, work.problem.targets, work.baseline, work.settings.translation, work.settings.unit)


def _labelled(work: _Work, part: StructureFeatures) -> tuple[Floats, Floats]:
    """Return features (v, F) and energies (v) in eV per atom of the frames of a part that have an energy."""
    chosen = [k for k, frame in enumerate(part.frames) if frame.energy is not None]
    energies = [energy_per_atom(part.frames[k], work.baseline) for k in chosen]
    return part.values[chosen], np.array(energies, dtype=np.float64)


def _fit(work: _Work, rows: WeightedRows, columns: Integers) -> tuple[Ensemble, Integers]:
    """Return the ensemble, on a budget if there is one, and the features it could choose from."""
    problem, settings = work.problem, work.settings
    fit = SharedFit(problem.communicator, problem.progress, problem.resume)
    ensemble = fit(rows, settings.greedy(problem.seed), columns, work.folder("members"))
    if settings.budget is None:
        return ensemble, columns
    again = SharedFit(problem.communicator, problem.progress, problem.resume, "members on a budget")
    sets = moduli(work.scattering.paths) if settings.budget_of == "moduli" else None
    in_use = len(ensemble.used if sets is None else np.unique(np.asarray(sets)[ensemble.used]))
    within = f"these, within the budget of {settings.budget}"
    best = f"the best {settings.budget} {settings.budget_of}" if in_use > settings.budget else within
    work.say(f"{in_use} {settings.budget_of} in use; fitted again to {best}")
    ensemble = refit(rows, ensemble, settings.budget, sets, folder=work.folder("budget"), fit=again)
    return ensemble, ensemble.used


def _force_errors(found: Sequence[ModelDiagnostics]) -> Floats:
    """Return the errors (m) of all force components."""
    return np.concatenate([np.zeros(0), *(one.force_errors for one in found)])


def _stored(work: _Work) -> int:
    """Return how many members the model carries."""
    stored = min(work.problem.members, work.settings.n_members)
    return stored if stored > 1 else 0


def _model(work: _Work, ensemble: Ensemble, calibration: EnergyCalibration | None) -> ScatteringModel:
    """Return the model of an ensemble, with nothing but the paths that any member uses."""
    used = ensemble.used if len(ensemble.used) else np.zeros(1, dtype=np.int64)
    scattering = WaveletScattering(work.scattering.settings, [work.scattering.paths[k] for k in used])
    width = 1 + _stored(work)
    return ScatteringModel(
        scattering,
        torch.from_numpy(ensemble.coefficients[used, :width].copy()),
        torch.from_numpy(ensemble.constants[:width].copy()),
        work.problem.baseline,
        1.0 if calibration is None else calibration.factor,
    )
