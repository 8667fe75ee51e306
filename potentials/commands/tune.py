"""`rhopot tune`: settings on the Pareto front of accuracy and cost (the search: `tuning.search`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console
from rich.text import Text

from rhopot.potentials import plots
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.document import Document, override_document, read_document
from rhopot.potentials.config.load import validate_document
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.families import family_names
from rhopot.potentials.files import finite, write_atomically, write_json, write_text
from rhopot.potentials.runs.cross_validation import make_folds
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.runs.training_set import load_frames
from rhopot.potentials.tuning.cost import TIMED, timed_structure
from rhopot.potentials.tuning.grid import Grid, make_grid
from rhopot.potentials.tuning.pareto import EQUAL_COST, cheapest
from rhopot.potentials.tuning.trials import ENERGY, FORCES, Trial, open_search
from rhopot.potentials.tuning.tune import Tuning, kind_of
from rhopot.potentials.tuning.tune import tune as search

CHANGE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=")
# How much slower the reference may become before it is said.
DISTURBED = 1.2
LABELS = {FORCES: "force MAE (meV/Å)", ENERGY: "energy MAE (meV/atom)"}


class BudgetNotMet(RuntimeError):
    """No trial is cheap enough; the results are written, but for a configuration."""

    exit_status = 3


def tune(
    source: str,
    words: Sequence[str],
    *,
    output: Path,
    budget: str | None,
    grid: Sequence[str],
    folds: int,
    points: int,
    overwrite: bool,
) -> None:
    """Search around a configuration on the data behind it; print the trials, fill the folder `output`."""
    limit = parse_budget(budget)
    if points < 1:
        raise ValueError(f"--points must be at least 1, got {points}; 20 are usual")
    config = _configured(source, words)
    searched = make_grid(config, grid)
    console = make_console()
    with lock_folder(output, "--output") as note:
        if note:
            console.print(note)
        frames, notes = load_frames(config)
        for line in dict.fromkeys((*frames.notes, *notes)):
            console.print(f"note: {line}")
        parts = make_folds(config, frames, folds)
        atoms = timed_structure(frames, kind_of(config))
        kept = open_search(output, config, frames, folds, overwrite)
        console.print(f"{config.family}: {len(frames)} frames in {folds} folds; at most {points} trials")
        console.print(f"cost: {TIMED}; {atoms.get_chemical_formula()}, {len(atoms)} atoms")
        for key, values in searched.values.items():
            console.print(f"  {key}: {', '.join(map(short, values))}")
        with _how_to_go_on(), bar(console, "fits", points * folds) as advance:
            say = partial(_say, console)
            found = search(searched, parts, atoms, kept, trials=points, budget=limit, finished=say, advance=advance)
        _print(console, found)
        _write(console, found, searched, output)
    if found.chosen is None:
        raise BudgetNotMet(_unmet(found))


@contextmanager
def _how_to_go_on() -> Iterator[None]:
    """Let whatever stops a search say how it is continued."""
    try:
        yield
    except (OSError, KeyboardInterrupt) as error:
        error.add_note("finished trials are kept, and the same command goes on from them")
        raise


def parse_budget(text: str | None) -> float | None:
    """Microseconds of `10us`, `10 us` or `10`. Raises ValueError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)\s*(us|µs|μs)?\s*", text)
    if match is None or not float(match.group(1)) > 0.0:
        raise ValueError(f"--budget must be a time per atom and step in microseconds, got {text!r}; write 10us")
    return float(match.group(1))


def _configured(source: str, words: Sequence[str]) -> RunConfig:
    """The configuration that is named, with overrides, on the data that are named."""
    changes = [word for word in words if CHANGE.match(word) and not Path(word).exists()]
    data = [word for word in words if word not in changes]
    if data:
        changes.append(f"data.train={json.dumps(data)}")
    if source in family_names():
        document = override_document(Document(source, {"family": source}), changes)
    elif Path(source).suffix in (".yaml", ".yml"):
        document = read_document(source, changes)
    else:
        raise ValueError(
            f"CONFIG must be a YAML configuration or one of {', '.join(family_names())}, got {source!r}; "
            "name it before the data"
        )
    config = validate_document(document)
    if not config.data.train:
        raise ValueError("DATA must stand behind the configuration, got none; name labelled structures")
    return config


