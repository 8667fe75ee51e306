"""The state of an assembly on disk: one file per rank, replaced atomically, refused when it belongs to another fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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

    def save(self, assembly: Assembly, done: int) -> None:
        """Write the state, atomically."""
        if self._path is None:
            return
        write_arrays(
            self._path,
            triangles=np.stack([qr.triangle for qr in assembly.triangles]),
            n_rows=[qr.n_rows for qr in assembly.triangles],
            energies=assembly.energies,
            energy_folds=assembly.energy_folds,
            frames=assembly.frames,
            done=done,
            mark=self._mark,
        )

    def restore(self, assembly: Assembly) -> int:
        """Load the state into `assembly` and return the number of frames in it; 0 without a state to resume from."""
        if self._path is None or not self._resume:
            return 0
        if not self._path.exists():
            self._refuse_other_sizes(self._path)
            return 0
        state = read_arrays(self._path)
        require_mark(self._path, str(state["mark"]), self._mark, "fit", "data, settings or element energies")
        for qr, triangle, n_rows in zip(assembly.triangles, state["triangles"], state["n_rows"], strict=True):
            qr.triangle = np.asfortranarray(triangle)
            qr.n_rows = int(n_rows)
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
