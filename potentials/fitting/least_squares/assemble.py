"""Streaming assembly: every frame's weighted rows, in the coordinates of the prior, are folded into triangles.

There is one triangle for each fold of the cross-validation that calibrates the members (`jackknife`), one in all when
there are no members; frames are taken fold by fold. For the same purpose the energy rows of at most `KEPT_ENERGIES`
frames are kept.

Memory: the triangles, one block of rows and one batch of Jacobians, whatever the number of frames. Checkpoints are
written between blocks, and the sequence of blocks depends on the frames alone, so a resumed assembly gives bit for bit
the triangle of an uninterrupted one.

The change of coordinates K_NM -> K_NM T (see `coordinates`) is made frame by frame, before the QR: it is where digits
are lost, because T is large, and there it loses them in the same way in whatever order and on whatever rank the frames
come. The rows that enter the QR are of the order of prior over sigma, and different orders agree to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.communicator import Communicator, round_robin
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.least_squares.qr import SequentialQR
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Most energies kept for the calibration; of more frames an even choice is taken.
KEPT_ENERGIES = 1000


@dataclass
class Assembly:
    """All equations: a triangle per fold, and kept energy rows [x | y] (m, r + 1) in eV per atom with their folds (m).

    frames (m): the positions of the kept rows' frames in the data.
    """

    triangles: list[SequentialQR]
    energies: Floats
    energy_folds: Integers
    frames: Integers

    @staticmethod
    def empty(rank: int, n_folds: int) -> Assembly:
        """Return an assembly without equations."""
        none = np.zeros(0, dtype=np.int64)
        return Assembly([SequentialQR(rank) for _ in range(n_folds)], np.zeros((0, rank + 1)), none, none)

    def keep(self, energies: Floats, fold: int, frame: int) -> None:
        """Append energy rows (1, r + 1) of one frame."""
        self.energies = np.concatenate([self.energies, energies])
        self.energy_folds = np.append(self.energy_folds, fold)
        self.frames = np.append(self.frames, frame)

    def total(self) -> SequentialQR:
        """Return the triangle of all folds together."""
        if len(self.triangles) == 1:
            return self.triangles[0]
        total = SequentialQR(self.triangles[0].n_columns)
        for qr in self.triangles:
            total.merge(qr.triangle, qr.n_rows)
        return total


class RowBuffer:
    """Collects rows until a block is full, then folds the block into the triangle."""

    def __init__(self, qr: SequentialQR, block_rows: int) -> None:
        self._qr = qr
        self._block_rows = block_rows
        self._parts: list[Floats] = []
        self._count = 0

    @property
    def empty(self) -> bool:
        """Whether every row has been folded."""
        return self._count == 0

    def add(self, rows: Floats) -> None:
        """Add rows."""
        self._parts.append(rows)
        self._count += len(rows)
        if self._count >= self._block_rows:
            self.flush()

    def flush(self) -> None:
        """Fold what is there into the triangle."""
        if self._parts:
            self._qr.add(np.concatenate(self._parts))
        self._parts, self._count = [], 0


def assemble(
    frames: Sequence[Frame],
    folds: Integers,
    system: LinearSystem,
    coordinates: Coordinates,
    targets: Targets,
    block_rows: int,
    communicator: Communicator,
    progress: Progress,
    checkpoint: Checkpoint,
) -> Assembly:
    """Return the equations of all frames on rank 0 (and of this rank's share elsewhere); folds (frames): 0, 1, ..."""
    order = np.argsort(folds, kind="stable")
    n_folds = int(folds.max()) + 1
    share = [(int(k), frames[k]) for _, k in round_robin(order.tolist(), communicator)]
    kept = _kept(order) if n_folds > 1 else set()
    assembly = Assembly.empty(coordinates.rank, n_folds)
    done = checkpoint.restore(assembly)
    if done:
        progress.message(f"resumed: {done} of {len(share)} frames were assembled before")
    progress.start("equations", len(share))
    saved = time.monotonic()
    buffer: RowBuffer | None = None
    for position in range(done, len(share)):
        k, frame = share[position]
        if buffer is None:
            buffer = RowBuffer(assembly.triangles[folds[k]], block_rows)
        equations = system.equations(frame, targets)
        if equations is not None:
            buffer.add(_compressed(equations.weighted(), coordinates))
            if k in kept and "energy" in equations.rows:
                energies = equations.rows["energy"] / len(frame.atoms)
                assembly.keep(_compressed(energies, coordinates), int(folds[k]), k)
        if position + 1 == len(share) or folds[share[position + 1][0]] != folds[k]:
            buffer.flush()
            buffer = None
        progress.advance("equations", position + 1)
        if (buffer is None or buffer.empty) and time.monotonic() - saved >= checkpoint.seconds:
            checkpoint.save(assembly, position + 1)
            saved = time.monotonic()
    checkpoint.save(assembly, len(share))
    return _merge(assembly, communicator)


def _kept(order: Integers) -> set[int]:
    """Return the frames whose energy rows are kept: all, or an even choice from every fold."""
    chosen = np.linspace(0, len(order) - 1, min(len(order), KEPT_ENERGIES)).round().astype(np.int64)
    return set(order[chosen].tolist())


def _compressed(rows: Floats, coordinates: Coordinates) -> Floats:
    """Return rows [A T | y] from rows [A | y]."""
    return np.concatenate([coordinates.compress(rows[:, :-1]), rows[:, -1:]], axis=1)


def _merge(assembly: Assembly, communicator: Communicator) -> Assembly:
    """Fold the other ranks' triangles into rank 0's, in the order of the ranks, and put the kept rows in the data's."""
    for qr in assembly.triangles:
        for triangle, n_rows in communicator.gather((qr.triangle, qr.n_rows))[1:]:
            qr.merge(triangle, n_rows)
    parts = communicator.gather((assembly.energies, assembly.energy_folds, assembly.frames))
    if not parts:
        return assembly
    energies, folds, frames = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(frames)
    return Assembly(assembly.triangles, energies[order], folds[order], frames[order])
