"""Streaming: memory that does not follow the number of frames."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
from labelled import frames

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.least_squares.assemble import assemble
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.coordinates import DiagonalCoordinates
from rhopot.potentials.fitting.least_squares.equations import Equations
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.fitting.targets import Targets

COLUMNS, ROWS = 60, 19


class RandomProblem:
    """Stands for the problem: random equations for every frame."""

    def equations(self, frame: Any, targets: Targets) -> Equations:
        rows = np.random.default_rng(frame.index).standard_normal((ROWS, COLUMNS + 1))
        return Equations({"forces": rows}, {"forces": 1.0})


def peak_memory(repeats: int) -> tuple[int, NormalEquations]:
    """Return the peak of traced bytes while 5 frames are assembled `repeats` times, and the equations."""
    train = frames(5) * repeats
    nowhere = Checkpoint(None, False, 0, 1, "", 30.0)
    unscaled = DiagonalCoordinates(np.ones(COLUMNS))
    gc.collect()
    tracemalloc.start()
    folds = np.arange(len(train)) % 3
    problem: Any = RandomProblem()
    assembly = assemble(train, folds, problem, unscaled, Targets(), 50, SingleProcess(), SilentProgress(), nowhere)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, assembly.equations


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    (few, small), (many, large) = peak_memory(2), peak_memory(40)
    assert (small.n_rows.sum(), large.n_rows.sum()) == (2 * 5 * ROWS, 40 * 5 * ROWS)
    more_rows = 8 * (COLUMNS + 1) * ROWS * 5 * 38  # bytes of the rows of the added frames
    assert many - few < 0.02 * more_rows
