"""What a fit will cost, measured on one of its frames before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from rhopot.potentials.fit.problem import Problem
from rhopot.potentials.fit.progress import Forecast
from rhopot.potentials.fit.qr import SequentialQR
from rhopot.potentials.fit.targets import Targets
from rhopot.potentials.structures import Frame

# Rows of random numbers folded into a triangle to time it.
PROBE_ROWS = 128


def count_rows(frame: Frame, targets: Targets) -> int:
    """Return the number of equations of a frame."""
    sizes = {"energy": 1, "forces": 3 * len(frame.atoms), "stress": 6}
    return sum(sizes[name] for name in targets.sigmas(frame))


def forecast(
    frames: Sequence[Frame], problem: Problem, targets: Targets, block_rows: int, n_folds: int = 1
) -> Forecast:
    """Return time and memory of the assembly and the solve for this rank's frames.

    One frame is assembled: that of the middle atom when frames are ordered by size. Its time is scaled with the number
    of atoms, that of the QR steps with the number of rows. The solve is counted as 4 n^3 operations at the speed of the
    QR, and as many again for each of the `n_folds` folds of the members, beside n^3 / 3 for every pair of them.
    """
    if not frames:
        return Forecast(problem.design.n_columns, 0, 0.0, 0.0)
    n = problem.design.n_columns
    ordered = sorted(frames, key=len)
    up_to = np.cumsum([len(frame) for frame in ordered])
    middle = ordered[int(np.searchsorted(up_to, up_to[-1] / 2))]
    begin = time.perf_counter()
    problem.equations(middle, targets)
    per_atom = (time.perf_counter() - begin) / len(middle.atoms)
    qr = SequentialQR(n)
    block = np.random.default_rng(0).standard_normal((PROBE_ROWS, n + 1))
    qr.add(block)
    begin = time.perf_counter()
    qr.add(block)
    per_row = (time.perf_counter() - begin) / PROBE_ROWS
    rows = sum(count_rows(frame, targets) for frame in frames)
    operations_per_second = 2.0 * n * n / max(per_row, 1e-9)
    seconds = per_atom * int(up_to[-1]) + per_row * rows + _solve_operations(n, n_folds) / operations_per_second
    return Forecast(n, rows, seconds, _peak_bytes(frames, problem, block_rows, n_folds))


def _solve_operations(n: int, n_folds: int) -> float:
    """Return the operations of the solve and of the members."""
    pairs = n_folds * (n_folds - 1) / 2
    return float(n) ** 3 * (4.0 + (4.0 * n_folds + pairs / 3.0 if n_folds > 1 else 0.0))


def _peak_bytes(frames: Sequence[Frame], problem: Problem, block_rows: int, n_folds: int) -> float:
    """Return the larger of the assembly's and the solve's memory."""
    n = problem.design.n_columns
    largest = max(len(frame.atoms) for frame in frames)
    batch = 3 * 8 * problem.batch_edges * (3 * problem.descriptor.n_features + 2 * n)
    frame_rows = 8 * n * (3 * largest + 7)
    assembly = batch + 3 * frame_rows + 8 * n * (2 * block_rows + (1 + n_folds) * n)
    solve = 8 * n * n * (5 + 2 * n_folds)
    return float(max(assembly, solve))
