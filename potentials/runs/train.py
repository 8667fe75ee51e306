"""A whole training: from a configuration and its data to an output folder (its states: `output_folder`).

    fit, checkpointed -> model.pt, checked -> error tables, plots, report (`results`) -> learning curve

The model is saved as soon as it is fitted. Whatever fails or is stopped after that leaves it in place, and a resumed
training completes the rest without another fit. Every file appears under its final name only when it is complete.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from rhopot.export import LoadedModel, ModelCard, load_model, save_model
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.schema import BaselineSettings
from rhopot.potentials.console import FitProgress
from rhopot.potentials.files import write_json
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.runs.fit import TrainedModel, fit_model
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.runs.forecast import whole_run
from rhopot.potentials.runs.learning_curve import LearningCurve, learning_curve, points_of_fit
from rhopot.potentials.runs.output_folder import (
    IN_SHELL,
    Words,
    already_done,
    forget_unbegun,
    keep_fitted,
    open_folder,
    read_fitted,
    read_json,
)
from rhopot.potentials.runs.results import (
    Failures,
    draw_curve,
    judge_free_atoms,
    make_results,
    measure_stability,
    write_report,
)
from rhopot.potentials.runs.training_set import TrainingSet

# The model fitted to the training part alone, in `checkpoint/`.
PART = "training-part.pt"


def run_training(
    config: RunConfig,
    read: Callable[[RunConfig], TrainingSet],
    communicator: Communicator,
    console: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
    words: Words = IN_SHELL,
) -> None:
    """One training, from configuration and data to the filled folder `config.output`.

    No other training can write the folder meanwhile. Every MPI rank calls this; the first one writes.

    read: gives the data, and is called once the folder is known to be free (`load_training_set`, or frames in memory)
    console: what is said goes there; quiet on other ranks than the first
    resume, overwrite: continue a training that was stopped; replace what stands in the folder
    words: how the reader of messages asks for these

    Raises:
        ValueError: settings or data that cannot be used, or a folder that may not be touched.
        IncompleteResults: the model is saved, and something beside it could not be made.
    """
    folder = config.output
    with lock_folder(folder) if communicator.rank == 0 else nullcontext("") as note:
        if note:
            console.print(note)
        if communicator.broadcast(already_done(folder, resume, overwrite, words) if communicator.rank == 0 else None):
            console.print(f"{folder} is finished: nothing to resume")
            return
        data = read(config)
        if data.earlier is not None and not resume:
            _ = data.earlier.equations  # refused where there are none, before it is said that they are kept
        _describe(config, data, console)
        if communicator.rank == 0:
            open_folder(folder, config, data, resume, words)
        with _how_to_go_on(folder, communicator, words):
            train_into(folder, config, data, communicator, console, resume, words)


def train_into(
    folder: Path,
    settings: RunConfig,
    data: TrainingSet,
    communicator: Communicator,
    console: Console,
    resume: bool = False,
    words: Words = IN_SHELL,
) -> None:
    """Fit and save, report, and draw the learning curve.

    Raises:
        IncompleteResults: the model is saved, and something beside it could not be made.
    """
    fitted = communicator.broadcast(read_fitted(folder) if communicator.rank == 0 and resume else None)
    if fitted is None:
        fitted = _fit(folder, settings, data, communicator, console, resume)
    else:
        console.print(f"{folder / 'model.pt'} is fitted already: its results are completed")
    begin = time.perf_counter()
    asked = settings.report.learning_curve
    if communicator.rank != 0:
        if asked:
            _learning_curve(folder, settings, data, fitted, communicator, console)
        return
    failures = Failures()
    model = _described(folder)
    settings = _completed(settings, model.card)
    errors = make_results(folder, model, data, fitted, settings, console, failures)
    free_atoms = judge_free_atoms(model, data.train, console, failures)
    stability = measure_stability(folder / "model.pt", settings.report.stability, console, failures)
    curve = None

    def since() -> float:
        return float(fitted["seconds"]) + time.perf_counter() - begin

    def report() -> None:
        write_report(
            folder, _report(settings, model.card, fitted, errors, free_atoms, stability, curve, since()), failures
        )

    report()
    if asked:
        with failures.of("the learning curve"):
            curve = _learning_curve(folder, settings, data, fitted, communicator, console)
            draw_curve(folder / "learning_curve.png", curve)
        report()
    failures.tell(folder / "model.pt", words.resume)
    shutil.rmtree(folder / "checkpoint")
    console.print(f"{folder / 'model.pt'}: {model.card.family}, {', '.join(data.symbols)}, {since():.0f} s")


def _fit(
    folder: Path, settings: RunConfig, data: TrainingSet, communicator: Communicator, console: Console, resume: bool
) -> dict[str, Any]:
    """Fit, save the model, and return what the fit said of itself."""
    begin = time.perf_counter()
    stage = folder / "checkpoint"
    if communicator.rank == 0:
        stage.mkdir(parents=True, exist_ok=True)
    with FitProgress(console, lambda fit: whole_run(fit, settings, data, communicator.size)) as progress:
        trained = fit_model(
            settings,
            data,
            communicator,
            fractions=settings.report.learning_curve,
            progress=progress,
            folder=stage,
            resume=resume,
        )
    fitted = {"report": trained.report, "forecasts": progress.forecasts[:1], "ranks": communicator.size}
    if communicator.rank == 0:
        _save(folder, trained, data, console)
        fitted["seconds"] = time.perf_counter() - begin
        keep_fitted(folder, fitted)
        console.print(f"{folder / 'model.pt'} is saved; errors, plots and report follow")
    return fitted


def _save(folder: Path, trained: TrainedModel, data: TrainingSet, console: Console) -> None:
    """Write the model and, where it is fitted to the validation part too, that of the training part for reports."""
    console.print("saving: the file is checked in a separate process")
    atoms = [frame.atoms for frame in sorted(data.train, key=len)[:3]]
    stage = folder / "checkpoint"
    save_model(trained.final, trained.card, stage / "model.pt", atoms)
    (stage / PART).unlink(missing_ok=True)
    if trained.final is not trained.model:
        save_model(trained.model, trained.card, stage / PART, atoms)
        console.print("errors are of the model fitted without the validation set; the saved one is fitted to it too")


def _described(folder: Path) -> LoadedModel:
    """The model that errors and plots are those of."""
    part = folder / "checkpoint" / PART
    return load_model(part if part.exists() else folder / "model.pt")


def _learning_curve(
    folder: Path,
    settings: RunConfig,
    data: TrainingSet,
    fitted: dict[str, Any],
    communicator: Communicator,
    console: Console,
) -> LearningCurve:
    """Points of the fit, or fits to parts of the training data; those made before a stop are not made again."""
    file = folder / "checkpoint" / "learning_curve.json"
    known = points_of_fit(fitted["report"], settings.report.learning_curve)
    if not known:
        known = communicator.broadcast(read_json(file) if communicator.rank == 0 and file.exists() else {})
        console.print("learning curve: fits to parts of the training data")

    def keep(points: Mapping[str, Any]) -> None:
        if communicator.rank == 0:
            write_json(file, points)

    with FitProgress(console) as progress:
        return learning_curve(settings, data, communicator, fitted["report"]["validation"], progress, known, keep)


@contextmanager
def _how_to_go_on(folder: Path, communicator: Communicator, words: Words) -> Iterator[None]:
    """Let whatever stops a training say how it is continued; one refused before its fit leaves nothing to continue."""
    try:
        yield
    except (OSError, KeyboardInterrupt) as error:
        error.add_note(f"continue the training in '{folder}' with {words.resume}")
        raise
    except Exception:
        if communicator.rank == 0:
            forget_unbegun(folder)
        raise


def _describe(settings: RunConfig, data: TrainingSet, console: Console) -> None:
    found = ", ".join(f"{key} ({count})" for key, count in data.train.found.items())
    console.print(f"{settings.family}: {', '.join(data.symbols)}; keys found: {found}")
    console.print(
        f"{len(data.train)} training frames ({data.train.n_atoms} atoms), "
        f"{len(data.validation)} for validation ({data.split})"
    )
    for note in dict.fromkeys((*data.train.notes, *data.validation.notes, *data.notes)):
        console.print(f"note: {note}")


def _completed(settings: RunConfig, card: ModelCard) -> RunConfig:
    """Return the settings with what was taken from the data, so that they give the same model with others."""
    filled = _filled(settings.descriptor.model_dump(mode="json"), card.descriptor)
    descriptor = type(settings.descriptor).model_validate(filled)
    fitted: Any = card.fit["baseline"]
    baseline = BaselineSettings.model_validate({**settings.baseline.model_dump(), "pair": fitted["pair"]})
    return settings.model_copy(update={"descriptor": descriptor, "baseline": baseline})


def _filled(given: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose nulls are those found; learned arrays stay in the model file, and are learned again."""
    filled = {}
    for name, value in given.items():
        known = found[name]
        if isinstance(value, dict) and isinstance(known, Mapping):
            filled[name] = _filled(value, known)
        else:
            filled[name] = known if value is None and not _is_array(known) else value
    return filled


def _is_array(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and isinstance(value[0], list)


def _report(
    settings: RunConfig,
    card: ModelCard,
    fitted: dict[str, Any],
    errors: dict[str, Any],
    free_atoms: str,
    stability: list[dict[str, Any]],
    curve: LearningCurve | None,
    seconds: float,
) -> dict[str, Any]:
    """Everything the run has to say, as plain JSON values."""
    return {
        "family": settings.family,
        "kind": card.kind,
        "n_layers": card.n_layers,
        "symbols": list(card.symbols),
        "errors": errors,
        "free_atoms": free_atoms,
        "stability": stability,
        "learning_curve": {} if curve is None else {"n_frames": curve.n_frames, **curve.errors},
        "fit": fitted["report"],
        "forecast": fitted["forecasts"],
        "seconds": seconds,
        "ranks": fitted["ranks"],
        "training_data": card.training_data.model_dump(),
        "settings": settings.model_dump(mode="json"),
    }
