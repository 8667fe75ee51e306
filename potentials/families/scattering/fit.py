"""From a task to a model of few wavelet paths: features, columns, rows, members, their spread, and what they do.

    1. features of all frames, of some of them shifted, and slopes along random directions and strains
    2. which columns may be used (`columns`), equations (`rows`)
    3. an ensemble of greedy models, each on its own draw of the groups; on a budget, fitted again to fewer features
    4. the factor on the members' spread (`spread`), errors and behaviour on the validation part (`assess`)

Members choose their size on groups that they left out, so nothing is learnt from the validation part. Where the task
absorbs it, the final model is a second ensemble of the same columns, fitted to both parts.
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
from rhopot.potentials.families.scattering.diagnostics import Behaviour, assess, summary
from rhopot.potentials.families.scattering.directional_features import Measured, Plan, evenly, make_plan, measure
from rhopot.potentials.families.scattering.ensemble_settings import CIRCUMSTANCES, EnsembleHypers
from rhopot.potentials.families.scattering.equations import energy_per_atom, equations
from rhopot.potentials.families.scattering.feature_store import FeatureStore, one_thread_each, seconds_of
from rhopot.potentials.families.scattering.members import SharedFit, moduli
from rhopot.potentials.families.scattering.selection_report import composition, selection_curve
from rhopot.potentials.fitting.calibration import SpreadCalibration, check_members
from rhopot.potentials.fitting.problem import FitResult, FitTask
from rhopot.potentials.fitting.progress import Forecast
from rhopot.potentials.fitting.sparse_regression import Ensemble, Rows, refit, stack
from rhopot.potentials.models.scattering_model import ScatteringModel
from rhopot.potentials.structures.composition import Baseline
from rhopot.potentials.units import MEV_PER_EV

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Structures of the validation part that the model is assessed on, evenly chosen where there are more.
ASSESSED = 50
# What the forecast leaves out: how many features the members take is found as they are fitted.
LATER = "members, assessment, learning curve and error tables are"


@dataclass(frozen=True)
class _Work:
    """What every stage needs."""

    task: FitTask
    hypers: EnsembleHypers
    scattering: WaveletScattering
    baseline: Baseline
    store: FeatureStore

    def folder(self, name: str) -> Path | None:
        """Where a stage keeps its state."""
        return None if self.task.folder is None else self.task.folder / name

    def say(self, text: str) -> None:
        """Tell the first rank's reader."""
        if self.task.ranks.rank == 0:
            self.task.progress.message(text)


def fit_scattering(task: FitTask, hypers: EnsembleHypers) -> FitResult:
    """Return the average of sparse models on scattering features.

    task.descriptor is a `WaveletScattering`; task.members: how many members the model carries, at most all of them.

    Raises:
        ValueError: settings that do not go together, a pair baseline, or data without energies.
    """
    work = _start(task, hypers)
    begin = time.perf_counter()
    if hypers.unit == "groups" and any(frame.group is None for frame in task.train):
        work.say("note: frames carry no group, each frame is drawn by itself; name the key of paths or trajectories")
    plans = [make_plan(task, hypers, task.train, True), make_plan(task, hypers, task.validation, task.absorb)]
    _announce(work, plans)
    train = measure(plans[0], "train", task, work.scattering, work.store)
    unseen = measure(plans[1], "validation", task, work.scattering, work.store)
    measured = time.perf_counter()
    columns = choose_columns(
        train.values, train.shifted.rows, work.scattering.hypers, work.scattering.paths, hypers.signal, hypers.size
    )
    work.say(str(columns))
    blocks = _equations(work, train)
    rows = stack(list(blocks.values()))
    ensemble, kept = _fit(work, rows, np.flatnonzero(columns.usable))
    values, reference = _labelled(work, unseen)
    calibration = calibrated(ensemble, rows, values, reference) if _stored(work) else None
    model = _model(work, ensemble, calibration)
    fitted = time.perf_counter()
    found = assess(model, evenly(task.validation, ASSESSED), task.seed, task.ranks, task.progress)
    report = {
        "regressor": hypers.model_dump(exclude=CIRCUMSTANCES),
        "targets": task.targets.model_dump(),
        "columns": {name: int(mask.sum()) for name, mask in asdict(columns).items()},
        "equations": {kind: len(block.targets) for kind, block in blocks.items()} | {"groups": rows.n_groups},
        "ensemble": composition(ensemble, work.scattering.paths),
        "selection": selection_curve(ensemble),
        "validation": _metrics(ensemble.predict(values)[:, 0] - reference, found),
        "behaviour": summary(found),
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": {"features": measured - begin, "fit": fitted - measured, "assessment": time.perf_counter() - fitted},
    }
    final = model
    if task.absorb and len(task.validation):
        everything = stack(list(_equations(work, train.join(unseen)).values()))
        fit = SharedFit(task.ranks, task.progress, task.resume, "members, both parts")
        final = _model(work, fit(everything, ensemble.hypers, kept, work.folder("members-final")), calibration)
    return FitResult(model, final, task.ranks.broadcast(report))


