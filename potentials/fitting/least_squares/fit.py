"""The two fits: choose columns, stream the equations into sums, solve, draw and calibrate members.

    fit_linear   E = sum_i w[a_i] . p_i                       ridge
    fit_gap      E = sum_i sum_s c_s k(p_i, p_s)               sparse kernel (deterministic training conditional [1])

Both minimise  sum_rows ((A x - y) / sigma)^2 + |w|^2  in the coordinates w of `coordinates`; the equations of `design`
are added to sums of squares (`normal_equations`), so memory does not grow with the number of frames, and frames can be
distributed over MPI ranks. With many coefficients for the equations and no members, the Gram matrix of the equations is
solved instead (`gram_matrix`).

[1] J. Quinonero-Candela, C. E. Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.calibration import check_members
from rhopot.potentials.fitting.checkpoint import problem_fingerprint
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.least_squares.assemble import Assembly, assemble
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.columns import (
    Arrays,
    Columns,
    LeastSquaresSettings,
    choose_arrays,
    gap_columns,
    linear_columns,
    sparse_points,
)
from rhopot.potentials.fitting.least_squares.coordinates import linear_coordinates
from rhopot.potentials.fitting.least_squares.equations import LinearSystem, count_rows
from rhopot.potentials.fitting.least_squares.forecast import forecast, forecast_rows
from rhopot.potentials.fitting.least_squares.gram_matrix import RowFit, fit_rows, gram_matrix_pays
from rhopot.potentials.fitting.least_squares.jackknife import HeldOutEnergies, jackknife
from rhopot.potentials.fitting.least_squares.kept_equations import NAME as EQUATIONS
from rhopot.potentials.fitting.least_squares.kept_equations import (
    KeptEquations,
    equations_mark,
    read_equations,
    write_equations,
)
from rhopot.potentials.fitting.least_squares.learning_curve import CurvePart, curve_parts, curve_points, fit_parts
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.least_squares.members import (
    FOLDS,
    MemberCalibration,
    calibrate_members,
    member_departures,
)
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve
from rhopot.potentials.fitting.least_squares.validate import ValidationErrors, validate, validation_errors
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame, fold_numbers

Floats = NDArray[np.float64]


def fit_linear(problem: FitProblem, settings: LinearSettings) -> FitResult:
    """Return the ridge-regularised linear model of the problem's training data."""
    return _fit(
        problem,
        settings,
        lambda pool: {"scale": linear_coordinates(pool, settings.prior, settings.scaling).scale},
        lambda arrays: linear_columns(problem, arrays),
    )


def fit_gap(problem: FitProblem, settings: GapSettings) -> FitResult:
    """Return the sparse-kernel model of the problem's training data."""
    return _fit(
        problem,
        settings,
        lambda pool: sparse_points(problem, settings, pool),
        lambda arrays: gap_columns(problem, settings, arrays),
    )


def _fit(
    problem: FitProblem,
    settings: LeastSquaresSettings,
    choose: Callable[[list[Floats]], Arrays],
    make: Callable[[Arrays], Columns],
) -> FitResult:
    """Run the stages that both regressors share.

    choose: candidate features of each element -> arrays, on rank 0; make: these and `features` -> columns
    """
    check_members(problem.members, sum("energy" in problem.targets.sigmas(frame) for frame in problem.train))
    clock = _Clock()
    earlier = None if problem.appended_to is None else _earlier(problem, problem.appended_to, settings.block_rows)
    arrays = choose_arrays(problem, settings, choose) if earlier is None else earlier.columns
    columns = make(arrays)
    clock.lap("selection")
    system = LinearSystem(
        problem.descriptor,
        columns.design,
        EnergyBaseline(problem.baseline, problem.pair),
        problem.symbols,
        problem.descriptor.cutoff,
        settings.batch_mib,
        problem.search,
    )
    if not settings.keep_equations and gram_matrix_pays(problem, columns.coordinates.rank):
        return _fit_rows(problem, settings, columns, system, clock)
    assembly, parts = _assemble(problem, settings, earlier, arrays, columns, system)
    return _fit_sums(problem, settings, columns, system, assembly, parts, clock)


