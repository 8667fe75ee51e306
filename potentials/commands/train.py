"""`rhopot train`: the output folder, its states, and everything that is written into it.

An output folder is new, unfinished (it holds `checkpoint/`) or finished (it holds `model.pt`). Every file appears under
its final name only when it is complete; `model.pt` comes last.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from rhopot.export import LoadedModel, save_model
from rhopot.potentials import plots
from rhopot.potentials.commands.console import FitProgress, bar, make_console
from rhopot.potentials.commands.evaluate import errors_as_table
from rhopot.potentials.commands.files import write_atomically, write_text
from rhopot.potentials.commands.report import training_report
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.config.schema import Baseline
from rhopot.potentials.fit import Ranks, find_ranks
from rhopot.potentials.metrics import error_table
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.workflows.evaluation import draw_parity, predict
from rhopot.potentials.workflows.training import (
    LearningCurve,
    Trained,
    TrainingSet,
    fit_model,
    learning_curve,
    load_training_set,
)

# JSON names of errors in words, and what a training leaves beside its checkpoints.
LABELS = {"energy_mae_mev_per_atom": "energy MAE (meV/atom)", "forces_mae_mev_per_angstrom": "force MAE (meV/Å)"}
EPOCH_LOGS = ("epochs.csv", "tensorboard")


def train(config: Path, overrides: Sequence[str], *, resume: bool, overwrite: bool) -> None:
    """Fit as configured and fill the output folder."""
    ranks = find_ranks()
    console = make_console(quiet=ranks.rank > 0)
    settings = load_config(config, overrides)
    folder = settings.output
    if ranks.broadcast(_already_done(folder, resume, overwrite) if ranks.rank == 0 else None):
        console.print(f"{folder} is finished: nothing to resume")
        return
    data = load_training_set(settings)
    _describe(settings, data, console)
    if ranks.rank == 0:
        _open(folder, settings, data, resume)
    train_into(folder, settings, data, ranks, console, resume)


def train_into(
    folder: Path, settings: RunConfig, data: TrainingSet, ranks: Ranks, console: Console, resume: bool = False
) -> None:
    """Fit, draw the learning curve, save and report."""
    begin = time.perf_counter()
    if ranks.rank == 0:
        (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
    with FitProgress(console) as progress:
        trained = fit_model(settings, data, ranks, progress=progress, folder=folder / "checkpoint", resume=resume)
        if settings.report.learning_curve:
            progress.message("learning curve: fits to parts of the training data")
        curve = learning_curve(settings, data, ranks, trained, progress) if settings.report.learning_curve else None
        forecasts = progress.forecasts
    if ranks.rank != 0:
        return
    console.print("saving: the file is checked in a process of its own")
    probe = sorted(data.train, key=len)[:3]
    atoms = [frame.atoms for frame in probe]
    model = save_model(trained.final, trained.card, folder / "checkpoint" / "model.pt", atoms)
    if trained.final is not trained.model:
        console.print(
            "errors are those of the training part's model; the saved one is fitted to the validation part too"
        )
        model = save_model(trained.model, trained.card, folder / "checkpoint" / "training-part.pt", atoms)
    settings = _completed(settings, trained)
    errors = _errors(folder, model, data, console, settings.report.train_frames)
    _draw_curve(folder / "learning_curve.png", curve)
    _keep_epochs(folder, trained.report.get("epochs", []))
    _draw_selection(folder / "selection.png", trained.report)
    seconds = time.perf_counter() - begin
    report = _report(settings, trained, curve, errors, forecasts[:1], seconds, ranks.size)
    write_text(folder / "config.yaml", yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))
    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "report.md", training_report(report))
    (folder / "checkpoint" / "model.pt").replace(folder / "model.pt")
    shutil.rmtree(folder / "checkpoint")
    console.print(f"{folder / 'model.pt'}: {trained.card.family}, {', '.join(data.symbols)}, {seconds:.0f} s")


def _already_done(folder: Path, resume: bool, overwrite: bool) -> bool:
    """True when there is nothing left to do; a folder that may not be touched is refused."""
    unfinished = (folder / "checkpoint").is_dir()
    finished = (folder / "model.pt").exists() and not unfinished
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output must be a folder, got the file '{folder}'; choose another output=...")
    if resume and overwrite:
        raise ValueError("--resume and --overwrite must not stand together, got both; choose one")
    if finished and resume:
        return True
    if finished and not overwrite:
        raise ValueError(
            f"output must be a new folder, got '{folder}' with a finished model; add --overwrite to replace it"
        )
    if unfinished and not (resume or overwrite):
        raise ValueError(
            f"output must be a new folder, got '{folder}' with a training that was stopped; "
            "continue it with --resume or start again with --overwrite"
        )
    return False


def _open(folder: Path, settings: RunConfig, data: TrainingSet, resume: bool) -> None:
    """Mark the folder as unfinished and remember what is being trained; a resumed training must be the same one."""
    stage = folder / "checkpoint"
    state = {"settings": settings.model_dump(mode="json"), "data": data.train.digest()}
    if stage.is_dir() and resume and (stage / "run.json").exists():
        before = json.loads((stage / "run.json").read_text(encoding="utf-8"))
        changed = _differences(before, state)
        if changed:
            raise ValueError(
                f"configuration must be that of the stopped training in '{folder}', got other {', '.join(changed)}; "
                "restore it or start again with --overwrite"
            )
        return
    if stage.is_dir():
        shutil.rmtree(stage)
    stage.mkdir(parents=True)
    write_text(stage / "run.json", json.dumps(state) + "\n")


def _differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Dotted names of the entries that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted(set(before) | set(now))
        return [d for n in names for d in _differences(before.get(n), now.get(n), f"{path}.{n}" if path else n)]
    return [] if before == now else [path.removeprefix("settings.")]


def _completed(settings: RunConfig, trained: Trained) -> RunConfig:
    """Return the settings with what was taken from the data, so that they give the same model with others."""
    found = trained.card.descriptor
    descriptor = {name: found[name] if value is None else value for name, value in settings.descriptor.items()}
    fitted: Any = trained.card.fit["baseline"]
    baseline = Baseline.model_validate({**settings.baseline.model_dump(), "pair": fitted["pair"]})
    return settings.model_copy(update={"descriptor": descriptor, "baseline": baseline})


def _describe(settings: RunConfig, data: TrainingSet, console: Console) -> None:
    found = ", ".join(f"{key} ({count})" for key, count in data.train.found.items())
    console.print(f"{settings.family}: {', '.join(data.symbols)}; keys found: {found}")
    console.print(
        f"{len(data.train)} training frames ({data.train.n_atoms} atoms), "
        f"{len(data.validation)} for validation ({data.split})"
    )


def _errors(folder: Path, model: LoadedModel, data: TrainingSet, console: Console, most: int | None) -> dict[str, Any]:
    """Error tables of both parts, printed, and the parity plot of the validation part.

    most: training frames, evenly chosen, that are evaluated at most.
    """
    errors: dict[str, Any] = {}
    count = min(most or len(data.train), len(data.train))
    train = data.train.subset([k * len(data.train) // count for k in range(count)])
    parts: dict[str, FrameSet] = {"train": train, "validation": data.validation}
    for name, frames in parts.items():
        with bar(console, f"evaluating {name}", len(frames)) as advance:
            predictions = predict(model, frames, advance, uncertainty=name == "validation")
        errors[name] = error_table(frames, predictions)
        console.print(errors_as_table(name, errors[name]))
        if name == "validation":
            baseline = model.card.baseline_energies
            write_atomically(
                folder / "parity.png",
                lambda path, f=frames, p=predictions, b=baseline: draw_parity(path, f, p, b, "validation part"),  # type: ignore[misc]
            )
    return errors


def _draw_curve(path: Path, curve: LearningCurve | None) -> None:
    """Errors against the number of frames; no picture, not even an older one, where none was asked for."""
    if curve is None or not curve.errors:
        path.unlink(missing_ok=True)
        return
    curves = {LABELS.get(name, name): values for name, values in curve.errors.items()}
    write_atomically(
        path,
        lambda partial: plots.learning_curve(partial, curve.n_frames, curves, "training frames", "validation part"),
    )


def _keep_epochs(folder: Path, epochs: Sequence[dict[str, float]]) -> None:
    """Draw what a training logged after each epoch and take its logs out of the checkpoint's folder."""
    for name in EPOCH_LOGS:
        found, target = folder / "checkpoint" / name, folder / name
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        if found.exists():
            found.replace(target)
    (folder / "epochs.png").unlink(missing_ok=True)
    if epochs:
        panels = {
            label: {part: [row.get(f"{part}_{name}", math.nan) for row in epochs] for part in ("train", "validation")}
            for name, label in (("loss", "loss"), *LABELS.items())
        }
        numbers = [row["epoch"] for row in epochs]
        write_atomically(folder / "epochs.png", lambda partial: plots.epochs(partial, numbers, panels))


