"""The two fits: choose columns, stream the equations into sums, solve, draw and calibrate members.

    fit_linear   E = sum_i w[a_i] . p_i                       ridge
    fit_gap      E = sum_i sum_s c_s k(p_i, p_s)               sparse kernel (deterministic training conditional [1])

Both minimise  sum_rows ((A x - y) / sigma)^2 + |w|^2  in the coordinates w of `coordinates`; the equations of `design`
are added to sums of squares (`normal_equations`), so memory does not grow with the number of frames, and frames can be
distributed over MPI ranks.

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
from rhopot.potentials.fitting.checkpoint import problem_fingerprint
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.least_squares.assemble import Assembly, assemble
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates, kernel_coordinates, linear_coordinates
from rhopot.potentials.fitting.least_squares.design import Design, KernelDesign, LinearDesign
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.least_squares.forecast import forecast
from rhopot.potentials.fitting.least_squares.jackknife import HeldOutEnergies, jackknife
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.least_squares.members import (
    FOLDS,
    MemberCalibration,
    calibrate_members,
    member_departures,
)
from rhopot.potentials.fitting.least_squares.pool import candidate_pool
from rhopot.potentials.fitting.least_squares.select import select_columns, select_rows
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve
from rhopot.potentials.fitting.least_squares.validate import ValidationErrors, validate
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.gap import GapModel
from rhopot.potentials.models.linear import LinearModel
from rhopot.potentials.structures import Frame, fold_numbers

Floats = NDArray[np.float64]
LeastSquaresSettings = LinearSettings | GapSettings


@dataclass(frozen=True)
class _Columns:
    """The chosen columns: design, coordinates, arrays that identify them, and how coefficients make a model."""

    design: Design
    coordinates: Coordinates
    identity: list[NDArray[Any]]
    model: Callable[[Floats], nn.Module]


def fit_linear(problem: FitProblem, settings: LinearSettings) -> FitResult:
    """Return the ridge-regularised linear model of the problem's training data."""
    return _fit(problem, settings, lambda pool, features: _linear_columns(problem, settings, pool, features))


def fit_gap(problem: FitProblem, settings: GapSettings) -> FitResult:
    """Return the sparse-kernel model of the problem's training data."""
    return _fit(problem, settings, lambda pool, features: _gap_columns(problem, settings, pool, features))


def _fit(
    problem: FitProblem, settings: LeastSquaresSettings, choose: Callable[[list[Floats], Tensor], _Columns]
) -> FitResult:
    """Run the stages that both regressors share."""
    check_members(problem.members, sum("energy" in problem.targets.sigmas(frame) for frame in problem.train))
    folds = (
        fold_numbers(problem.train, FOLDS, problem.seed)
        if problem.members
        else np.zeros(len(problem.train), dtype=np.int64)
    )
    clock = _Clock()
    pool = candidate_pool(problem, settings.pool)
    features = _chosen_features(problem, settings, pool)
    columns = choose([part[:, features.numpy()] for part in pool], features)
    clock.lap("selection")
    baseline = EnergyBaseline(problem.baseline, problem.pair)
    system = LinearSystem(
        problem.descriptor,
        columns.design,
        baseline,
        problem.symbols,
        problem.descriptor.cutoff,
        settings.batch_mib,
        problem.search,
    )
    _announce(problem, settings, system, columns, int(folds.max()) + 1)
    checkpoint = _checkpoint(problem, settings, columns, folds)
    coordinates, communicator, progress = columns.coordinates, problem.communicator, problem.progress
    assembly = assemble(
        problem.train,
        folds,
        system,
        coordinates,
        problem.targets,
        settings.block_rows,
        communicator,
        progress,
        checkpoint,
    )
    clock.lap("assembly")
    posterior = solve(assembly.equations, coordinates)
    mean = communicator.broadcast(posterior.coefficients)
    clock.lap("solve")
    predictions, unseen = validate(
        problem.validation, system, coordinates, problem.targets, mean, assembly.equations, communicator, progress
    )
    clock.lap("validation")
    weights, calibration = mean[:, None], None
    if problem.members:
        found = _with_members(problem, assembly, posterior, predictions) if communicator.rank == 0 else None
        weights, calibration = communicator.broadcast(found)
        clock.lap("members")
    n_rows = int(assembly.equations.n_rows.sum())
    report = _report(problem, settings, n_rows, posterior, predictions, calibration)
    model = columns.model(weights)
    final = model
    if problem.refit_on_validation and len(problem.validation) > 0:
        both = solve(assembly.equations.joined(unseen), coordinates).coefficients
        final = columns.model(weights + (communicator.broadcast(both) - mean)[:, None])  # members keep their departures
        clock.lap("both parts")
    return FitResult(model, final, communicator.broadcast(report | {"seconds": clock.laps}))


def _chosen_features(problem: FitProblem, settings: LeastSquaresSettings, pool: list[Floats]) -> Tensor:
    """Return the rows of the features that the fit uses, the same on every rank."""
    n_features = problem.descriptor.n_features
    if settings.n_features is None:
        return torch.arange(n_features)
    chosen = None
    if problem.communicator.rank == 0:
        chosen = select_columns(np.concatenate(pool), settings.n_features, settings.feature_method, problem.seed)
    return torch.from_numpy(problem.communicator.broadcast(chosen))


