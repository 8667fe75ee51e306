"""What a training leaves beside its model: error tables, plots and the report.

Every part stands by itself: one that fails is named in the end, and the others are made all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from rhopot.export import LoadedModel, RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.schema import HotDynamicsSettings
from rhopot.potentials.console import bar
from rhopot.potentials.files import finite, write_atomically, write_json, write_text
from rhopot.potentials.fitting.metrics import FramePrediction, error_table
from rhopot.potentials.runs.error_table import errors_as_table
from rhopot.potentials.runs.evaluation import draw_parity, predict_frames
from rhopot.potentials.runs.free_atoms import describe_free_atoms
from rhopot.potentials.runs.learning_curve import LearningCurve
from rhopot.potentials.runs.report import training_report
from rhopot.potentials.runs.stability import CRITERION, Stability, run_hot_dynamics, training_structures
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet

# JSON names of errors in words, and what a training leaves beside its checkpoints.
LABELS = {"energy_mae_mev_per_atom": "energy MAE (meV/atom)", "forces_mae_mev_per_angstrom": "force MAE (meV/Å)"}
EPOCH_LOGS = ("epochs.csv", "tensorboard")


class IncompleteResults(RuntimeError):
    """A training whose model is saved and of whose other results some could not be made."""

    exit_status = 3


class Failures:
    """Parts of the results that could not be made."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Exception]] = []

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Keep an error of any kind for the end: no table and no picture is worth the model."""
        try:
            yield
        except Exception as error:
            self._found.append((part, error))

    def tell(self, model: Path, resume: str) -> None:
        """Raise IncompleteResults where anything failed; `resume` is how the training is resumed, in words."""
        if not self._found:
            return
        parts = "; ".join(f"{part} failed ({_reason(error)})" for part, error in self._found)
        raise IncompleteResults(
            f"{model} is complete, but {parts}; mend the cause and complete the results with {resume} "
            "(settings under `report` may be changed)"
        ) from self._found[0][1]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
    return str(error).strip().rstrip(".") or type(error).__name__


def make_results(
    folder: Path,
    model: LoadedModel,
    data: TrainingSet,
    fitted: dict[str, Any],
    settings: RunConfig,
    console: Console,
    failures: Failures,
) -> dict[str, Any]:
    """Error tables, which are returned and printed, and the pictures of the fit and its errors."""
    errors = _errors(folder, model, data, console, settings.report.train_frames, failures)
    with failures.of("the plot of the epochs"):
        _keep_epochs(folder, fitted["report"].get("epochs", []))
    with failures.of("the plot of the selection"):
        _draw_selection(folder / "selection.png", fitted["report"])
    return errors


def measure_stability(
    model: Path, settings: HotDynamicsSettings | None, console: Console, failures: Failures
) -> list[dict[str, Any]]:
    """Hot dynamics of training structures with the saved model: printed, and returned as plain JSON values."""
    if settings is None:
        return []
    runs: list[Stability] = []
    with failures.of("the stability run"):
        calculator = RhopotCalculator(model)
        card = calculator.model.card
        runs = run_hot_dynamics(training_structures(card), calculator, card, **settings.model_dump())
        for run in runs:
            console.print(f"stability: {run.sentence()}")
        if runs:
            console.print(CRITERION)
    return [{**run.as_dict(), "sentence": run.sentence()} for run in runs]


def judge_free_atoms(model: LoadedModel, frames: FrameSet, console: Console, failures: Failures) -> str:
    """A sentence on the energies of free atoms where the training data hold none: printed and returned."""
    sentence = ""
    with failures.of("the energies of free atoms"):
        sentence = describe_free_atoms(RhopotCalculator(model), model.card, frames)
        if sentence:
            console.print(f"note: {sentence}")
    return sentence


def write_report(folder: Path, report: dict[str, Any], failures: Failures) -> None:
    """Write config.yaml, report.json and report.md."""
    with failures.of("config.yaml"):
        write_text(folder / "config.yaml", yaml.safe_dump(report["settings"], sort_keys=False))
    with failures.of("report.json"):
        write_json(folder / "report.json", finite(report), indent=2)
    with failures.of("report.md"):
        write_text(folder / "report.md", training_report(report))


def _errors(
    folder: Path, model: LoadedModel, data: TrainingSet, console: Console, most: int | None, failures: Failures
) -> dict[str, Any]:
    """Error tables of both parts, printed, and the parity plot of the validation part.

    most: training frames, evenly chosen, that are evaluated at most.
    """
    errors: dict[str, Any] = {}
    count = min(most or len(data.train), len(data.train))
    train = data.train.subset([k * len(data.train) // count for k in range(count)])
    parts: dict[str, FrameSet] = {"train": train, "validation": data.validation}
    for name, frames in parts.items():
        part = f"the error table of the {name} part"
        with failures.of(part), bar(console, f"evaluating {name}", len(frames)) as advance:
            predictions = predict_frames(model, frames, advance, uncertainty=name == "validation")
            errors[name] = error_table(frames, predictions)
            console.print(errors_as_table(name, errors[name], caption=name == "validation"))
        if name == "validation" and name in errors:
            with failures.of("the parity plot"):
                _draw_parity(folder / "parity.png", frames, predictions, model.card.baseline_energies)
    return errors


def _draw_parity(
    path: Path, frames: FrameSet, predictions: Sequence[FramePrediction], baseline: dict[str, float] | None
) -> None:
    """Predictions against labels of the validation part."""
    write_atomically(path, lambda partial: draw_parity(partial, frames, predictions, baseline, "validation part"))


def draw_curve(path: Path, curve: LearningCurve | None) -> None:
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
    """Take what a training logged after each epoch out of the checkpoint's folder and draw it."""
    for name in EPOCH_LOGS:
        found = folder / "checkpoint" / name
        if found.exists():
            found.replace(folder / name)
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
        return
    curve = report["selection"]
    names = {"fitted": "energies fitted to", "energies": "energies left out"}
    curves = {names[key]: (curve[key], curve[f"{key}_deviation"]) for key in names if key in curve}
    chosen = report["ensemble"]["columns_of_a_member"]["mean"]
    labels = ("features of a member", "RMSE (meV/atom)")
    write_atomically(path, lambda partial: plots.bands(partial, curve["columns"], curves, *labels, mark=chosen))
