"""`rhopot evaluate`: errors of a model on labelled structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from rhopot.export import LoadedModel, ModelCard, load_model
from rhopot.potentials import plots
from rhopot.potentials.commands.keys import OPTION
from rhopot.potentials.console import bar, make_console
from rhopot.potentials.files import finite, write_json
from rhopot.potentials.fitting.metrics import FramePrediction, element_constants, error_table
from rhopot.potentials.runs.error_table import errors_as_table
from rhopot.potentials.runs.evaluation import draw_parity, fitted_targets, predict_frames, trained_keys
from rhopot.potentials.runs.frame_errors import errors_of, worst_as_table, write_predictions
from rhopot.potentials.structures import AUTO, FrameSet, Keys, read_frames
from rhopot.potentials.structures.frames import TARGETS
from rhopot.potentials.structures.keys import Key, names_of


def evaluate(
    model: Path,
    structures: Sequence[str],
    *,
    json_file: Path | None,
    shift_from: Sequence[str],
    plot: Path | None,
    predictions_file: Path | None = None,
    worst: int = 0,
    device: str,
    keys: Keys = AUTO,
) -> None:
    """Print the error table and write what was asked for. Labels are read from the keys of the training data."""
    outputs = {"--json": json_file, "--plot": plot, "--predictions": predictions_file}
    for option, path in outputs.items():
        _check_output(option, path)
    if plot is not None and plot.suffix.lower().lstrip(".") not in plots.formats():
        raise ValueError(f"--plot must end in the format of a picture, got '{plot}'; name it for instance '{plot}.png'")
    loaded = load_model(model, device)
    console = make_console()
    trained = trained_keys(loaded.card)
    sought = fitted_targets(loaded.card)
    frames = read_labelled(structures, console, keys, trained, sought)
    others = read_labelled(shift_from, console, keys, trained, sought) if shift_from else None
    if others is not None:
        _check_shift(others, frames)
    _check_overwriting(outputs, [str(model), *(frame.source for each in (frames, others or ()) for frame in each)])
    predictions = _predict(loaded, frames, console, "evaluating")
    constants = None
    if others is not None:
        constants = element_constants(others, _predict(loaded, others, console, "constants"))
        shifts = ", ".join(f"{symbol} {1000 * energy:+.3f}" for symbol, energy in constants.as_dict().items())
        console.print(f"energies compared up to one constant per element (meV/atom): {shifts}")
        if constants.note:
            console.print(f"note: {constants.note}")
    errors = error_table(frames, predictions, constants)
    for note in not_fitted(loaded.card, frames):
        console.print(f"note: {note}")
    console.print(errors_as_table(f"{model} on {', '.join(structures)}", errors))
    if worst:
        each = [errors_of(*pair, constants) for pair in zip(frames, predictions, strict=True)]
        console.print(worst_as_table(each, worst))
    if predictions_file is not None:
        write_predictions(predictions_file, frames, predictions)
        console.print(f"predictions: {predictions_file}")
    if json_file is not None:
        write_json(json_file, finite(errors), indent=2)
        console.print(f"numbers: {json_file}")
    if plot is not None:
        draw_parity(plot, frames, predictions, loaded.card.baseline_energies)
        console.print(f"parity plot: {plot}")


def read_labelled(
    files: Sequence[str],
    console: Console,
    keys: Keys = AUTO,
    trained: Mapping[str, Key] | None = None,
    sought: Sequence[str] = TARGETS,
) -> FrameSet:
    """Frames of `files`, with the keys that were found and their counts printed; data without labels are refused.

    trained, sought: `preferred` and `sought` of `read_frames`
    """
    frames = read_frames(list(files), keys, preferred=trained, option=OPTION, sought=sought)
    console.print(f"{len(frames)} frames, {frames.n_atoms} atoms; {_label_keys(frames)}")
    for note in frames.notes:
        console.print(f"note: {note}")
    if not any(frames.count(target) for target in ("energy", "forces", "stress")):
        frames.require(("energy",), OPTION)
    return frames


def _label_keys(frames: FrameSet) -> str:
    """The keys that labels are read from and those that are not used, each once, with its number of frames."""

    def counted(keys: Iterable[str]) -> str:
        return ", ".join(f"{key} ({frames.found[key]})" if key in frames.found else key for key in keys)

    used = [f"{target} from {counted(names_of(key))}" for target, key in frames.used.items()]
    taken = {name for key in frames.used.values() for name in names_of(key)}
    others = counted(key for key in frames.found if key not in taken)
    return "; ".join([", ".join(used) or "no labels", *([f"not used: {others}"] if others else [])])


def not_fitted(card: ModelCard, frames: FrameSet) -> list[str]:
    """Say which quantities with labels the model was not fitted to."""
    counts = card.training_data.summary.get("targets")
    if not isinstance(counts, dict):
        return []
    columns = {"energy": "energies (E)", "forces": "forces (F)", "stress": "stresses (S)"}
    return [
        f"the model was not fitted to {name}; the errors of these columns are shown all the same"
        for target, name in columns.items()
        if frames.count(target) and not counts.get(target)
    ]


def _check_output(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is evaluated."""
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"{option} must name a file, got the folder '{path}'; add a file name")
    if not path.parent.is_dir():
        raise ValueError(f"{option} must lie in an existing folder, got '{path}'; make '{path.parent}' first")


def _check_overwriting(outputs: Mapping[str, Path | None], inputs: Sequence[str]) -> None:
    """Refuse an output that is one of the inputs, or that another output would replace."""
    taken = {Path(file).resolve() for file in inputs}
    for option, path in outputs.items():
        if path is not None and path.resolve() in taken:
            raise ValueError(
                f"{option} must name a file of its own, got '{path}', which it would replace; give another"
            )
        taken |= {path.resolve()} if path is not None else set()


def _check_shift(others: FrameSet, frames: FrameSet) -> None:
    """Refuse data of --shift-from that cannot give a constant for every element of the energies in `frames`."""
    if others.count("energy") == 0:
        raise ValueError(
            "--shift-from must name data with energies, got none; name other data or set --key energy=NAME"
        )
    known = {symbol for frame in others if frame.energy is not None for symbol in frame.atoms.symbols}
    asked = {symbol for frame in frames if frame.energy is not None for symbol in frame.atoms.symbols}
    if asked - known:
        raise ValueError(
            f"--shift-from must name data with energies of every element, got none with "
            f"{', '.join(sorted(asked - known))}; add data with it"
        )


def _predict(model: LoadedModel, frames: FrameSet, console: Console, description: str) -> list[FramePrediction]:
    with bar(console, description, len(frames)) as advance:
        return predict_frames(model, frames, advance, uncertainty=True)