def _linear_columns(problem: FitProblem, settings: LinearSettings, pool: list[Floats], features: Tensor) -> _Columns:
    """Return one column per element and feature."""
    n_species, n_features = len(problem.symbols), problem.descriptor.n_features

    def model(weights: Floats) -> nn.Module:
        full = torch.zeros([n_species, n_features, weights.shape[1]], dtype=torch.float64)
        full[:, features] = torch.from_numpy(weights).reshape(n_species, len(features), -1)
        return LinearModel(problem.descriptor, full, problem.baseline, problem.pair)

    coordinates = linear_coordinates(pool, settings.prior, settings.scaling)
    return _Columns(LinearDesign(n_species, features), coordinates, [features.numpy()], model)


def _gap_columns(problem: FitProblem, settings: GapSettings, pool: list[Floats], features: Tensor) -> _Columns:
    """Return one column per sparse point of each element."""
    found = None
    if problem.communicator.rank == 0:
        chosen = _sparse_points(problem, settings, pool)
        found = chosen, kernel_coordinates(chosen, settings.zeta, settings.delta, settings.rank_tolerance)
    points, coordinates = problem.communicator.broadcast(found)
    design = KernelDesign(points, settings.zeta, features)

    def model(weights: Floats) -> nn.Module:
        parts = torch.from_numpy(weights).split([len(part) for part in points])
        kept = None if settings.n_features is None else features
        return GapModel(problem.descriptor, points, parts, settings.zeta, problem.baseline, problem.pair, kept)

    return _Columns(design, coordinates, [features.numpy(), *(part.numpy() for part in points)], model)


def _sparse_points(problem: FitProblem, settings: GapSettings, pool: list[Floats]) -> list[Tensor]:
    """Return the normalised sparse points of each element."""
    points: list[Tensor] = []
    for symbol, features in zip(problem.symbols, pool, strict=True):
        count = settings.n_sparse if isinstance(settings.n_sparse, int) else settings.n_sparse.get(symbol)
        if count is None:
            raise ValueError(f"n_sparse must name every element, got none for {symbol}; add it or give one number")
        units = unit_rows(torch.from_numpy(features))[0]
        units = units[(units * units).sum(1) > 0]
        chosen = select_rows(units.numpy(), count, settings.sparse_method, problem.seed)
        if len(chosen) < count:
            problem.progress.message(
                f"{symbol}: {len(chosen)} distinct environments for {count} sparse points, all are taken"
            )
        points.append(units[torch.from_numpy(chosen)].contiguous())
    return points


def _announce(
    problem: FitProblem, settings: LeastSquaresSettings, system: LinearSystem, columns: _Columns, n_folds: int
) -> None:
    """Report the forecast of time and memory."""
    train, validation = (
        [frame for _, frame in round_robin(part, problem.communicator)] for part in (problem.train, problem.validation)
    )
    model = columns.model(np.zeros((system.design.n_columns, 1)))

    def evaluate(frame: Frame) -> None:
        energy_forces_virial(lambda graph: model(*graph, False)[:, 0], system.graphs(frame), len(frame))

    expected = forecast(
        train, validation, system, problem.targets, settings.block_rows, n_folds, problem.refit_on_validation, evaluate
    )
    if problem.communicator.rank == 0:
        problem.progress.forecast(expected)


def _checkpoint(
    problem: FitProblem, settings: LeastSquaresSettings, columns: _Columns, folds: NDArray[np.int64]
) -> Checkpoint:
    """Return where this fit's state goes."""
    mark = problem_fingerprint(problem, problem.train, [settings.model_dump_json()], [folds, *columns.identity])
    communicator = problem.communicator
    return Checkpoint(
        problem.folder, problem.resume, communicator.rank, communicator.size, mark, settings.checkpoint_seconds
    )


def _with_members(
    problem: FitProblem, assembly: Assembly, posterior: Posterior, predictions: ValidationErrors
) -> tuple[Floats, MemberCalibration]:
    """Return the mean and the calibrated member columns (n, 1 + K), and the calibration."""
    problem.progress.message("ensemble: leave-one-fold-out fits")
    departures, evidence = jackknife(assembly, posterior)
    unseen = HeldOutEnergies.of(predictions.energy_errors, posterior.whiten(predictions.energy_rows), departures)
    calibration = calibrate_members(evidence.join(unseen).undetermined)
    members = member_departures(posterior, departures, calibration, problem.members, problem.seed)
    mean = posterior.coefficients[:, None]
    return np.concatenate([mean, mean + members], axis=1), calibration


def _report(
    problem: FitProblem,
    settings: LeastSquaresSettings,
    n_rows: int,
    posterior: Posterior,
    predictions: ValidationErrors,
    calibration: MemberCalibration | None,
) -> dict[str, Any]:
    """Return plain numbers about the fit (meaningful on rank 0)."""
    return {
        "regressor": settings.model_dump(),
        "targets": problem.targets.model_dump(),
        "columns": len(posterior.coefficients),
        "rank": len(posterior.mean),
        "equations": n_rows,
        "weighted_residual_rms": posterior.misfit / max(n_rows, 1) ** 0.5,
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
