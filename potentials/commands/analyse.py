"""`rhopot analyse`: how much of each feature set can be had from every other one (see `analysis.measures`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from rhopot.potentials import plots
from rhopot.potentials.analysis.compare import MEASURES, Comparison, compare, draw_sample
from rhopot.potentials.analysis.feature_sets import read_words
from rhopot.potentials.analysis.measures import NEIGHBORS
from rhopot.potentials.analysis.selection import checked_method, is_supervised
from rhopot.potentials.commands.keys import OPTION
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.files import finite, write_atomically, write_json
from rhopot.potentials.runs.features import keys_for
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.structures import AUTO, UNLABELLED, Keys, read_frames

WORDS = {
    "gfre": "GFRE, global reconstruction error of a linear map from the row's set to the column's",
    "gfrd": "GFRD, distortion: by how much the sets weigh differently what both know",
    "lfre": f"LFRE, the same of a map for each environment, from its {NEIGHBORS} nearest neighbors in feature space",
}

SCALE = (
    "Errors relative to the standard deviation of the column's features, on structures that the map was not fitted "
    "to: 0, all is known; about 1, nothing. They depend on the number of environments: compare those of one run. LFRE, "
    "from few environments each, exceeds GFRE where the relation is linear."
)


def analyse(
    words: Sequence[str],
    *,
    output: Path,
    environments: int,
    seed: int,
    local: bool,
    select: str | None,
    keep: Sequence[int],
    keys: Keys = AUTO,
) -> None:
    """Compare the feature sets that the words name on the data behind them; print tables, fill the folder `output`."""
    sets, data = read_words(words)
    method = None if select is None else checked_method(select)
    _check(len(sets), data, method is not None, keep, output)
    console = make_console()
    asked = [keys_for(one.described, keys) for one in sets]
    if method is not None and is_supervised(method):
        asked.append(UNLABELLED.model_copy(update={"energy": keys.energy}))
    frames = read_frames(data, next((read for read in asked if read != UNLABELLED), UNLABELLED), option=OPTION)
    for note in frames.notes:
        console.print(f"note: {note}")
    sample = draw_sample(frames, environments, seed)
    console.print(f"{len(sample.rows)} environments of {len(sample.frames)} structures (of {len(frames)}), seed {seed}")
    follow = partial(bar, console)
    with lock_folder(output, "--output") as note:
        if note:
            console.print(note)
        found = compare(sets, sample, seed, local=local, method=method, keep=keep, follow=follow)
        _print(console, found)
        _write(console, found, output)


def _check(n_sets: int, data: Sequence[str], selected: bool, keep: Sequence[int], output: Path) -> None:
    """Refuse what cannot be done, before anything is computed."""
    if not data:
        raise ValueError("DATA must stand behind the feature sets, got none; name structures")
    if selected != bool(keep):
        given, missing = ("--select", "--keep N") if selected else ("--keep", "--select METHOD")
        raise ValueError(f"--select and --keep must be given together, got {given} alone; add {missing}")
    if n_sets < 2 and not selected:
        raise ValueError("feature sets must be at least two, got one; name another, or add --select and --keep")
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output must name a folder, got the file '{output}'; name another")
    if not output.parent.is_dir():
        raise ValueError(f"--output must lie in an existing folder, got '{output}'; make '{output.parent}' first")


def _print(console: Console, found: Comparison) -> None:
    """Print the sets, the measures of all pairs, and selections."""
    console.print(f"{found.n_train} environments for training, {found.n_test} for testing, of different structures")
    rows = [
        [f"{k + 1} {one.name}", f"{one.n_features}", _number(one.residual_variance)] for k, one in enumerate(found.sets)
    ]
    console.print(table("", ("feature set", "features", "variance lost by its radial basis"), rows))
    columns = ("from \\ of", *(f"{k + 1}" for k in range(len(found.sets))))
    for name in MEASURES if len(found.sets) > 1 else ():
        values = getattr(found, name)
        if not np.isfinite(values).all():  # not asked for
            continue
        body = [[f"{k + 1} {found.sets[k].name}", *map(_number, row)] for k, row in enumerate(values)]
        console.print(table(WORDS[name], columns, body))
    if len(found.sets) > 1:
        console.print(SCALE)
    if found.selections:
        body = [
            [one.set, f"{one.n_features}", one.method, *(_number(getattr(one, name)) for name in MEASURES)]
            for one in found.selections
        ]
        title = "what selected features know of all features of their set"
        console.print(table(title, ("feature set", "selected", "method", "GFRE", "GFRD", "LFRE"), body))


def _write(console: Console, found: Comparison, output: Path) -> None:
    """Write numbers and plots, each at once or not at all."""
    output.mkdir(exist_ok=True)
    write_json(output / "analysis.json", finite(found.as_dict()), indent=2)
    written = ["analysis.json"]
    names = [one.name for one in found.sets]
    if len(names) > 1:
        drawing = partial(plots.matrix, values=found.gfre, names=names, title="GFRE of columns from rows")
        write_atomically(output / "gfre.png", drawing)
        written.append("gfre.png")
    curves = {"gfre_size.png": size_curves(found), "gfre_selected.png": selection_curves(found)}
    for file, points in curves.items():
        if points:
            of = f"GFRE of {names[found.largest()]}" if file == "gfre_size.png" else "GFRE of all features"
            drawing = partial(plots.curves, points=points, xlabel="number of features", ylabel=of)
            write_atomically(output / file, drawing)
            written.append(file)
    console.print(f"{output}: {', '.join(written)}")


def size_curves(found: Comparison) -> dict[str, tuple[list[float], list[float]]]:
    """GFRE of the largest set from sets that differ in size alone, against their numbers of features."""
    largest = found.largest()
    points = {}
    for name, several in found.size_series().items():
        others = [k for k in several if k != largest]
        if len(others) > 1:
            points[name] = (
                [float(found.sets[k].n_features) for k in others],
                [found.gfre[k][largest] for k in others],
            )
    return points


def selection_curves(found: Comparison) -> dict[str, tuple[list[float], list[float]]]:
    """GFRE of each set from selections of it, where there are several, against their numbers of features."""
    points: dict[str, tuple[list[float], list[float]]] = {}
    for one in sorted(found.selections, key=lambda one: one.n_features):
        x, y = points.setdefault(f"{one.set}, {one.method}", ([], []))
        x.append(float(one.n_features))
        y.append(one.gfre)
    return {name: curve for name, curve in points.items() if len(curve[0]) > 1}


def _number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.3g}"