def _draw_selection(path: Path, report: dict[str, Any]) -> None:
    """Errors of the members of an ensemble against their size; no picture where members have no sizes."""
    if "selection" not in report:
        path.unlink(missing_ok=True)
        return
    curve = report["selection"]
    names = {"fitted": "energies fitted to", "energies": "energies left out"}
    curves = {names[key]: (curve[key], curve[f"{key}_deviation"]) for key in names if key in curve}
    chosen = report["ensemble"]["columns_of_a_member"]["mean"]
    labels = ("features of a member", "RMSE (meV/atom)")
    write_atomically(path, lambda partial: plots.bands(partial, curve["columns"], curves, *labels, mark=chosen))


def _report(
    settings: RunConfig,
    trained: Trained,
    curve: LearningCurve | None,
    errors: dict[str, Any],
    forecasts: list[str],
    seconds: float,
    n_ranks: int,
) -> dict[str, Any]:
    """Everything the run has to say, as plain JSON values."""
    return {
        "family": settings.family,
        "kind": trained.card.kind,
        "symbols": list(trained.card.symbols),
        "errors": errors,
        "learning_curve": {} if curve is None else {"n_frames": curve.n_frames, **curve.errors},
        "fit": trained.report,
        "forecast": forecasts,
        "seconds": seconds,
        "ranks": n_ranks,
        "training_data": trained.card.training_data.model_dump(),
        "settings": settings.model_dump(mode="json"),
    }
