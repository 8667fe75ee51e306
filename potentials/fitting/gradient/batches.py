"""The minibatches of an epoch: a shuffle that depends on seed and epoch alone, cut by frames or by atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rhopot.potentials.fitting.communicator import Communicator


def epoch_batches(sizes: Sequence[int], batch: int, by: str, seed: int, epoch: int) -> list[list[int]]:
    """Return the frames of each minibatch, over all processes together, in rising order.

    Every frame appears once. By frames, batches hold `batch` of them as evenly as possible (the last is not a
    remainder of a few); by atoms, as many frames as fit into `batch` atoms, at least one.

    Args:
        sizes: atoms of each frame.
        by: frames or atoms.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(sizes))
    if by == "frames":
        return [sorted(part.tolist()) for part in np.array_split(order, max(round(len(sizes) / batch), 1))]
    batches: list[list[int]] = []
    held = batch
    for frame in order.tolist():
        if held + sizes[frame] > batch:
            batches.append([])
            held = 0
        batches[-1].append(frame)
        held += sizes[frame]
    return [sorted(part) for part in batches]


def own_share(batch: Sequence[int], communicator: Communicator) -> list[int]:
    """Return this process's frames of a batch, numbered as it holds them (see `fitting.communicator.round_robin`)."""
    return [frame // communicator.size for frame in batch if frame % communicator.size == communicator.rank]