def _assemble(
    problem: FitProblem,
    settings: LeastSquaresSettings,
    earlier: KeptEquations | None,
    arrays: Arrays,
    columns: Columns,
    system: LinearSystem,
) -> tuple[Assembly, list[CurvePart]]:
    """Return the sums of all equations, kept where the settings ask for it, and the parts of the learning curve."""
    n_earlier = 0 if earlier is None else len(earlier.folds)
    later = problem.train[n_earlier:]
    folds = _folds(problem, later, earlier)
    every = folds if earlier is None else np.append(earlier.folds, folds)
    parts = curve_parts(problem.train, every, problem.fractions, problem.seed)
    n_folds = int(folds.max(initial=0)) + 1 if earlier is None else len(earlier.assembly.equations.squares)
    _announce(problem, later, settings, system, columns, n_folds, len(parts))
    assembly = assemble(
        later,
        folds,
        system,
        columns.coordinates,
        problem.targets,
        settings.block_rows,
        problem.communicator,
        problem.progress,
        _checkpoint(problem, settings, arrays, folds),
        None if earlier is None else earlier.assembly,
    )
    if settings.keep_equations and problem.folder is not None and problem.communicator.rank == 0:
        mark = equations_mark(problem, problem.train)
        write_equations(problem.folder / EQUATIONS, KeptEquations(assembly, every, arrays, mark))
    return assembly, parts


def _fit_sums(
    problem: FitProblem,
    settings: LeastSquaresSettings,
    columns: Columns,
    system: LinearSystem,
    assembly: Assembly,
    parts: Sequence[CurvePart],
    clock: _Clock,
) -> FitResult:
    """Go on from the sums of the equations."""
    coordinates, communicator, progress = columns.coordinates, problem.communicator, problem.progress
    clock.lap("assembly")
    posterior = solve(assembly.equations, coordinates)
    mean = communicator.broadcast(posterior.coefficients)
    clock.lap("solve")
    of_parts = fit_parts(parts, problem, assembly.equations, system, coordinates)
    if parts:
        clock.lap("learning curve")
    predictions, unseen = validate(
        problem.validation,
        system,
        coordinates,
        problem.targets,
        np.column_stack([mean, of_parts]),
        assembly.equations,
        communicator,
        progress,
    )
    clock.lap("validation")
    weights, calibration = mean[:, None], None
    if problem.members:
        found = _with_members(problem, assembly, posterior, predictions) if communicator.rank == 0 else None
        weights, calibration = communicator.broadcast(found)
        clock.lap("members")
    n_rows = int(assembly.equations.n_rows.sum())
    report = _report(problem, settings, len(mean), n_rows, posterior, predictions) | {
        "calibration": None if calibration is None else asdict(calibration)
    }
    if of_parts.shape[1]:
        report["learning_curve"] = curve_points(parts, predictions)
    model = columns.model(weights)
    final = model
    if problem.refit_on_validation and len(problem.validation) > 0:
        both = solve(assembly.equations.joined(unseen), coordinates).coefficients
        final = columns.model(weights + (communicator.broadcast(both) - mean)[:, None])  # members keep their departures
        clock.lap("both parts")
    return FitResult(model, final, communicator.broadcast(report | {"seconds": clock.laps}))


def _fit_rows(
    problem: FitProblem, settings: LeastSquaresSettings, columns: Columns, system: LinearSystem, clock: _Clock
) -> FitResult:
    """Go on with many coefficients for the equations."""
    coordinates, progress = columns.coordinates, problem.progress
    progress.forecast(forecast_rows(problem, system, coordinates.rank, _evaluation(problem, columns, system)))
    found = fit_rows(problem, system, coordinates)
    mean, both = (coordinates.expand(w[:, None]) for w in (found.mean, found.both))
    clock.lap("solve")
    predictions = validation_errors(problem.validation, system, coordinates, mean, problem.communicator, progress)
    clock.lap("validation")
    n_rows = sum(count_rows(frame, problem.targets) for frame in problem.train)
    report = _report(problem, settings, len(mean), n_rows, found, predictions)
    model = columns.model(mean)
    final = columns.model(both) if problem.refit_on_validation and len(problem.validation) > 0 else model
    return FitResult(model, final, report | {"calibration": None, "seconds": clock.laps})


def _earlier(problem: FitProblem, file: Path, block_rows: int) -> KeptEquations:
    """Return the equations that this fit goes on from.

    Raises:
        ValueError: they have no folds, and the model is to have members.
    """
    earlier = read_equations(file, block_rows)
    if problem.members and len(earlier.assembly.equations.squares) == 1:
        raise ValueError(
            f"uncertainty.members must be 0, got {problem.members}: the fit that is appended to has none, and its "
            "equations no folds"
        )
    if earlier.mark != equations_mark(problem, problem.train[: len(earlier.folds)]):
        raise ValueError(
            f"'{file}' must hold the equations of its folder's model, got others; make that training again"
        )
    return earlier


