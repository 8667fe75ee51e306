"""Divide frames into training and validation parts, by fraction or by group.

Frames of one relaxation path or one trajectory are near copies of each other: split inside a path, and the
validation error measures memory. A group therefore never lies on both sides. Frames without groups are drawn so that
every config_type is represented in proportion. All splits are seeded and keep the order of the frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.structures.frames import DataError, Frame, FrameSet

# Fewest groups that can stand for the data as folds; with fewer the frames are distributed one by one.
FEWEST_GROUPS = 5


def split_fraction(frames: FrameSet, fraction: float, seed: int = 0) -> tuple[FrameSet, FrameSet]:
    """(train, held out) with `fraction` of every config_type held out, at random; at least one frame on either side."""
    _check_fraction(fraction)
    if len(frames) < 2:
        raise DataError(f"a split must have at least two frames, got {len(frames)}; give a validation file instead")
    n_held = min(max(round(fraction * len(frames)), 1), len(frames) - 1)
    random = np.random.default_rng(seed)
    order = _by_type(list(frames), random)
    held = order[((np.arange(n_held) + random.random()) * len(frames) / n_held).astype(np.int64)]
    return _divide(frames, set(held.tolist()))


def split_groups(frames: FrameSet, fraction: float, seed: int = 0) -> tuple[FrameSet, FrameSet]:
    """(train, held out) by whole groups, the number of held-out frames as close to `fraction` as groups allow.

    Among equally close choices the seed decides.
    """
    _check_fraction(fraction)
    sizes = _group_sizes(frames, 2)
    names = _shuffled(sizes, seed)
    wanted = fraction * len(frames)
    most = wanted + max(sizes.values())
    # Subset sums: how every reachable number of held-out frames was first reached (the group added, the sum before).
    reached: dict[int, tuple[str, int]] = {0: ("", 0)}
    for name in names:
        for total in sorted(reached, reverse=True):
            if total + sizes[name] <= most:
                reached.setdefault(total + sizes[name], (name, total))
    total = min((t for t in reached if 0 < t < len(frames)), key=lambda t: (abs(t - wanted), t))
    held = set()
    while total:
        name, total = reached[total]
        held.add(name)
    return _divide(frames, {i for i, frame in enumerate(frames) if frame.group in held})


def k_fold_groups(frames: FrameSet, k: int, seed: int = 0) -> list[tuple[FrameSet, FrameSet]]:
    """k pairs (train, held out); every group is held out exactly once, folds balanced in frames."""
    if k < 2:
        raise ValueError(f"k must be at least 2, got {k}; 5 is usual")
    fold_of = _balanced(_group_sizes(frames, k), k, seed)
    return [
        _divide(frames, {i for i, frame in enumerate(frames) if fold_of[str(frame.group)] == fold}) for fold in range(k)
    ]


def fold_numbers(frames: Sequence[Frame], most: int, seed: int = 0) -> NDArray[np.int64]:
    """The fold (0, 1, ...) of every frame for cross-validation, with at most `most` folds.

    Groups stay whole where all frames carry one and there are at least `FEWEST_GROUPS`; otherwise the frames of every
    config_type are distributed evenly.
    """
    sizes = Counter(frame.group for frame in frames if frame.group is not None)
    if len(sizes) >= FEWEST_GROUPS and sizes.total() == len(frames):
        fold_of = _balanced(sizes, min(most, len(sizes)), seed)
        return np.array([fold_of[str(frame.group)] for frame in frames], dtype=np.int64)
    folds = np.empty(len(frames), dtype=np.int64)
    folds[_by_type(frames, np.random.default_rng(seed))] = np.arange(len(frames)) % most
    return folds


def whole_folds(frames: Sequence[Frame], most: int, seed: int = 0) -> NDArray[np.int64]:
    """The fold (0, 1, ...) of every frame, with at most `most` folds, no group in two of them where there are several.

    Frames of one group alone are cut into stretches, because neighbours of a trajectory resemble each other; frames
    without groups are distributed evenly, config_type by config_type.
    """
    sizes = Counter(str(frame.group) for frame in frames if frame.group is not None)
    if sizes.total() < len(frames):
        folds = np.empty(len(frames), dtype=np.int64)
        folds[_by_type(frames, np.random.default_rng(seed))] = np.arange(len(frames)) % most
        return folds
    if len(sizes) > 1:
        fold_of = _balanced(sizes, min(most, len(sizes)), seed)
        return np.array([fold_of[str(frame.group)] for frame in frames], dtype=np.int64)
    count = min(most, len(frames))
    return np.arange(len(frames), dtype=np.int64) * count // max(len(frames), 1)


def _by_type(frames: Sequence[Frame], random: np.random.Generator) -> NDArray[np.int64]:
    """Positions of all frames, one config_type after the other, shuffled within each."""
    types = np.array([frame.config_type for frame in frames])
    return np.concatenate([random.permutation(np.nonzero(types == name)[0]) for name in sorted(set(types.tolist()))])


def _balanced(sizes: Counter[str], k: int, seed: int) -> dict[str, int]:
    """Fold of every group: the largest first, each to the fold with the fewest frames."""
    load = [0] * k
    fold_of: dict[str, int] = {}
    for name in sorted(_shuffled(sizes, seed), key=lambda name: -sizes[name]):
        fold = load.index(min(load))
        fold_of[name] = fold
        load[fold] += sizes[name]
    return fold_of


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}; 0.1 holds out a tenth of the frames")


def _group_sizes(frames: FrameSet, at_least: int) -> Counter[str]:
    """Number of frames of every group."""
    ungrouped = sum(frame.group is None for frame in frames)
    if ungrouped:
        raise DataError(
            f"frames must carry a group to be split by group, got {ungrouped} without; name the group key when reading"
        )
    sizes = Counter(str(frame.group) for frame in frames)
    if len(sizes) < at_least:
        raise DataError(
            f"groups must be at least {at_least} for this split, got {len(sizes)}; choose another key or a fraction"
        )
    return sizes


def _shuffled(sizes: Counter[str], seed: int) -> list[str]:
    names = sorted(sizes)
    return [names[k] for k in np.random.default_rng(seed).permutation(len(names))]


def _divide(frames: FrameSet, held: set[int]) -> tuple[FrameSet, FrameSet]:
    return (
        frames.subset([i for i in range(len(frames)) if i not in held]),
        frames.subset([i for i in range(len(frames)) if i in held]),
    )
