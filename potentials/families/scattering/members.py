"""Members of an ensemble distributed over processes, and which features a budget counts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rhopot.potentials.descriptors.scattering import WaveletPath
from rhopot.potentials.fitting.communicator import Communicator, round_robin
from rhopot.potentials.fitting.map_frames import gather_in_order, one_thread_each
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.fitting.sparse_regression import (
    Ensemble,
    Member,
    SparseRegressionSettings,
    WeightedRows,
    fit_members,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SharedFit:
    """Fits ensembles whose members are distributed over processes, with a worker for every thread of each.

    communicator, progress: as in a fit problem; stage: name of the bar; resume: take the members that are saved
    """

    communicator: Communicator
    progress: Progress
    resume: bool = False
    stage: str = "members"

    def __call__(
        self, rows: WeightedRows, settings: SparseRegressionSettings, columns: Integers, folder: Path | None
    ) -> Ensemble:
        """Return `greedy.fit_ensemble` of the same rows, on every process.

        Args:
            rows, settings: as there.
            columns: numbers of the features that may be used.
            folder: where members are saved; None: nowhere.
        """
        share = [number for _, number in round_robin(range(settings.n_members), self.communicator)]
        done: list[int] = []

        def advance(member: Member) -> None:
            done.append(member.number)
            self.progress.advance(self.stage, len(done))

        self.progress.start(self.stage, len(share))
        with one_thread_each(self.communicator) as workers, threadpool_limits(1):
            mine = fit_members(rows, settings, share, columns, workers, folder, self.resume, advance)
        members = gather_in_order(mine, self.communicator)
        ensemble = Ensemble(tuple(members), settings) if members else None
        found: Ensemble = self.communicator.broadcast(ensemble)
        return found


def moduli(paths: Sequence[WaveletPath]) -> Integers:
    """Return for each feature (F) the number of the modulus whose integral it is; powers share one."""
    number: dict[tuple[object, ...], int] = {}
    found = []
    for path in paths:
        modulus = (path.order, path.channel, path.n1, path.l1, path.j1, path.n2, path.l2, path.j2)
        found.append(number.setdefault(modulus, len(number)))
    return np.array(found, dtype=np.int64)
