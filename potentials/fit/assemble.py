"""Streaming assembly: every frame's weighted rows, in the coordinates of the prior, are folded into one triangle.

Memory: the triangle, one block of rows and one batch of slopes, whatever the number of frames. Checkpoints are written
between blocks, and the sequence of blocks depends on the frames alone, so a resumed assembly gives bit for bit the
triangle of an uninterrupted one.

The change of coordinates K_NM -> K_NM T (see `coordinates`) is made frame by frame, before the QR: it is where digits
are lost, because T is large, and there it loses them in the same way in whatever order or on whatever rank frames are
dealt with. The rows that enter the QR are of the order of prior over sigma, and different orders agree to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fit.checkpoint import Checkpoint
from rhopot.potentials.fit.coordinates import Coordinates
from rhopot.potentials.fit.parallel import Ranks, deal
from rhopot.potentials.fit.problem import Problem
from rhopot.potentials.fit.progress import Progress
from rhopot.potentials.fit.qr import SequentialQR
from rhopot.potentials.fit.targets import Targets
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]


class RowBuffer:
    """Collects rows until a block is full, then folds the block into the triangle."""

    def __init__(self, qr: SequentialQR, block_rows: int) -> None:
        self._qr = qr
        self._block_rows = block_rows
        self._parts: list[Floats] = []
        self._count = 0

    def add(self, rows: Floats) -> bool:
        """Add rows; return whether the buffer is empty now."""
        self._parts.append(rows)
        self._count += len(rows)
        if self._count >= self._block_rows:
            self.flush()
        return self._count == 0

    def flush(self) -> None:
        """Fold what is there into the triangle."""
        if self._parts:
            self._qr.add(np.concatenate(self._parts))
        self._parts, self._count = [], 0


def assemble(
    frames: Sequence[Frame],
    problem: Problem,
    coordinates: Coordinates,
    targets: Targets,
    block_rows: int,
    ranks: Ranks,
    progress: Progress,
    checkpoint: Checkpoint,
) -> SequentialQR:
    """Return the triangle of all frames' rows on rank 0 (and of this rank's share elsewhere)."""
    share = deal(frames, ranks)
    qr = SequentialQR(coordinates.rank)
    done = checkpoint.restore(qr)
    buffer = RowBuffer(qr, block_rows)
    progress.start("equations", len(share))
    saved = time.monotonic()
    for position in range(done, len(share)):
        equations = problem.equations(share[position][1], targets)
        empty = True if equations is None else buffer.add(_compressed(equations.weighted(), coordinates))
        progress.advance("equations", position + 1)
        if empty and time.monotonic() - saved >= checkpoint.seconds:
            checkpoint.save(qr, position + 1)
            saved = time.monotonic()
    buffer.flush()
    checkpoint.save(qr, len(share))
    return _merge(qr, ranks)


def _compressed(rows: Floats, coordinates: Coordinates) -> Floats:
    """Return rows [A T | y] from rows [A | y]."""
    return np.concatenate([coordinates.compress(rows[:, :-1]), rows[:, -1:]], axis=1)


def _merge(qr: SequentialQR, ranks: Ranks) -> SequentialQR:
    """Fold the other ranks' triangles into rank 0's, in the order of the ranks."""
    for triangle, n_rows in ranks.gather((qr.triangle, qr.n_rows))[1:]:
        qr.merge(triangle, n_rows)
    return qr
