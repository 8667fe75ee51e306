"""The output folder of a training and its states.

It is new, unfinished (it holds `checkpoint/`) or finished (it holds `model.pt` alone). An unfinished folder holds
`model.pt` too once the fit is done: `checkpoint/fitted.json` then has what the fit said, and only results are missing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rhopot.export import ModelFileError, read_card
from rhopot.export.card_file import installed_version
from rhopot.potentials.config import RunConfig
from rhopot.potentials.files import reading, remove_partials, write_json, write_text
from rhopot.potentials.fitting.least_squares.kept_equations import NAME as EQUATIONS

if TYPE_CHECKING:
    from rhopot.potentials.runs.training_set import TrainingSet

# Everything a training leaves beside its model.
RESULTS = (
    "config.yaml",
    "report.json",
    "report.md",
    "parity.png",
    "learning_curve.png",
    "selection.png",
    EQUATIONS,
    "epochs.csv",
    "epochs.png",
    "tensorboard",
)
# Settings that may differ when a training is resumed, for no number of the fit depends on them.
FREE = (
    "output",
    "report",
    "training.cache_gib",
    "training.device",
    "training.checkpoint_seconds",
    "training.tensorboard",
    "regressor.cache",
)


@dataclass(frozen=True)
class Words:
    """How a reader of messages asks for a stopped training to go on, or for the folder to be replaced."""

    resume: str
    overwrite: str


IN_SHELL = Words("--resume", "--overwrite")
IN_PYTHON = Words("resume=True", "overwrite=True")


def already_done(folder: Path, resume: bool, overwrite: bool, words: Words = IN_SHELL) -> bool:
    """True when there is nothing left to do.

    Raises:
        ValueError: the folder may not be touched.
    """
    unfinished = (folder / "checkpoint").is_dir()
    finished = (folder / "model.pt").exists() and not unfinished
    if resume and overwrite:
        raise ValueError(f"{words.resume} and {words.overwrite} must not stand together, got both; choose one")
    if finished and resume:
        return True
    if finished and not overwrite:
        raise ValueError(
            f"output must be a new folder, got '{folder}' with a finished model; add {words.overwrite} to replace it"
        )
    if unfinished and not (resume or overwrite):
        raise ValueError(
            f"output must be a new folder, got '{folder}' with a training that was stopped; "
            f"continue it with {words.resume} or start again with {words.overwrite}"
        )
    return False


def open_folder(folder: Path, settings: RunConfig, data: TrainingSet, resume: bool, words: Words = IN_SHELL) -> None:
    """Mark the folder as unfinished and remember what is being trained; unfinished files of killed runs go.

    Raises:
        ValueError: a training is resumed that was another one.
    """
    stage = folder / "checkpoint"
    state = {
        "settings": settings.model_dump(mode="json"),
        "data": data.train.digest(),
        "validation data": data.validation.digest(),
        "version of rhopot": installed_version(),
    }
    remove_partials(folder)
    if stage.is_dir() and resume and (stage / "run.json").exists():
        before = read_json(stage / "run.json")
        changed = [name for name in differing(before, state) if not _free(name)]
        if changed:
            raise ValueError(
                f"configuration must be that of the stopped training in '{folder}', got other {', '.join(changed)}; "
                f"restore it or start again with {words.overwrite}"
            )
        for inner in (stage, *(path for path in stage.rglob("*") if path.is_dir())):
            remove_partials(inner)
        return
    if stage.is_dir():
        shutil.rmtree(stage)
    stage.mkdir(parents=True)
    write_json(stage / "run.json", state)


def forget_unbegun(folder: Path) -> None:
    """Remove the state of a training of which nothing is computed yet: what was refused stands in nobody's way."""
    stage = folder / "checkpoint"
    if [path for path in stage.rglob("*") if not path.is_dir()] == [stage / "run.json"]:
        shutil.rmtree(stage)


def keep_fitted(folder: Path, fitted: dict[str, Any]) -> None:
    """Put the model of `checkpoint/` under its final name; files that describe an earlier one go first.

    What the fit said is written out before anything is touched.
    """
    text = json.dumps(fitted) + "\n"
    remove_results(folder)
    (folder / "checkpoint" / "model.pt").replace(folder / "model.pt")
    if (folder / "checkpoint" / EQUATIONS).exists():
        (folder / "checkpoint" / EQUATIONS).replace(folder / EQUATIONS)
    write_text(folder / "checkpoint" / "fitted.json", text)


def read_fitted(folder: Path) -> dict[str, Any] | None:
    """What `keep_fitted` kept, None where the fit was not finished or its model is gone."""
    file = folder / "checkpoint" / "fitted.json"
    if not file.exists():
        return None
    try:
        read_card(folder / "model.pt")
    except ModelFileError:
        return None
    return read_json(file)


def read_json(file: Path) -> dict[str, Any]:
    """A mapping that a training kept."""
    with reading(file):
        return dict(json.loads(file.read_text(encoding="utf-8")))


def remove_results(folder: Path) -> None:
    """Remove what an earlier training left beside its model."""
    for name in RESULTS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _free(name: str) -> bool:
    return any(name == free or name.startswith(f"{free}.") for free in FREE)


def differing(before: Any, now: Any, path: str = "") -> list[str]:
    """Dotted names of the entries of two nested mappings that differ, without a leading `settings.`."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted(set(before) | set(now))
        return [d for n in names for d in differing(before.get(n), now.get(n), f"{path}.{n}" if path else n)]
    return [] if before == now else [path.removeprefix("settings.")]
