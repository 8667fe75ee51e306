"""The state of an assembly on disk: one file per rank, replaced atomically, refused when it belongs to another fit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rhopot.potentials.files import read_arrays, write_arrays
from rhopot.potentials.fitting.checkpoint import require_mark

if TYPE_CHECKING:
    from rhopot.potentials.fitting.least_squares.assemble import Assembly


class Checkpoint:
    """Saves and restores an assembly and the number of this rank's frames in it.

    Args:
        folder: where the files go; None saves nothing.
        resume: whether to start from the files that are there.
        rank, size: of this process; a fit resumes on the same number of ranks.
        mark: `fingerprint` of the fit.
        seconds: least time between two saves.
    """

    def __init__(self, folder: Path | None, resume: bool, rank: int, size: int, mark: str, seconds: float) -> None:
        self.seconds = seconds
        self._path = None if folder is None else folder / f"assembly-{rank}-of-{size}.npz"
        self._resume = resume
        self._mark = mark
        self._size = size
        self._latest, self._cost = time.monotonic(), 0.0

    def due(self, last: bool = False) -> bool:
        """Whether it is time for the next save: after `seconds`, later (up to ten times) where saves take long."""
        least = self.seconds if last else max(self.seconds, min(20.0 * self._cost, 10.0 * self.seconds))
        return self._path is not None and time.monotonic() - self._latest >= least

    def save(self, assembly: Assembly, done: int) -> None:
        """Write the state, atomically."""
        if self._path is None:
            return
        begin = time.monotonic()
        write_arrays(
            self._path,
            **assembly.equations.state(),
            energies=assembly.energies,
            energy_folds=assembly.energy_folds,
            frames=assembly.frames,
            done=done,
            mark=self._mark,
        )
        self._latest = time.monotonic()
        self._cost = self._latest - begin

    def restore(self, assembly: Assembly) -> int:
        """Load the state into `assembly` and return the number of frames in it; 0 without a state to resume from."""
        if self._path is None or not self._resume:
            return 0
        if not self._path.exists():
            self._refuse_other_sizes(self._path)
            return 0
        state = read_arrays(self._path)
        require_mark(self._path, str(state["mark"]), self._mark, "fit", "data, settings or element energies")
        assembly.equations.restore(state)
        assembly.energies, assembly.frames = state["energies"], state["frames"]
        assembly.energy_folds = state["energy_folds"]
        return int(state["done"])

    def _refuse_other_sizes(self, path: Path) -> None:
        """Raise ValueError when the files that are there were left by another number of ranks."""
        sizes = sorted({int(file.stem.rsplit("-", 1)[1]) for file in path.parent.glob("assembly-*-of-*.npz")})
        if sizes and sizes != [self._size]:
            raise ValueError(
                f"a fit must be resumed on the number of ranks it was started on ({sizes[0]}), got {self._size}; "
                f"use mpirun -n {sizes[0]} or start again without resume"
            )