def short(value: object) -> str:
    """A value as YAML has it, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _changes(trial: Trial) -> str:
    """What differs from the starting configuration, in short."""
    if not trial.changes:
        return "starting configuration"
    return ", ".join(f"{key.removeprefix('descriptor.')}={short(value)}" for key, value in trial.changes.items())


def _say(console: Console, trial: Trial, unit: float, known: bool) -> None:
    """A line for a trial as soon as it is done."""
    if trial.cost is None:
        console.print(f"{_changes(trial)}: failed: {trial.fault}")
        return
    errors = ", ".join(f"{LABELS[name]} {trial.errors[name]:.3g}" for name in LABELS if name in trial.errors)
    when = "an earlier run" if known else f"{trial.seconds:.0f} s"
    console.print(f"{_changes(trial)}: {errors}, {trial.cost.ratio * unit:.3g} us ({when})")


def _print(console: Console, found: Tuning) -> None:
    """Trials by cost, and how far the costs may be trusted."""
    usable = [(k, trial, trial.cost) for k, trial in enumerate(found.trials) if trial.cost is not None]
    unit = found.reference_microseconds
    rows: list[list[str | Text]] = []
    for k, trial, cost in sorted(usable, key=lambda one: one[2].ratio):
        marks = {"front": k in found.front, "chosen": k == found.chosen}
        mark = ", ".join(word for word, holds in marks.items() if holds)
        half = 0.5 * (cost.quartiles[1] - cost.quartiles[0]) * unit
        numbers = [f"{trial.errors[name]:.3g}" if name in trial.errors else "-" for name in (ENERGY, FORCES)]
        row = [_changes(trial), f"{cost.ratio * unit:.3g} ± {half:.1g}", *numbers, mark]
        rows.append([Text(cell, style="bold" if mark else "") for cell in row])
    columns = ("configuration", "us per atom and step", LABELS[ENERGY], LABELS[FORCES], "")
    console.print(table("trials by cost", columns, rows))
    console.print(
        f"front: {LABELS[found.objective]} against cost; costs within {EQUAL_COST:.0%} of each other count as equal. "
        "Trials are named by what differs from the starting configuration"
    )
    times = [cost.reference_microseconds / unit for _, _, cost in usable]
    console.print(
        f"cost: time of the model over that of a reference calculation, measured in turn, times {unit:.3g} us, the "
        f"shortest time of the reference; its median in a trial was {min(times):.2f} to {max(times):.2f} times that"
    )
    if max(times) > DISTURBED:
        console.print("note: other programs used the processor; costs are accurate to some 5 %")
    if len({trial.processor for trial in found.trials}) > 1:
        console.print("note: trials were timed on different processors; their costs do not compare")


def _write(console: Console, found: Tuning, grid: Grid, output: Path) -> None:
    """Write numbers, plot and the chosen configuration, each at once or not at all."""
    write_json(output / "tune.json", finite(found.as_dict(grid)), indent=1)
    write_atomically(output / "front.png", lambda partial_file: _draw(partial_file, found))
    (output / "config.yaml").unlink(missing_ok=True)
    if found.chosen is None:
        return
    config = grid.config(found.points[found.chosen])
    assert config is not None
    write_text(output / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    why = "the knee of the front" if found.budget is None else f"the most accurate within {found.budget:g} us"
    console.print(f"chosen: {_changes(found.trials[found.chosen])} ({why})")
    console.print(f"{output}: tune.json, front.png, config.yaml (rhopot train {output / 'config.yaml'} output=run1)")


def _draw(path: Path, found: Tuning) -> None:
    """Errors against cost."""
    usable = [k for k, trial in enumerate(found.trials) if trial.cost is not None]
    costs = [trial.cost.ratio * found.reference_microseconds for trial in found.trials if trial.cost is not None]
    panels = {
        label: [float(found.trials[k].errors[name]) for k in usable]
        for name, label in sorted(LABELS.items(), key=lambda one: one[0] != found.objective)
        if all(name in found.trials[k].errors for k in usable)
    }
    front = [usable.index(k) for k in found.front]
    chosen = None if found.chosen is None else usable.index(found.chosen)
    plots.pareto_front(path, costs, panels, front, chosen, found.budget)


def _unmet(found: Tuning) -> str:
    """What to do about a budget below all costs."""
    outcomes = [trial.outcome(found.objective) for trial in found.trials]
    least = cheapest(outcomes)
    assert least is not None  # the starting configuration was fitted
    trial = found.trials[least]
    return (
        f"--budget must be met by a trial, got {found.budget:g} us below all {len(found.trials)}; the cheapest "
        f"costs {found.microseconds(trial):.3g} us ({_changes(trial)}); raise it, "
        "allow more --points, or add smaller --grid values"
    )