def _folds(problem: FitProblem, later: Sequence[Frame], earlier: KeptEquations | None) -> NDArray[np.int64]:
    """Return the folds of frames whose equations are not kept; those with the most frames where there are fewest."""
    n_folds = FOLDS if earlier is None else len(earlier.assembly.equations.squares)
    if len(later) == 0 or n_folds == 1 or (earlier is None and not problem.members):
        return np.zeros(len(later), dtype=np.int64)
    drawn = fold_numbers(later, n_folds, problem.seed)
    if earlier is None:
        return drawn
    emptiest = np.argsort(np.bincount(earlier.folds, minlength=n_folds), kind="stable")
    largest = np.argsort(-np.bincount(drawn, minlength=n_folds), kind="stable")
    place = np.empty(n_folds, dtype=np.int64)
    place[largest] = emptiest
    return place[drawn]


def _announce(
    problem: FitProblem,
    later: Sequence[Frame],
    settings: LeastSquaresSettings,
    system: LinearSystem,
    columns: Columns,
    n_folds: int,
    n_points: int,
) -> None:
    """Report the forecast of time and memory; later: frames whose equations are not kept from an earlier fit."""
    train, validation = (
        [frame for _, frame in round_robin(part, problem.communicator)] for part in (later, problem.validation)
    )
    expected = forecast(
        train,
        validation,
        system,
        problem.targets,
        settings.block_rows,
        n_folds,
        problem.refit_on_validation,
        _evaluation(problem, columns, system),
        n_points,
    )
    if problem.communicator.rank == 0:
        problem.progress.forecast(expected)


def _evaluation(problem: FitProblem, columns: Columns, system: LinearSystem) -> Callable[[Frame], object]:
    """Return what gives energy and forces of a frame by a model of the kind that is fitted."""
    model = columns.model(np.zeros((system.design.n_columns, 1)))
    return lambda frame: energy_forces_virial(
        lambda graph: model(*graph, False)[:, 0], system.graphs(frame), len(frame)
    )


def _checkpoint(
    problem: FitProblem, settings: LeastSquaresSettings, arrays: Arrays, folds: NDArray[np.int64]
) -> Checkpoint:
    """Return where this fit's state goes."""
    mark = problem_fingerprint(problem, problem.train, [settings.model_dump_json()], [folds, *arrays.values()])
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
    unseen = HeldOutEnergies.of(predictions.energy_errors[:, 0], posterior.whiten(predictions.energy_rows), departures)
    calibration = calibrate_members(evidence.join(unseen).undetermined)
    _say_calibration(problem, len(evidence.errors), len(unseen.errors), calibration)
    members = member_departures(posterior, departures, calibration, problem.members, problem.seed)
    mean = posterior.coefficients[:, None]
    return np.concatenate([mean, mean + members], axis=1), calibration


def _say_calibration(problem: FitProblem, n_train: int, n_validation: int, found: MemberCalibration) -> None:
    """Say what the calibration of the predicted uncertainty of energies rests on."""
    left_out = n_train + n_validation - found.n_energies
    problem.progress.message(
        f"calibration of the predicted uncertainty of energies: {found.n_energies} energies, of {n_train} training "
        f"structures by fits without their fold and {n_validation} validation structures; factors "
        f"{found.jackknife_scale:.3g} on the leave-one-fold-out part, {found.posterior_scale:.3g} on the posterior part"
        + (f"; {left_out} do not count, since no coefficient enters them (atoms without neighbors)" if left_out else "")
    )


def _report(
    problem: FitProblem,
    settings: LeastSquaresSettings,
    n_columns: int,
    n_rows: int,
    solution: Posterior | RowFit,
    predictions: ValidationErrors,
) -> dict[str, Any]:
    """Return plain numbers about the fit (meaningful on rank 0)."""
    return {
        "regressor": settings.model_dump(),
        "targets": problem.targets.model_dump(),
        "columns": n_columns,
        "rank": len(solution.mean),
        "equations": n_rows,
        "weighted_residual_rms": solution.misfit / max(n_rows, 1) ** 0.5,
        "prior_norm": float(np.linalg.norm(solution.mean)),
        "validation": predictions.metrics(),
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
