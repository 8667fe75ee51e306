"""The two fits: choose columns, stream the equations into a triangle, solve, draw and calibrate members.

    fit_linear   E = sum_i w[a_i] . p_i                       ridge
    fit_gap      E = sum_i sum_s c_s k(p_i, p_s)               sparse kernel (deterministic training conditional [1])

Both minimise  sum_rows ((A x - y) / sigma)^2 + |w|^2  in the coordinates w of `coordinates`; the equations of `design`
are folded into one triangle (`qr`), so memory does not grow with the number of frames, and frames can be dealt to MPI
ranks.

[1] J. Quinonero-Candela, C. E. Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rhopot.potentials.descriptors.dot_product import unit_rows
from rhopot.potentials.fitting.calibration import check_members
from rhopot.potentials.fitting.checkpoint import fingerprint
from rhopot.potentials.fitting.communicator import deal
from rhopot.potentials.fitting.least_squares.assemble import Assembly, assemble
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates, kernel_coordinates, linear_coordinates
from rhopot.potentials.fitting.least_squares.design import Design, KernelDesign, LinearDesign
from rhopot.potentials.fitting.least_squares.equations import Problem
from rhopot.potentials.fitting.least_squares.forecast import forecast
from rhopot.potentials.fitting.least_squares.jackknife import Evidence, jackknife
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapHypers, LinearHypers
from rhopot.potentials.fitting.least_squares.members import FOLDS, Calibration, calibrate, member_departures
from rhopot.potentials.fitting.least_squares.pool import candidate_pool
from rhopot.potentials.fitting.least_squares.qr import SequentialQR
from rhopot.potentials.fitting.least_squares.select import select_columns, select_rows
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve
from rhopot.potentials.fitting.least_squares.validate import Predictions, predict
from rhopot.potentials.fitting.problem import FitResult, FitTask
from rhopot.potentials.graph.atomic_graph import graphs
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models.baseline import Baseline
from rhopot.potentials.models.gap import GapModel
from rhopot.potentials.models.linear import LinearModel
from rhopot.potentials.structures import Frame, fold_numbers

Floats = NDArray[np.float64]
Hypers = LinearHypers | GapHypers


@dataclass(frozen=True)
class _Columns:
    """The chosen columns: design, coordinates, arrays that identify them, and how coefficients make a model."""

    design: Design
    coordinates: Coordinates
    identity: list[NDArray[Any]]
    model: Callable[[Floats], nn.Module]


def fit_linear(task: FitTask, hypers: LinearHypers) -> FitResult:
    """Return the ridge-regularised linear model of the task's data."""
    return _fit(task, hypers, lambda pool, features: _linear_columns(task, hypers, pool, features))


def fit_gap(task: FitTask, hypers: GapHypers) -> FitResult:
    """Return the sparse-kernel model of the task's data."""
    return _fit(task, hypers, lambda pool, features: _gap_columns(task, hypers, pool, features))


def _fit(task: FitTask, hypers: Hypers, choose: Callable[[list[Floats], Tensor], _Columns]) -> FitResult:
    """Run the stages that both regressors share."""
    check_members(task.members, sum("energy" in task.targets.sigmas(frame) for frame in task.train))
    folds = fold_numbers(task.train, FOLDS, task.seed) if task.members else np.zeros(len(task.train), dtype=np.int64)
    clock = _Clock()
    cutoff = task.descriptor.cutoff
    pool = candidate_pool(
        task.train, task.descriptor, task.symbols, cutoff, hypers.pool, task.seed, task.ranks, task.progress
    )
    features = _chosen_features(task, hypers, pool)
    columns = choose([part[:, features.numpy()] for part in pool], features)
    clock.lap("selection")
    baseline = Baseline(task.baseline, task.pair)
    problem = Problem(task.descriptor, columns.design, baseline, task.symbols, cutoff, hypers.batch_mib)
    _announce(task, hypers, problem, columns, int(folds.max()) + 1)
    checkpoint = _checkpoint(task, hypers, columns, folds)
    coordinates, ranks, progress = columns.coordinates, task.ranks, task.progress
    equations = assemble(
        task.train, folds, problem, coordinates, task.targets, hypers.block_rows, ranks, progress, checkpoint
    )
    clock.lap("assembly")
    qr = equations.total()
    posterior = solve(qr, coordinates)
    mean = ranks.broadcast(posterior.coefficients)
    clock.lap("solve")
    predictions = predict(task.validation, problem, coordinates, mean, ranks, progress)
    clock.lap("validation")
    weights, calibration = mean[:, None], None
    if task.members:
        found = _with_members(task, equations, posterior, predictions) if ranks.rank == 0 else None
        weights, calibration = ranks.broadcast(found)
        clock.lap("members")
    report = _report(task, hypers, qr, posterior, predictions, calibration)
    model = columns.model(weights)
    final = model
    if task.absorb and len(task.validation) > 0:
        final = columns.model(weights + _shift_by_validation(task, hypers, problem, coordinates, qr, mean)[:, None])
        clock.lap("both parts")
    return FitResult(model, final, ranks.broadcast(report | {"seconds": clock.laps}))


