"""Validation errors against the number of training frames: fits to fractions of the training set.

Where the fit makes the points itself (`points_of_fit`), they are taken from it: a least-squares fit with members solves
for nested parts of its sums (`fitting.least_squares.learning_curve`), with the descriptor, features, sparse points and
baselines of all training frames. Else every point is a fit of its own, which takes them from its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rhopot.potentials.config import RunConfig
from rhopot.potentials.families import find_family
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.progress import Progress, SilentProgress
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.structures.composition import is_isolated_atom

CHANGE = 0.15  # of an error, more than which counts as falling or rising


@dataclass(frozen=True)
class LearningCurve:
    """Validation errors against the number of training frames (energies meV/atom, forces meV/A)."""

    n_frames: list[int]
    errors: dict[str, list[float]]


def points_of_fit(report: Mapping[str, Any], fractions: Sequence[float]) -> dict[str, Any]:
    """Return the points that a fit made itself, from its report: those of all fractions or, made in one way, none."""
    made = report.get("learning_curve", {})
    asked = [repr(fraction) for fraction in fractions]
    return {name: made[name] for name in asked} if set(asked) <= set(made) else {}


def learning_curve(
    config: RunConfig,
    data: TrainingSet,
    communicator: Communicator,
    full: Mapping[str, float],
    progress: Progress | None = None,
    known: Mapping[str, Any] | None = None,
    keep: Callable[[Mapping[str, Any]], None] = lambda points: None,
) -> LearningCurve:
    """Validation errors of fits to the configured fractions of the training data, and those of the full fit.

    Whole groups are drawn where the split is by group; smaller sets are parts of larger ones. All hold
    the isolated atoms.

    full: validation errors of the full fit
    known: points of the fit itself, or of an earlier call as it gave them to `keep`, that are not fitted again
    keep: takes all points after each fit: number of frames and errors by fraction
    """
    points: dict[str, Any] = dict(known or {})
    without: dict[str, Any] = {"extrapolation": False}
    if not find_family(config.family).members_make_prediction:
        without["members"] = 0
    lean = config.model_copy(update={"uncertainty": config.uncertainty.model_copy(update=without)})
    asked = [repr(fraction) for fraction in sorted(config.report.learning_curve)]
    for name in asked:
        part = replace(data, train=_subset(data.train, float(name), config), refit_on_validation=False, earlier=None)
        if name in points or set(part.train.symbols) != set(data.train.symbols):
            continue
        bars = _BarsOnly(progress, f"{len(part.train)} frames") if progress is not None else None
        fitted = fit_model(lean, part, communicator, progress=bars)
        points[name] = {"n_frames": len(part.train), "errors": fitted.report["validation"]}
        keep(points)
    found = [points[name] for name in asked if name in points]
    found.append({"n_frames": len(data.train), "errors": full})
    names = sorted(set.intersection(*(set(point["errors"]) for point in found)))
    return LearningCurve(
        [point["n_frames"] for point in found], {name: [point["errors"][name] for point in found] for name in names}
    )


def describe_points(report: Mapping[str, Any], fractions: Sequence[float]) -> Iterator[str]:
    """Say how the points were made, where the fit made them itself."""
    if points_of_fit(report, fractions):
        yield (
            "The smaller fits are to whole folds of the training data, as many as come nearest to the fractions of "
            "`report.learning_curve`, with the descriptor, features, sparse points and baselines of the fit to all."
        )


def describe_trend(sizes: Sequence[float], errors: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Say whether more data would help, from the errors (by name) of fits to these numbers of structures.

    An error falls where the last step lowers it by more than `CHANGE`, and rises where the whole curve has raised it by
    more than that.
    """
    if len(sizes) < 2 or not errors:
        return
    falling = [name for name, values in errors.items() if values[-1] < (1.0 - CHANGE) * values[-2]]
    rising = [
        name for name, values in errors.items() if values[-1] > (1.0 + CHANGE) * values[0] and name not in falling
    ]
    last = f"From {sizes[-2]:g} to {sizes[-1]:g} structures"
    if falling:
        yield (
            f"{last} these errors fall by more than {CHANGE:.0%}: {', '.join(falling)}; more training data of this "
            "kind will improve the model."
        )
    elif not rising:
        yield f"{last} no error falls by more than {CHANGE:.0%}: more training data of this kind will not help much."
    if rising:
        yield (
            f"From {sizes[0]:g} to {sizes[-1]:g} structures these errors rise by more than {CHANGE:.0%}: "
            f"{', '.join(rising)}. Parts of the training data are of another kind than the validation set, or labeled "
            "differently, or the validation set is too small to tell. Choose validation data like the structures that "
            "the model is for, and compare the errors of each config_type."
        )


class _BarsOnly(SilentProgress):
    """Passes stages on and keeps forecasts and messages of the smaller fits to itself."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name

    def start(self, stage: str, total: int) -> None:
        """Pass on, with the name of the fit."""
        self._progress.start(f"{self._name}: {stage}", total)

    def advance(self, stage: str, done: int) -> None:
        """Pass on."""
        self._progress.advance(f"{self._name}: {stage}", done)

    def describe(self, stage: str, text: str) -> None:
        """Pass on."""
        self._progress.describe(f"{self._name}: {stage}", text)


def _subset(train: FrameSet, fraction: float, config: RunConfig) -> FrameSet:
    """That part of the training frames, isolated atoms on top; the parts of larger fractions contain it."""
    rows = [row for row, frame in enumerate(train) if not is_isolated_atom(frame)]
    order = _nested_order(train.subset(rows), config)
    left_out = {rows[k] for k in order[max(1, round(fraction * len(order))) :]}
    return train.subset([row for row in range(len(train)) if row not in left_out])


def _nested_order(train: FrameSet, config: RunConfig) -> list[int]:
    """Rows of the training frames, shuffled by group or one by one."""
    rng = np.random.default_rng(config.seed)
    if config.data.split.by != "group":
        return [int(k) for k in rng.permutation(len(train))]
    groups = sorted({str(frame.group) for frame in train})
    place = {groups[int(g)]: k for k, g in enumerate(rng.permutation(len(groups)))}
    return sorted(range(len(train)), key=lambda row: place[str(train[row].group)])
