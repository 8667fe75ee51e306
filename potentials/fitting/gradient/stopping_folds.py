"""Early stopping of a committee on halves of the validation set, so that every structure is unseen by half of it.

The validation set is divided into two halves. Every other member keeps the weights that are best on the first half,
the rest those that are best on the second. The structures of a half were then neither trained on nor used for early
stopping by the members of the other half: the errors of the mean of these members calibrate the predicted uncertainty.
Nothing is taken from the training for it, and every labelled validation structure counts. A mean of half of the
members errs a little more, so that the calibration is on the safe side.

The standard deviation is that of all members: that one of them was stopped by a structure hardly moves it, and it is
the deviation that the model states. Groups (paths, trajectories) stay whole, where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.split import whole_folds

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


# Parts of the validation structures: with more, fewer structures stop a member, and it keeps worse weights.
HALVES = 2


@dataclass(frozen=True)
class StoppingFolds:
    """Folds (n) of validation structures, -1 without labels; of_member (K): the fold that stops each member.

    n_groups: groups of the structures, None where not all carry one.
    """

    folds: Integers
    of_member: Integers
    n_groups: int | None

    def select(self, rows: Sequence[int]) -> StoppingFolds:
        """Return the same for some of the structures."""
        return StoppingFolds(self.folds[list(rows)], self.of_member, self.n_groups)

    @property
    def parts(self) -> list[list[int]]:
        """Structures of every fold that stops a member."""
        return [np.flatnonzero(self.folds == fold).tolist() for fold in range(int(self.of_member.max()) + 1)]

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """Whether structure n is labelled and was not used to stop member k (K, n)."""
        return np.asarray((self.of_member[:, None] != self.folds) & (self.folds >= 0))


def make_stopping_folds(
    frames: Sequence[Frame], labelled: NDArray[np.bool_], n_members: int, seed: int
) -> StoppingFolds:
    """Return the folds of validation frames (n), of which those `labelled` stop members."""
    folds = np.full(len(frames), -1, dtype=np.int64)
    rows = np.flatnonzero(labelled)
    chosen = [frames[int(k)] for k in rows]
    groups = {frame.group for frame in chosen}
    n_groups = None if None in groups else len(groups)
    if n_members < 2 or not chosen:
        folds[rows] = 0
        return StoppingFolds(folds, np.zeros(max(n_members, 1), dtype=np.int64), n_groups)
    folds[rows] = whole_folds(chosen, HALVES, seed)
    return StoppingFolds(folds, np.arange(n_members, dtype=np.int64) % (int(folds.max()) + 1), n_groups)


def mean_of_unseen(values: Floats, unseen: NDArray[np.bool_]) -> Floats:
    """Return the mean (n, ...) of values (K, n, ...) over the members to which n is unseen (K, n), NaN without any."""
    weights = unseen.reshape(unseen.shape + (1,) * (values.ndim - unseen.ndim)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((weights * values).sum(axis=0) / weights.sum(axis=0))
