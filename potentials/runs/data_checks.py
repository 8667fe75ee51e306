"""Training data against the targets of a configuration: what is left out, what is missing, what overlaps."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import DataFinding, Frame, FrameSet
from rhopot.potentials.structures.force_consistency import lint_forces
from rhopot.potentials.structures.frames import TARGETS, frame_digest
from rhopot.potentials.structures.stress_consistency import contradiction, find_pairs, lint_stress
from rhopot.potentials.structures.unit_faults import UNITS

CLOSER = "; the labels are fitted all the same, `rhopot data lint` looks closer"


def check_config_types(targets: Targets, frames: Iterable[Frame]) -> None:
    """Refuse a config_type in `targets` that no frame has."""
    known = sorted({frame.config_type for frame in frames})
    for target in TARGETS:
        settings = getattr(targets, target)
        for name in settings.config_type if settings is not None else ():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                meant = f"; did you mean {close[0]}?" if close else "; remove it or correct its name"
                raise ValueError(
                    f"targets.{target}.config_type must name config_types of the data ({', '.join(known)}), "
                    f"got {name}{meant}"
                )


def check_validation(targets: Targets, train: FrameSet, validation: FrameSet, given: bool) -> None:
    """Refuse a validation set that nothing can be measured on, before anything is fitted."""
    fitted = [target for target in targets.fitted if train.count(target)]
    measured = [target for target in fitted if target != "stress"] or fitted
    if any(validation.count(target) for target in measured):
        return
    wanted = " or ".join(measured)
    if given:
        raise ValueError(
            f"data.validation must carry {wanted} to be of use, got none in {len(validation)} frames; "
            "label them, correct data.keys, or leave data.validation out"
        )
    raise ValueError(
        f"the validation set must carry {wanted}, got none in the {len(validation)} frames that data.split took from "
        "data.train; remove frames without labels, raise data.split.fraction, or name data.validation"
    )


def left_out(targets: Targets, frames: FrameSet) -> tuple[str, ...]:
    """Say which labels `targets` leave out, with the number of frames that carry them."""
    notes = [
        f"the data carry labels of {target} ({count} frames) that are not fitted: targets.{target} is null"
        for target, count in not_fitted(targets, frames).items()
    ]
    for target in TARGETS:
        types = Counter(f.config_type for f in frames if f.has(target) and targets.of(target, f.config_type) is None)
        if types and getattr(targets, target) is not None:
            listed = ", ".join(f"{name} ({count} frames)" for name, count in sorted(types.items()))
            notes.append(f"targets.{target} leaves out config_type {listed}: not used anywhere")
    return tuple(notes)


def not_fitted(targets: Targets, frames: FrameSet) -> dict[str, int]:
    """Number of frames with labels of each quantity that is no target."""
    counts = {target: frames.count(target) for target in TARGETS if getattr(targets, target) is None}
    return {target: count for target, count in counts.items() if count}


def wrong_stresses(targets: Targets, frames: FrameSet) -> tuple[str, tuple[str, ...]]:
    """(why stresses are not fitted, "" where they are; notes on stresses and energies that contradict each other).

    A constant pressure, as a small plane-wave basis leaves, a wrong sign or a wrong unit is a fault of all stresses of
    a calculation. Only what is certain leaves them out, see `stress_consistency`, and `required` stresses are always
    fitted. What `rhopot data lint` would call an error of those that are fitted is a note.
    """
    if targets.stress is None or not frames.count("stress"):
        return "", ()
    pairs = find_pairs(frames)
    fault = "" if targets.stress.required else contradiction(frames, pairs)
    errors = [finding for finding in lint_stress(frames, pairs) if finding.severity == "error"]
    if fault:
        errors = [finding for finding in errors if finding.check == UNITS]
        fault += ": no stresses are fitted; targets.stress.required=true fits them all the same"
    return fault, _notes("stress", errors)


def wrong_forces(frames: FrameSet) -> tuple[str, ...]:
    """Notes on forces and energies that do not fit each other; both are fitted all the same."""
    return _notes("forces", [finding for finding in lint_forces(frames) if finding.severity != "info"])


def _notes(target: str, faults: Sequence[DataFinding]) -> tuple[str, ...]:
    """The sentences of faults; one on the frames that are accused one by one, which have the opposite sign."""
    sentences = [finding.sentence for finding in faults if not finding.frame]
    single = [finding.frame for finding in faults if finding.frame]
    if single:
        sentences.append(
            f"{len(single)} frames have {target} of the opposite sign against similar frames (first: {single[0]})"
        )
    return tuple(sentence + CLOSER for sentence in sentences)


def without_stresses(frames: FrameSet) -> FrameSet:
    """Return the frames without their stresses."""
    return replace(frames, frames=tuple(replace(frame, stress=None) for frame in frames))


def labelled(frames: FrameSet) -> tuple[FrameSet, tuple[str, ...]]:
    """Return the frames that carry a fitted label, and a note on the others, whose structures are not used either."""
    rows = [row for row, frame in enumerate(frames) if any(frame.has(target) for target in TARGETS)]
    if len(rows) == len(frames):
        return frames, ()
    first = next(frame.name for frame in frames if not any(frame.has(target) for target in TARGETS))
    count = len(frames) - len(rows)
    return frames.subset(rows), (f"{count} training frames carry no fitted label and are not used (first: {first})",)


def overlap(train: FrameSet, validation: FrameSet) -> tuple[str, ...]:
    """Say how many structures of the validation set are training structures: another file's, or copies in one file."""
    seen = {frame_digest(frame, labels=False) for frame in train}
    same = [frame for frame in validation if frame_digest(frame, labels=False) in seen]
    if not same:
        return ()
    return (
        f"{len(same)} of {len(validation)} validation frames are training frames too (first: {same[0].name}): "
        "their errors say nothing about other structures",
    )
