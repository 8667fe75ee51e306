"""Trainings that go on from a finished one: `append=RUN` adds frames to the equations of its fit.

The frames of RUN keep their places in the training and the validation part, their folds and their equations; only those
of new frames are computed. So that they are equations of one fit, all that RUN took from its data stays as it is:
descriptor with its learned basis, sparse points, features and scales, energies per element, repulsion. The model is
that of a training from scratch on all frames with the same choices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.export import ModelCard, read_card
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.config.schema import BaselineSettings
from rhopot.potentials.fitting.least_squares.kept_equations import NAME as EQUATIONS
from rhopot.potentials.runs.output_folder import differing
from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.structures.files import find_files
from rhopot.potentials.structures.frames import DataError, frame_digest

# Settings that may differ from those of RUN: nothing that its equations are made with depends on them.
FREE = ("regressor.block_rows", "regressor.batch_mib", "regressor.checkpoint_seconds", "regressor.keep_equations")
# Settings whose null stands for what RUN took from its data; every other null means that there is none.
FROM_DATA = (
    "descriptor.symbols",
    "descriptor.optimal_basis.q_max",
    "descriptor.optimal_basis.residual_variance",
    "descriptor.optimal_basis.contraction",
)
COMPARED = ("family", "descriptor", "regressor", "targets", "baseline")


@dataclass(frozen=True)
class Earlier:
    """A finished training that another goes on from."""

    folder: Path
    config: RunConfig
    card: ModelCard

    @property
    def equations(self) -> Path:
        """The file of its equations.

        Raises:
            ValueError: there is none.
        """
        file = self.folder / EQUATIONS
        if not file.exists():
            raise ValueError(
                f"append must be a training that kept its equations, got '{self.folder}' without {EQUATIONS}; "
                "train it again with regressor.keep_equations=true"
            )
        return file

    def complete(self, config: RunConfig) -> RunConfig:
        """Return the configuration with what this training took from its data; it keeps its equations too."""
        fitted: Any = self.card.fit["baseline"]
        baseline = {"elements": dict(self.card.baseline_energies or {}), "pair": fitted["pair"]}
        return config.model_copy(
            update={
                "descriptor": type(config.descriptor).model_validate(dict(self.card.descriptor)),
                "baseline": BaselineSettings.model_validate(baseline),
                "regressor": config.regressor.model_copy(update={"keep_equations": True}),
            }
        )


def find_earlier(config: RunConfig) -> Earlier | None:
    """The training that this one goes on from, None where it begins anew.

    Raises:
        ValueError: it is unfinished, or has other settings.
    """
    folder = config.append
    if folder is None:
        return None
    if not hasattr(config.regressor, "keep_equations"):
        raise ValueError(
            f"append must be left out for {config.family}, whose fit is no sum of equations, got {folder}; "
            "train anew with all data in data.train"
        )
    if not (folder / "model.pt").exists() or (folder / "checkpoint").is_dir() or not (folder / "config.yaml").exists():
        raise ValueError(f"append must be the output folder of a finished training, got '{folder}'")
    found = Earlier(folder, load_config(folder / "config.yaml"), read_card(folder / "model.pt"))
    _check_settings(config, found)
    _check_ancestors(config, found)
    if not found.config.data.train:
        raise ValueError(
            f"append must be a training whose data are files, got '{folder}', which was given structures in memory"
        )
    return found


def _check_settings(config: RunConfig, earlier: Earlier) -> None:
    """Refuse settings that the equations were not made with."""
    before, now = ({name: one.model_dump(mode="json")[name] for name in COMPARED} for one in (earlier.config, config))
    for name in differing(before, now):
        from_data = name in FROM_DATA or name.startswith("baseline.pair.")
        if name not in FREE and not (from_data and _at(now, name) is None):
            raise ValueError(
                f"{name} must be that of '{earlier.folder}' ({_at(before, name)!r}), which this training is appended "
                f"to, got {_at(now, name)!r}; take '{earlier.folder / 'config.yaml'}', or train from scratch"
            )
    if config.baseline.pair is not None and config.baseline.pair.kind == "two_body":
        raise ValueError(
            "append must be left out where baseline.pair is two_body, which is fitted to the training data; "
            "train from scratch"
        )


def _check_ancestors(config: RunConfig, earlier: Earlier) -> None:
    """Refuse to overwrite a training that this one goes on from, directly or not."""
    seen, one = {config.output.resolve()}, earlier.config
    while one.append is not None:
        if one.append.resolve() in seen:
            raise ValueError(
                f"output must be no folder that '{earlier.folder}' was appended to, directly or not, got "
                f"'{one.append}'; take another one, or train from scratch"
            )
        seen.add(one.append.resolve())
        if not (one.append / "config.yaml").exists():
            raise ValueError(
                f"append must be a training whose data can be read again, got '{earlier.folder}', which was appended "
                f"to '{one.append}', which is not there; restore that folder, or train from scratch"
            )
        one = load_config(one.append / "config.yaml")


def _at(values: Any, name: str) -> Any:
    for word in name.split("."):
        values = values.get(word) if isinstance(values, Mapping) else None
    return values


def check_files(earlier: Earlier) -> None:
    """Refuse data of an earlier training that are not where its configuration says, with the file that says it."""
    for name in ("train", "validation"):
        for path in getattr(earlier.config.data, name):
            try:
                find_files(path)
            except DataError as error:
                raise DataError(
                    f"data.{name} of '{earlier.folder / 'config.yaml'}', which append reads again: {error}; relative "
                    f"paths there are from the current folder, '{Path.cwd()}', so start in the folder of that training"
                ) from None


def check_same(earlier: Earlier, train: FrameSet) -> None:
    """Refuse training data of an earlier training that are not those any more."""
    if train.digest() != earlier.card.training_data.hash:
        count = earlier.card.training_data.summary["n_frames"]
        raise DataError(
            f"training data of '{earlier.folder}' must be the {count} frames that it was trained on, got {len(train)} "
            f"from {', '.join(earlier.config.data.train)}; restore these files (a pattern must match no new ones), or "
            "train from scratch"
        )


def new_frames(frames: FrameSet, known: Sequence[Frame]) -> tuple[FrameSet, int]:
    """Return the frames that are not among the known ones, each once, and the number of the others.

    Raises:
        DataError: a frame has the structure of a known one, and other labels.
    """
    seen = {frame_digest(frame, labels=False): frame for frame in known}
    kept = []
    for row, frame in enumerate(frames):
        digest = frame_digest(frame, labels=False)
        if digest not in seen:
            kept.append(row)
        elif _other_labels(frame, seen[digest]):
            raise DataError(
                f"{frame.name} must have the labels of the same structure that was trained on before "
                f"({seen[digest].name}), got others; leave it out, or train from scratch"
            )
        seen.setdefault(digest, frame)
    return frames.subset(kept), len(frames) - len(kept)


def _other_labels(one: Frame, other: Frame) -> bool:
    """Whether energies or forces of the same structure differ."""
    pairs = ((one.energy, other.energy), (one.forces, other.forces))
    return any(a is not None and b is not None and not np.allclose(a, b, rtol=0, atol=1e-6) for a, b in pairs)


def together(before: FrameSet, later: FrameSet) -> FrameSet:
    """Return both sets as one, those before first."""
    found = Counter(before.found) + Counter(later.found)
    notes = tuple(dict.fromkeys((*before.notes, *later.notes)))
    return FrameSet((*before.frames, *later.frames), found, before.used or later.used, notes)