def _start(task: FitTask, hypers: EnsembleHypers) -> _Work:
    """Check what cannot be checked in the sections alone."""
    scattering: Any = task.descriptor
    if not isinstance(scattering, WaveletScattering):
        raise TypeError(f"descriptor must be a WaveletScattering, got {type(scattering).__name__}; see the families")
    if task.pair is not None:
        raise ValueError("pair must be None for models of whole structures, got a pair baseline; leave it out")
    check_members(task.members, sum("energy" in task.targets.sigmas(frame) for frame in task.train))
    folder = task.folder / "features" if hypers.cache is None and task.folder is not None else None
    store = FeatureStore(Path(hypers.cache) if hypers.cache is not None else folder, scattering)
    return _Work(task, hypers, scattering, Baseline(tuple(task.symbols), tuple(task.baseline), "given"), store)


def _announce(work: _Work, plans: Sequence[Plan]) -> None:
    """Say what the features will take, from one frame's; nothing where they are kept already.

    Most time goes into large frames: half of all points of grids are in frames with more than the chosen one's.
    """
    task = work.task
    passes = sorted((sample for plan in plans for sample in plan.passes), key=lambda sample: sample.points)
    points = np.cumsum([sample.points for sample in passes])
    sample = passes[int(np.searchsorted(points, points[-1] / 2))]
    if task.ranks.rank != 0 or work.store.read(sample) is not None:
        return
    n_rows = sum(plan.n_rows for plan in (plans if task.absorb else plans[:1]))
    width = work.scattering.n_features
    with one_thread_each(task.ranks) as workers:
        seconds = seconds_of(sample, work.scattering) * points[-1] / sample.points / (workers * task.ranks.size)
        # The rows, joined, stacked and as a table; products of the columns for each thread.
        memory = 8.0 * width * (4 * n_rows + 2 * workers * width)
    task.progress.forecast(Forecast(width, n_rows, {"features": float(seconds)}, memory, without=LATER))


def _equations(work: _Work, measured: Measured) -> dict[str, Rows]:
    """Return the rows of a part as they are configured, by kind."""
    return equations(measured, work.task.targets, work.baseline, work.hypers.translation, work.hypers.unit)


def _labelled(work: _Work, part: Measured) -> tuple[Floats, Floats]:
    """Return features (v, F) and energies (v) in eV per atom of the frames of a part that have an energy."""
    chosen = [k for k, frame in enumerate(part.frames) if frame.energy is not None]
    energies = [energy_per_atom(part.frames[k], work.baseline) for k in chosen]
    return part.values[chosen], np.array(energies, dtype=np.float64)


def _fit(work: _Work, rows: Rows, columns: Integers) -> tuple[Ensemble, Integers]:
    """Return the ensemble, on a budget if there is one, and the features it could choose from."""
    task, hypers = work.task, work.hypers
    fit = SharedFit(task.ranks, task.progress, task.resume)
    ensemble = fit(rows, hypers.greedy(task.seed), columns, work.folder("members"))
    if hypers.budget is None:
        return ensemble, columns
    work.say(f"{len(ensemble.used)} features in use; fitted again to the best {hypers.budget} {hypers.budget_of}")
    again = SharedFit(task.ranks, task.progress, task.resume, "members on a budget")
    sets = moduli(work.scattering.paths) if hypers.budget_of == "moduli" else None
    ensemble = refit(rows, ensemble, hypers.budget, sets, folder=work.folder("budget"), fit=again)
    return ensemble, ensemble.used


def _stored(work: _Work) -> int:
    """Return how many members the model carries."""
    stored = min(work.task.members, work.hypers.n_members)
    return stored if stored > 1 else 0


def _model(work: _Work, ensemble: Ensemble, calibration: SpreadCalibration | None) -> ScatteringModel:
    """Return the model of an ensemble, with nothing but the paths that any member uses."""
    used = ensemble.used if len(ensemble.used) else np.zeros(1, dtype=np.int64)
    scattering = WaveletScattering(work.scattering.hypers, [work.scattering.paths[k] for k in used])
    width = 1 + _stored(work)
    return ScatteringModel(
        scattering,
        torch.from_numpy(ensemble.coefficients[used, :width].copy()),
        torch.from_numpy(ensemble.constants[:width].copy()),
        work.task.baseline,
        1.0 if calibration is None else calibration.factor,
    )


def _metrics(energies: Floats, found: Sequence[Behaviour]) -> dict[str, float]:
    """Return mean absolute errors in meV per atom and meV/A, where there is anything to compare."""
    forces = np.concatenate([np.zeros(0), *(one.force_errors for one in found)])
    named = {"energy_mae_mev_per_atom": energies, "forces_mae_mev_per_angstrom": forces}
    return {name: MEV_PER_EV * float(np.abs(errors).mean()) for name, errors in named.items() if len(errors)}
