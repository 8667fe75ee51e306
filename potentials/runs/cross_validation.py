"""Cross-validation: errors on frames that the model was not fitted to, of all folds together.

Every frame is held out once, by whole groups where the configuration splits by group; isolated atoms, which fix
energies per element, always train. A family whose fit stops by a validation set is given one out of the training part,
so that held-out frames decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rhopot.export import LoadedModel
from rhopot.potentials.config import RunConfig
from rhopot.potentials.families import find_family
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.metrics import FramePrediction, error_table
from rhopot.potentials.runs.evaluation import predict_frames
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet, split_validation
from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.structures.composition import is_isolated_atom
from rhopot.potentials.structures.split import fold_numbers, k_fold_groups


@dataclass(frozen=True)
class CrossValidation:
    """Errors (names and units: `fitting.metrics`) of all held-out frames and of each fold; the model of the last."""

    errors: dict[str, Any]
    folds: list[dict[str, Any]]
    model: LoadedModel


def make_folds(config: RunConfig, frames: FrameSet, count: int) -> list[tuple[FrameSet, FrameSet]]:
    """Return pairs (train, held out) of frames, `count` of them, seeded by the configuration.

    Raises:
        ValueError: too few folds, frames or groups, or a training part without one of the elements.
    """
    if count < 2:
        raise ValueError(f"folds must be at least 2, got {count}; 3 and 5 are usual")
    alone = frames.subset([k for k, frame in enumerate(frames) if is_isolated_atom(frame)])
    others = frames.subset([k for k, frame in enumerate(frames) if not is_isolated_atom(frame)])
    if len(others) < count:
        raise ValueError(f"folds must be at most the number of frames ({len(others)}), got {count}; lower it")
    pairs = _pairs(config, others, count)
    symbols = set(config.descriptor.symbols or frames.symbols)
    folds = [(_joined(train, alone), held_out) for train, held_out in pairs]
    for train, held_out in folds:
        missing = sorted(symbols - set(train.symbols))
        if missing:
            raise ValueError(
                f"each training part must hold all elements, got none of {', '.join(missing)} without the "
                f"{len(held_out)} frames of a fold; give more data, more folds, or split by fraction"
            )
    return folds


def _pairs(config: RunConfig, frames: FrameSet, count: int) -> list[tuple[FrameSet, FrameSet]]:
    """By groups or one by one."""
    if config.data.split.by == "group":
        return k_fold_groups(frames, count, config.seed)
    fold_of = fold_numbers(frames, count, config.seed)
    return [
        (frames.subset((fold_of != k).nonzero()[0]), frames.subset((fold_of == k).nonzero()[0])) for k in range(count)
    ]


def _joined(frames: FrameSet, more: FrameSet) -> FrameSet:
    return FrameSet((*frames, *more), frames.found, frames.used, frames.notes)


def cross_validate(
    config: RunConfig, folds: list[tuple[FrameSet, FrameSet]], advance: Callable[[int], None] = lambda done: None
) -> CrossValidation:
    """Fit and evaluate each fold; nothing is written. `advance` is told the number of finished folds.

    Members are left out where the prediction does not depend on them.
    """
    family = find_family(config.family)
    without: dict[str, Any] = {"extrapolation": False}
    if not family.members_make_prediction:
        without["members"] = 0
    config = config.model_copy(update={"uncertainty": config.uncertainty.model_copy(update=without)})
    symbols = config.descriptor.symbols or tuple(sorted_symbols(folds))
    held: list[Frame] = []
    predictions: list[FramePrediction] = []
    tables = []
    for done, data in enumerate(_training_sets(config, folds, symbols, family.refits_on_validation), 1):
        fitted = fit_model(config, data, SingleProcess())
        model = LoadedModel(fitted.card, fitted.model.eval())
        held_out = folds[done - 1][1]
        found = predict_frames(model, held_out)
        tables.append(error_table(held_out, found))
        held.extend(held_out)
        predictions.extend(found)
        advance(done)
    return CrossValidation(error_table(held, predictions), tables, model)


def sorted_symbols(folds: list[tuple[FrameSet, FrameSet]]) -> list[str]:
    """Elements of all frames, in the order of a training on them."""
    return _joined(*folds[0]).symbols


def _training_sets(
    config: RunConfig, folds: list[tuple[FrameSet, FrameSet]], symbols: tuple[str, ...], solved_at_once: bool
) -> Iterator[TrainingSet]:
    """The data of each fit."""
    for train, held_out in folds:
        part, validation = (train, held_out) if solved_at_once else split_validation(train, config)
        yield TrainingSet(part, validation, symbols, "cross-validation", False)