def _shift_by_validation(
    task: FitTask, hypers: Hypers, problem: Problem, coordinates: Coordinates, qr: SequentialQR, mean: Floats
) -> Floats:
    """Return by how much the coefficients (n) change when the validation part is fitted too; members move along."""
    nowhere = Checkpoint(None, False, task.ranks.rank, task.ranks.size, "", hypers.checkpoint_seconds)
    one_fold = np.zeros(len(task.validation), dtype=np.int64)
    rows = (hypers.block_rows, task.ranks, task.progress, nowhere)
    unseen = assemble(task.validation, one_fold, problem, coordinates, task.targets, *rows).total()
    qr.merge(unseen.triangle, unseen.n_rows)
    return np.asarray(task.ranks.broadcast(solve(qr, coordinates).coefficients) - mean)


def _chosen_features(task: FitTask, hypers: Hypers, pool: list[Floats]) -> Tensor:
    """Return the rows of the features that the fit uses, the same on every rank."""
    n_features = task.descriptor.n_features
    if hypers.n_features is None:
        return torch.arange(n_features)
    chosen = None
    if task.ranks.rank == 0:
        chosen = select_columns(np.concatenate(pool), hypers.n_features, hypers.feature_method, task.seed)
    return torch.from_numpy(task.ranks.broadcast(chosen))


def _linear_columns(task: FitTask, hypers: LinearHypers, pool: list[Floats], features: Tensor) -> _Columns:
    """Return one column per element and feature."""
    n_species, n_features = len(task.symbols), task.descriptor.n_features

    def model(weights: Floats) -> nn.Module:
        full = torch.zeros([n_species, n_features, weights.shape[1]], dtype=torch.float64)
        full[:, features] = torch.from_numpy(weights).reshape(n_species, len(features), -1)
        return LinearModel(task.descriptor, full, task.baseline, task.pair)

    coordinates = linear_coordinates(pool, hypers.prior, hypers.scaling)
    return _Columns(LinearDesign(n_species, features), coordinates, [features.numpy()], model)


def _gap_columns(task: FitTask, hypers: GapHypers, pool: list[Floats], features: Tensor) -> _Columns:
    """Return one column per sparse point of each element."""
    found = None
    if task.ranks.rank == 0:
        chosen = _sparse_points(task, hypers, pool)
        found = chosen, kernel_coordinates(chosen, hypers.zeta, hypers.delta, hypers.rank_tolerance)
    points, coordinates = task.ranks.broadcast(found)
    design = KernelDesign(points, hypers.zeta, features)

    def model(weights: Floats) -> nn.Module:
        parts = torch.from_numpy(weights).split([len(part) for part in points])
        kept = None if hypers.n_features is None else features
        return GapModel(task.descriptor, points, parts, hypers.zeta, task.baseline, task.pair, kept)

    return _Columns(design, coordinates, [features.numpy(), *(part.numpy() for part in points)], model)


