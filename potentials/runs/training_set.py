"""Frames of a training: read, split into training and validation part, and with the labels that the targets ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rhopot.potentials.config import RunConfig
from rhopot.potentials.fitting.minimum_counts import FEWEST_ERRORS
from rhopot.potentials.runs.data_checks import (
    check_config_types,
    check_validation,
    labelled,
    left_out,
    not_fitted,
    overlap,
    without_stresses,
    wrong_forces,
    wrong_stresses,
)
from rhopot.potentials.runs.earlier import Earlier, check_files, check_same, find_earlier, new_frames, together
from rhopot.potentials.structures import Frame, FrameSet, read_frames
from rhopot.potentials.structures.composition import is_isolated_atom
from rhopot.potentials.structures.frames import DataError
from rhopot.potentials.structures.keys import Key
from rhopot.potentials.structures.read import Source
from rhopot.potentials.structures.split import split_fraction, split_groups


@dataclass(frozen=True)
class TrainingSet:
    """Frames of a run, their elements in the model's order, and how the validation part came about.

    refit_on_validation: the saved model is fitted to the validation part too; never one that was given as such.
    notes: what must be known of the data before the fit.
    not_fitted: number of frames with labels of each quantity that is no target.
    wrong_stresses: why stresses were left out although they are a target, "" where they were not.
    earlier: the training that this one goes on from; its training frames are the first ones.
    """

    train: FrameSet
    validation: FrameSet
    symbols: tuple[str, ...]
    split: str
    refit_on_validation: bool
    notes: tuple[str, ...] = ()
    not_fitted: Mapping[str, int] = field(default_factory=dict)
    wrong_stresses: str = ""
    earlier: Earlier | None = None


def load_training_set(
    config: RunConfig, train_source: Source | None = None, validation_source: Source | None = None
) -> TrainingSet:
    """Read the frames, split a validation part off where none is given, and require the targets that are asked for.

    Labels that the targets leave out are taken away here, and training frames without any: nothing else sees them.

    train_source, validation_source: structures in place of the files that the configuration names
    """
    earlier = find_earlier(config)
    if earlier is not None:
        return _appended(config, earlier, train_source, validation_source)
    data = config.data
    read = _read(config, train_source, validation_source)
    train, given = read.train, read.given
    if given is not None:
        validation, split = config.targets.kept(given), "given"
    else:
        train, validation = split_validation(train, config)
        by_group = f"whole groups by {data.split.key}, about {data.split.fraction:g} of the frames"
        split = by_group if data.split.by == "group" else f"{len(validation)} frames at random"
    check_validation(config.targets, train, validation, given is not None)
    notes = read.notes + overlap(train, validation)
    symbols = config.descriptor.symbols or tuple(train.symbols)
    for name, frames in (("train", train), ("validation", validation)):
        unknown = sorted(set(frames.symbols) - set(symbols))
        if unknown:
            raise ValueError(
                f"data.{name} must hold only the elements {', '.join(symbols)}, got {', '.join(unknown)} as well; "
                "add training frames with them, or to descriptor.symbols"
            )
    refit_on_validation = given is None and data.split.refit
    return TrainingSet(train, validation, symbols, split, refit_on_validation, notes, read.not_fitted, read.wrong)


def _appended(
    config: RunConfig, earlier: Earlier, train_source: Source | None, validation_source: Source | None
) -> TrainingSet:
    """Return the training set of an earlier training with new frames at the end of both parts."""
    check_files(earlier)
    before = load_training_set(earlier.config)
    check_same(earlier, before.train)
    known = (*before.train, *before.validation)
    read = _read(config, train_source, validation_source, known, before.train.used)
    added, n_known = new_frames(read.train, known)
    if len(added) == 0:
        raise DataError(f"data.train must hold new frames, got {n_known} that are all in '{earlier.folder}' already")
    if read.given is not None:
        held_out = new_frames(config.targets.kept(read.given), (*known, *added))[0]
        train = added
    else:
        train, held_out = _split_some(added, config, before)
    for name, frames in (("train", train), ("validation", held_out)):
        unknown = sorted(set(frames.symbols) - set(before.symbols))
        if unknown:
            raise DataError(
                f"data.{name} must hold only the elements of '{earlier.folder}' ({', '.join(before.symbols)}), got "
                f"{', '.join(unknown)} as well; train from scratch"
            )
    if before.wrong_stresses:
        train, held_out = without_stresses(train), without_stresses(held_out)
    doubles = f"; {n_known} of the new frames are among them and not added again" if n_known else ""
    note = (
        f"appended to '{earlier.folder}': the equations of its {len(before.train)} training frames are kept, "
        f"{len(train)} frames are added to them, {len(held_out)} to the validation set{doubles}"
    )
    return TrainingSet(
        together(before.train, train),
        together(before.validation, held_out),
        before.symbols,
        before.split + _added(held_out, read.given),
        before.refit_on_validation and read.given is None,
        (note, *dict.fromkeys((*before.notes[before.earlier is not None :], *read.notes))),
        dict(Counter(before.not_fitted) + Counter(read.not_fitted)),
        before.wrong_stresses or read.wrong,
        earlier,
    )


def _added(held_out: FrameSet, given: FrameSet | None) -> str:
    """What is said of validation frames that are added to those of the earlier training."""
    if not len(held_out):
        return ""
    return f"; {len(held_out)} of them added{'' if given is None else ' from data.validation'}"


def _split_some(frames: FrameSet, config: RunConfig, before: TrainingSet) -> tuple[FrameSet, FrameSet]:
    """Training and validation part of frames that are added; few of them, or those of one group, all train.

    In a split by group, frames of a group of the earlier training go where that group is.
    """
    split = config.data.split
    if split.by != "group":
        enough = len(frames) > 1 and round(split.fraction * len(frames)) > 0
        return split_validation(frames, config, least=0) if enough else (frames, frames.subset([]))
    trained, held_out = ({frame.group for frame in part} for part in (before.train, before.validation))
    others = frames.subset([k for k, frame in enumerate(frames) if frame.group not in trained | held_out])
    if len({frame.group for frame in others if not is_isolated_atom(frame)}) > 1:
        held_out |= {frame.group for frame in split_validation(others, config, least=0)[1]}
    rows = [k for k, frame in enumerate(frames) if frame.group in held_out - trained]
    return frames.subset(sorted(set(range(len(frames))) - set(rows))), frames.subset(rows)


def load_frames(config: RunConfig) -> tuple[FrameSet, tuple[str, ...]]:
    """Read all training frames, without a validation part, with the labels that the targets ask for; and notes."""
    if config.append is not None:
        raise ValueError(f"append is for a single training, got '{config.append}'; leave it out")
    alone = config.model_copy(update={"data": config.data.model_copy(update={"validation": ()})})
    read = _read(alone, None, None)
    return read.train, read.notes


class _Read(NamedTuple):
    """Labelled training frames, validation frames where they are given, and what is said of them in a `TrainingSet`."""

    train: FrameSet
    given: FrameSet | None
    notes: tuple[str, ...]
    not_fitted: Mapping[str, int]
    wrong: str


def _read(
    config: RunConfig,
    train_source: Source | None,
    validation_source: Source | None,
    before: Sequence[Frame] = (),
    preferred: Mapping[str, Key] | None = None,
) -> _Read:
    """Read both files, and take away the labels that are not fitted.

    before, preferred: frames that these are added to, and the keys of their labels
    """
    data = config.data
    if train_source is None and not data.train:
        raise ValueError("data.train must name the training data, got nothing; add data.train=my.xyz")
    group_key = data.split.key if data.split.by == "group" else None
    source = list(data.train) if train_source is None else train_source
    sought = config.targets.fitted
    train = read_frames(source, data.keys, group_key, preferred=preferred, sought=sought)
    held_out = validation_source if validation_source is not None else list(data.validation) or None
    given = read_frames(held_out, data.keys, preferred=train.used, sought=sought) if held_out is not None else None
    check_config_types(config.targets, [*before, *train, *(given or ())])
    notes = left_out(config.targets, train)
    unused = not_fitted(config.targets, train)
    train = config.targets.kept(train)
    wrong, doubts = wrong_stresses(config.targets, train)
    if wrong:
        train, given = without_stresses(train), None if given is None else without_stresses(given)
    train.require(config.targets.required, instead=", or leave it out with targets.{}=null")
    train.require_any(config.targets.fitted)
    train, unlabelled = labelled(train)
    return _Read(
        train, given, (*notes, *((wrong,) if wrong else ()), *wrong_forces(train), *doubts, *unlabelled), unused, wrong
    )


def split_validation(frames: FrameSet, config: RunConfig, least: int = FEWEST_ERRORS) -> tuple[FrameSet, FrameSet]:
    """Training and validation part, this of at least `least` frames drawn one by one (of few, half of them).

    Isolated atoms, which fix energies per element, always train.
    """
    split = config.data.split
    rows = [row for row, frame in enumerate(frames) if not is_isolated_atom(frame)]
    others = frames.subset(rows) if len(rows) > 1 else frames
    if split.by == "group":
        validation = split_groups(others, split.fraction, config.seed)[1]
    else:
        fraction = max(split.fraction, min(least / len(others), 0.5))
        validation = split_fraction(others, fraction, config.seed)[1]
    held_out = {id(frame) for frame in validation}
    return frames.subset([row for row, frame in enumerate(frames) if id(frame) not in held_out]), validation
