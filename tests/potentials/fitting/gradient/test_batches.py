"""Minibatches: every structure once an epoch, in an order that seed and epoch alone decide."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.batches import epoch_batches, own_share

SIZES = np.random.default_rng(0).integers(1, 40, 57).tolist()


@pytest.mark.parametrize("by", ["frames", "atoms"])
def test_every_structure_appears_once(by: str) -> None:
    batches = epoch_batches(SIZES, 50 if by == "atoms" else 8, by, seed=3, epoch=2)
    assert sorted(frame for batch in batches for frame in batch) == list(range(57))
    assert all(batch == sorted(batch) for batch in batches)


def test_batches_by_frames_are_even() -> None:
    assert {len(batch) for batch in epoch_batches(SIZES, 8, "frames", 0, 0)} == {8, 9}
    assert [len(batch) for batch in epoch_batches(SIZES, 1000, "frames", 0, 0)] == [57]


def test_batches_by_atoms_hold_what_fits() -> None:
    batches = epoch_batches(SIZES, 60, "atoms", 0, 0)
    atoms = [sum(SIZES[frame] for frame in batch) for batch in batches]
    assert max(atoms) <= 60
    assert np.mean(atoms) > 40
    assert {len(batch) for batch in epoch_batches(SIZES, 1, "atoms", 0, 0)} == {1}


def test_order_follows_seed_and_epoch() -> None:
    first = epoch_batches(SIZES, 8, "frames", 0, 0)
    assert first == epoch_batches(SIZES, 8, "frames", 0, 0)
    assert first != epoch_batches(SIZES, 8, "frames", 0, 1)
    assert first != epoch_batches(SIZES, 8, "frames", 1, 0)


def test_shares_are_the_frames_of_each_process() -> None:
    class Communicator(SingleProcess):
        def __init__(self, rank: int) -> None:
            self.rank, self.size = rank, 3

    batch = [0, 1, 4, 6, 7, 11]
    held = [list(range(rank, 12, 3)) for rank in range(3)]
    shares = [[held[rank][k] for k in own_share(batch, Communicator(rank))] for rank in range(3)]
    assert shares == [[0, 6], [1, 4, 7], [11]]
