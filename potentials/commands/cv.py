"""`rhopot cv`: files of collective variables: written, combined, evaluated, described."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.export import CvCard, LoadedCv, evaluate_cv, load_cv, read_cv_card, save_cv
from rhopot.potentials.collective_variables import CollectiveVariable, Combined
from rhopot.potentials.console import bar, make_console, rounded, table
from rhopot.potentials.files import finite, write_json, write_text
from rhopot.potentials.structures import UNLABELLED, naming, read_frames

# Rows of a printed table at most: more are summarized.
MOST_ROWS = 20

Floats = NDArray[np.float64]


def write(module: CollectiveVariable, output: Path, probe: Sequence[ase.Atoms] = ()) -> LoadedCv:
    """Write collective variables to a file and say what it holds."""
    check_output(output)
    cv = save_cv(module, CvCard.of(module), output, probe)
    make_console().print(f"{output}: {in_words(cv.card)}")
    return cv


def combine(files: Sequence[Path], output: Path) -> None:
    """Write the variables of several files to one."""
    check_output(output)
    parts = [load_cv(file) for file in files]
    write(Combined([part.module for part in parts], [part.card.description for part in parts]), output)


def evaluate(file: Path, structures: Sequence[str], *, json_file: Path | None, output: Path | None) -> None:
    """Print the variables of every structure, and write what was asked for."""
    for option, path in (("--json", json_file), ("--output", output)):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{option} must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    cv = load_cv(file)
    console = make_console()
    frames = read_frames(list(structures), UNLABELLED)
    rows = []
    with bar(console, "evaluating", len(frames)) as advance:
        for k, frame in enumerate(frames):
            with naming(frame):
                rows.append(evaluate_cv(cv, frame.atoms, gradients=False).values)
            advance(k + 1)
    values = np.array(rows)
    titles = [_with_unit(name, unit) for name, unit in zip(cv.card.names, cv.card.units, strict=True)]
    console.print(_values_table(f"{file} on {', '.join(structures)}", titles, values, cv.card.periods))
    if json_file is not None:
        columns = {name: values[:, k].tolist() for k, name in enumerate(cv.card.names)}
        units = dict(zip(cv.card.names, cv.card.units, strict=True))
        write_json(json_file, finite({"cv": cv.identity, "units": units, "values": columns}), indent=2)
        console.print(f"numbers: {json_file}")
    if output is not None:
        lines = [" ".join(("#", "frame", *cv.card.names))]
        lines += [" ".join((str(k), *map(repr, row))) for k, row in enumerate(values.tolist())]
        write_text(output, "\n".join(lines) + "\n")
        console.print(f"values: {output}")


def info(file: Path) -> None:
    """Print the card of a file of collective variables."""
    card = read_cv_card(file)
    rows = [
        ("variables", ", ".join(_with_unit(name, unit) for name, unit in zip(card.names, card.units, strict=True))),
        ("periods", ", ".join("none" if period is None else f"{period:.6g}" for period in card.periods)),
        ("elements", ", ".join(card.symbols) or "any"),
        ("cutoff", f"{card.cutoff:g} A" if card.reads_edges else "none: no neighbors are read"),
        ("given atoms", " ".join(map(str, card.atoms)) or "none"),
        ("dtype", card.dtype),
        *((f"{'settings' if k == 0 else ''}", line) for k, line in enumerate(_settings(card.settings))),
        ("written by", f"rhopot {card.versions.rhopot}, torch {card.versions.torch}"),
        ("operators", ", ".join(card.versions.operators) or "none"),
        ("identity", load_cv(file).identity),
        *(("cite", reference) for reference in card.references),
    ]
    make_console().print(table(f"{file} (collective variables)", ("", ""), rows, words=True))


def in_words(card: CvCard) -> str:
    """The variables of a file in a line."""
    names = ", ".join(_with_unit(name, unit) for name, unit in zip(card.names, card.units, strict=True))
    reads = f"; neighbors of {', '.join(card.symbols)} within {card.cutoff:g} A" if card.reads_edges else ""
    given = f"; atoms {' '.join(map(str, card.atoms))}" if card.atoms else ""
    return names + reads + given


def _with_unit(name: str, unit: str) -> str:
    """The name of a variable with its unit, where it has one."""
    return f"{name} ({unit})" if unit else name


def check_output(output: Path) -> None:
    """Refuse names that no file of collective variables can have, before anything is computed."""
    if output.suffix != ".pt":
        raise ValueError(
            f"--output must end in .pt, got '{output}'; name it for instance '{output.with_suffix('.pt')}'"
        )


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals, zero without a sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _values_table(title: str, names: Sequence[str], values: Floats, periods: Sequence[float | None]) -> Any:
    """The values (n, K) of each structure, or, of many, their statistics."""
    if len(values) <= MOST_ROWS:
        rows = [(str(k), *(fixed(value, 6) for value in row)) for k, row in enumerate(values.tolist())]
        return table(title, ("structure", *names), rows)
    means, deviations = zip(*(average(*each) for each in zip(values.T, periods, strict=True)), strict=True)
    statistics = {
        "mean": np.array(means),
        "standard deviation": np.array(deviations),
        "smallest": values.min(axis=0),
        "largest": values.max(axis=0),
        "first": values[0],
        "last": values[-1],
    }
    rows = [(word, *(fixed(value, 6) for value in row.tolist())) for word, row in statistics.items()]
    return table(title, (f"of {len(values)} structures", *names), rows)


def average(values: Floats, period: float | None) -> tuple[float, float]:
    """Mean and standard deviation of values (n) of a variable.

    Of a periodic one, the direction of the mean of the unit vectors, and of the nearest images to it.
    """
    if period is None:
        return float(values.mean()), float(values.std())
    turn = period / (2.0 * np.pi)
    mean = turn * float(np.angle(np.exp(1j * values / turn).mean()))
    departures = values - mean
    return mean, float(np.sqrt(np.mean((departures - period * np.round(departures / period)) ** 2)))


def _settings(settings: dict[str, Any]) -> list[str]:
    """Settings, a line for each; those of combined variables with the number of their part."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"part {k}: {line}" for k, each in enumerate(value, 1) for line in _settings(each)]
        elif isinstance(value, dict):
            lines += [f"{key}.{line}" for line in _settings(value)]
        else:
            lines.append(f"{key} = {value if isinstance(value, str) else json.dumps(rounded(value))}")
    return lines
