"""Splits: nothing lost, nothing shared, seeded, balanced."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rhopot.potentials.structures import (
    DataError,
    Frame,
    FrameSet,
    fold_numbers,
    k_fold_groups,
    split_fraction,
    split_groups,
)


def ids(frames: FrameSet) -> list[int]:
    return [id(frame) for frame in frames]


def test_fraction_is_a_seeded_partition(grouped: FrameSet) -> None:
    train, held = split_fraction(grouped, 0.1, seed=4)
    assert (len(train), len(held)) == (70, 8)
    assert sorted(ids(train) + ids(held)) == sorted(ids(grouped))
    assert ids(split_fraction(grouped, 0.1, seed=4)[1]) == ids(held)
    assert ids(split_fraction(grouped, 0.1, seed=5)[1]) != ids(held)
    assert len(split_fraction(grouped[:2], 0.01)[1]) == 1


def typed(counts: dict[str, int]) -> FrameSet:
    """Frames that carry nothing but a config_type."""
    return FrameSet(tuple(Frame(None, config_type=name) for name, n in counts.items() for _ in range(n)))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_fraction_and_folds_represent_every_config_type(seed: int) -> None:
    counts = {"liquid": 100, "surface": 10, "vacancy": 33}
    frames = typed(counts)
    held = Counter(frame.config_type for frame in split_fraction(frames, 0.2, seed)[1])
    folds = fold_numbers(frames, 10, seed)
    for name, n in counts.items():
        assert abs(held[name] - 0.2 * n) <= 1
        each = np.bincount(folds[[frame.config_type == name for frame in frames]], minlength=10)
        assert np.ptp(each) <= 1
    assert np.ptp(np.bincount(folds)) <= 1
    assert (fold_numbers(frames, 10, seed) == folds).all()
    assert (fold_numbers(frames, 10, seed + 10) != folds).any()


def test_folds_keep_groups_whole_where_there_are_enough(grouped: FrameSet) -> None:
    folds = fold_numbers(grouped, 4)
    fold_of = {frame.group: fold for frame, fold in zip(grouped, folds, strict=True)}
    assert [fold_of[frame.group] for frame in grouped] == folds.tolist()
    assert np.ptp(np.bincount(folds)) <= 3
    assert fold_numbers(grouped, 50).max() + 1 == len(fold_of)
    few = FrameSet(tuple(Frame(None, group=g) for g in "aaaaabbb"))  # type: ignore[arg-type]
    assert sorted(fold_numbers(few, 4)) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_groups_stay_whole_and_meet_the_fraction(grouped: FrameSet, fraction: float, seed: int) -> None:
    train, held = split_groups(grouped, fraction, seed)
    assert {f.group for f in train}.isdisjoint({f.group for f in held})
    assert sorted(ids(train) + ids(held)) == sorted(ids(grouped))
    assert len(held) == round(fraction * 78)  # sums of 1 ... 12 reach every number


def test_group_split_depends_on_the_seed_only(grouped: FrameSet) -> None:
    shuffled = grouped.subset(list(reversed(range(len(grouped)))))
    assert {f.group for f in split_groups(grouped, 0.3, 1)[1]} == {f.group for f in split_groups(shuffled, 0.3, 1)[1]}
    choices = {tuple(sorted({str(f.group) for f in split_groups(grouped, 0.3, seed)[1]})) for seed in range(5)}
    assert len(choices) > 1


def test_unequal_groups_leave_both_sides_occupied() -> None:
    frames = FrameSet(tuple(Frame(None, group=g) for g in "aaaaaaaab"))  # type: ignore[arg-type]
    for fraction in (0.01, 0.99):
        train, held = split_groups(frames, fraction)
        assert len(train) > 0
        assert len(held) > 0


def test_k_fold_holds_every_group_out_once(grouped: FrameSet) -> None:
    folds = k_fold_groups(grouped, 4, seed=1)
    assert sorted(i for _, held in folds for i in ids(held)) == sorted(ids(grouped))
    for train, held in folds:
        assert {f.group for f in train}.isdisjoint({f.group for f in held})
        assert abs(len(held) - 78 / 4) <= 1.5


def test_faults_are_named(grouped: FrameSet) -> None:
    with pytest.raises(ValueError, match=r"fraction must lie between 0 and 1, got 1\.5"):
        split_fraction(grouped, 1.5)
    with pytest.raises(DataError, match="at least two frames, got 1"):
        split_fraction(grouped[:1], 0.5)
    with pytest.raises(DataError, match="groups must be at least 2 for this split, got 1"):
        split_groups(grouped[:1], 0.5)
    with pytest.raises(DataError, match="frames must carry a group to be split by group, got 1 without"):
        split_groups(FrameSet((Frame(None),)), 0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be at least 2, got 1"):
        k_fold_groups(grouped, 1)