def _sparse_points(task: FitTask, hypers: GapHypers, pool: list[Floats]) -> list[Tensor]:
    """Return the normalised sparse points of each element."""
    points: list[Tensor] = []
    for symbol, features in zip(task.symbols, pool, strict=True):
        count = hypers.n_sparse if isinstance(hypers.n_sparse, int) else hypers.n_sparse.get(symbol)
        if count is None:
            raise ValueError(f"n_sparse must name every element, got none for {symbol}; add it or give one number")
        units = unit_rows(torch.from_numpy(features))[0]
        units = units[(units * units).sum(1) > 0]
        chosen = select_rows(units.numpy(), count, hypers.sparse_method, task.seed)
        if len(chosen) < count:
            task.progress.message(
                f"{symbol}: {len(chosen)} distinct environments for {count} sparse points, all are taken"
            )
        points.append(units[torch.from_numpy(chosen)].contiguous())
    return points


def _announce(task: FitTask, hypers: Hypers, problem: Problem, columns: _Columns, n_folds: int) -> None:
    """Measure and report what is to come."""
    train, validation = ([frame for _, frame in deal(part, task.ranks)] for part in (task.train, task.validation))
    model = columns.model(np.zeros((problem.design.n_columns, 1)))

    def evaluate(frame: Frame) -> None:
        parts = graphs(frame.atoms, task.symbols, problem.cutoff, problem.batch_edges)
        energy_forces_virial(lambda *edges: model(*edges, False)[:, 0], list(parts), len(frame))

    expected = forecast(train, validation, problem, task.targets, hypers.block_rows, n_folds, task.absorb, evaluate)
    if task.ranks.rank == 0:
        task.progress.forecast(expected)


def _checkpoint(task: FitTask, hypers: Hypers, columns: _Columns, folds: NDArray[np.int64]) -> Checkpoint:
    """Return where this fit's state goes."""
    arrays = [folds, *columns.identity, *(value.numpy() for value in task.descriptor.state_dict().values())]
    texts = [hypers.model_dump_json(), task.targets.model_dump_json(), repr([float(e) for e in task.baseline])]
    mark = fingerprint(task.train, arrays, [*texts, *task.symbols])
    ranks = task.ranks
    return Checkpoint(task.folder, task.resume, ranks.rank, ranks.size, mark, hypers.checkpoint_seconds)


def _with_members(
    task: FitTask, equations: Assembly, posterior: Posterior, predictions: Predictions
) -> tuple[Floats, Calibration]:
    """Return the mean and the calibrated member columns (n, 1 + K), and the calibration."""
    task.progress.message("members: fits without a fold of the data each")
    departures, evidence = jackknife(equations, posterior)
    unseen = Evidence.of(predictions.energy_errors, posterior.whiten(predictions.energy_rows), departures)
    calibration = calibrate(evidence.join(unseen).undetermined)
    members = member_departures(posterior, departures, calibration, task.members, task.seed)
    mean = posterior.coefficients[:, None]
    return np.concatenate([mean, mean + members], axis=1), calibration


def _report(
    task: FitTask,
    hypers: Hypers,
    qr: SequentialQR,
    posterior: Posterior,
    predictions: Predictions,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """Return plain numbers about the fit (meaningful on rank 0)."""
    misfit = float(np.hypot(np.linalg.norm(qr.factor @ posterior.mean - qr.target), qr.residual))
    return {
        "regressor": hypers.model_dump(),
        "targets": task.targets.model_dump(),
        "columns": len(posterior.coefficients),
        "rank": len(posterior.mean),
        "equations": qr.n_rows,
        "weighted_residual_rms": misfit / max(qr.n_rows, 1) ** 0.5,
        "prior_norm": float(np.linalg.norm(posterior.mean)),
        "validation": predictions.metrics(),
        "calibration": None if calibration is None else asdict(calibration),
    }


class _Clock:
    """Wall time of consecutive stages in s."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._begin = time.perf_counter()

    def lap(self, name: str) -> None:
        """Close a stage."""
        now = time.perf_counter()
        self.laps[name] = now - self._begin
        self._begin = now
