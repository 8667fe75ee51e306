"""Time and memory of a fit, measured on one of its frames before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from rhopot.potentials.fitting.least_squares.equations import LinearSystem, count_rows
from rhopot.potentials.fitting.least_squares.gram_matrix import expected_bytes, expected_seconds, n_rows
from rhopot.potentials.fitting.least_squares.normal_equations import SAMPLE, NormalEquations
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.progress import Forecast
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

# Rows of random numbers added to sums to time it, and the time after which nothing is measured again.
PROBE_ROWS = 128
PROBE_SECONDS = 1.0
# Operations of the solve, in n^3.
SOLVE = 8.0


def forecast(
    train: Sequence[Frame],
    validation: Sequence[Frame],
    system: LinearSystem,
    targets: Targets,
    block_rows: int,
    n_folds: int = 1,
    both: bool = False,
    evaluate: Callable[[Frame], object] | None = None,
    n_points: int = 0,
) -> Forecast:
    """Return time and memory of a fit for this rank's frames.

    One frame is assembled: that of the middle atom when frames are ordered by size. Its time is scaled with the number
    of atoms, that of their sums with the number of rows. The solve, the preconditioner included, is counted as 8 n^3
    operations at the speed of the sums, each of the `n_folds` folds of the members and every pair of them as n^3 / 3.

    both: the final model is fitted to both parts; evaluate: gives energy and forces of a frame by a model of the kind
    that is fitted; n_points: of a learning curve, a solve each.
    """
    n = system.design.n_columns
    if not train:
        return Forecast(n, 0, {}, 0.0)
    middle = _middle(train)
    per_atom = _seconds(lambda: system.equations(middle, targets)) / len(middle)
    per_row = _seconds_per_row(n)
    per_operation = per_row / (2.0 * n * n)
    rows = sum(count_rows(frame, targets) for frame in train)
    unseen_atoms = sum(len(frame) for frame in validation)
    solve = SOLVE * float(n) ** 3 * per_operation
    stages = {
        "equations": per_atom * sum(len(frame) for frame in train) + per_row * rows,
        "solve": solve,
        "members": _member_operations(n, n_folds) * per_operation,
        "validation": per_atom * unseen_atoms,
    }
    if n_points:
        stages["learning curve"] = n_points * solve
    if both and validation:
        unseen_rows = sum(count_rows(frame, targets) for frame in validation)
        stages["fit to both parts"] = per_atom * unseen_atoms + per_row * unseen_rows + solve
    evaluation = 0.0 if evaluate is None else _seconds(lambda: evaluate(middle)) / len(middle)
    return Forecast(n, rows, stages, _peak_bytes(train, system, block_rows, n_folds), evaluation)


def forecast_rows(
    problem: FitProblem, system: LinearSystem, rank: int, evaluate: Callable[[Frame], object]
) -> Forecast:
    """Return time and memory of a fit through the kernel of its equations; arguments: see `forecast`."""
    middle = _middle(problem.train)
    per_atom = _seconds(lambda: system.equations(middle, problem.targets)) / len(middle)
    train, more = n_rows(problem)
    unseen_atoms = sum(len(frame) for frame in problem.validation)
    atoms = sum(len(frame) for frame in problem.train) + (unseen_atoms if more else 0)
    stages = {
        "equations": per_atom * atoms,
        "solve": expected_seconds(train + more, rank),
        "validation": per_atom * unseen_atoms,
    }
    evaluation = _seconds(lambda: evaluate(middle)) / len(middle)
    return Forecast(system.design.n_columns, train, stages, expected_bytes(train + more, rank), evaluation)


def _middle(frames: Sequence[Frame]) -> Frame:
    """Return the frame of the middle atom when frames are ordered by size."""
    ordered = sorted(frames, key=len)
    up_to = np.cumsum([len(frame) for frame in ordered])
    return ordered[int(np.searchsorted(up_to, up_to[-1] / 2))]


def _seconds(work: Callable[[], object]) -> float:
    """Return the median time of some calls; of a single one where it takes long."""
    times: list[float] = []
    while len(times) < 4 and sum(times) < PROBE_SECONDS:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return float(np.median(times[1:] or times))  # the first call prepares what later ones find


def _seconds_per_row(n: int) -> float:
    """Return the time of adding a row of n columns to a sum."""
    equations = NormalEquations(n, 1, PROBE_ROWS, np.eye(n + 1, order="F"))
    block = np.random.default_rng(0).standard_normal((PROBE_ROWS, n + 1)) / n
    return max(_seconds(lambda: equations.add(block, 0)) / PROBE_ROWS, 1e-9)


def _member_operations(n: int, n_folds: int) -> float:
    """Return the operations of the members' fits: without one fold, and without two."""
    return float(n) ** 3 / 3.0 * n_folds * (n_folds + 1) / 2 if n_folds > 1 else 0.0


def _peak_bytes(frames: Sequence[Frame], system: LinearSystem, block_rows: int, n_folds: int) -> float:
    """Return the larger of the assembly's and the solve's memory."""
    n = system.design.n_columns
    largest = max(len(frame.atoms) for frame in frames)
    batch = 3 * 8 * system.batch_edges * (3 * system.descriptor.n_features + 2 * n)
    frame_rows = 8 * n * (3 * largest + 7)
    assembly = batch + 3 * frame_rows + 8 * n * (3 * max(block_rows, SAMPLE * n) + (1 + n_folds) * n)
    solve = 8 * n * n * (6 + 2 * n_folds)
    return float(max(assembly, solve))
