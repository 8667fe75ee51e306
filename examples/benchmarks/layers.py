"""Angular networks of several layers in LAMMPS: time of a step compared with SNAP, two ranks, volume of an exchange.

    python examples/benchmarks/layers.py --data Si_train.xyz.gz [--output FOLDER] [--cutoffs 4.0 4.5] [--layers 1 2 3]

The models are trained for one epoch, in float32: their weights do not matter to their cost. Atoms hardly move. Goals
are set for two layers of 32 features and the first cutoff: 1000 atoms on one core, and 8000 atoms on one rank and on
two, which needs two idle cores.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import measure

from rhopot.potentials.console import make_console, table

SNAP = "pair_style snap"
MOST_US, LEAST_EFFICIENCY = 250.0, 0.8
VOLUME = re.compile(r"pair style rhopot: (\d+ layers of messages.*)")


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--cutoffs", type=float, nargs="+", default=[4.0, 4.5])
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--width", type=int, default=32, help="features of an atom (default: %(default)s)")
    parser.add_argument("--filters", type=int, default=32, help="of distance and angle (default: %(default)s)")
    parser.add_argument("--heads", type=int, default=4, help="groups of filters (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args(words)
    models = trained(options)
    console = make_console()
    with tempfile.TemporaryDirectory() as folder:
        one_core(models, options, Path(folder))
        two_ranks(models[2, options.cutoffs[0]], options, Path(folder))
    console.print(measure.machine())


def trained(options: argparse.Namespace) -> dict[tuple[int, float], Path]:
    """The models, by number of layers and cutoff."""
    folder = measure.prepare(options)
    shape = f"width: {options.width}, filters: {options.filters}, heads: {options.heads}"
    models = {}
    for cutoff in options.cutoffs:
        for layers in sorted({2, *options.layers}):
            words = (
                f"descriptor.cutoff={cutoff}",
                f"regressor={{layers: {layers}, {shape}}}",
                "training.epochs=1",
                "report.stability=null",
                "dtype=float32",
            )
            name = f"angular_{layers}_{cutoff}_{options.width}_{options.filters}_{options.heads}"
            models[layers, cutoff], _ = measure.train("angular", options.data, folder, name, *words)
    return models


def one_core(models: Mapping[tuple[int, float], Path], options: argparse.Namespace, folder: Path) -> None:
    """Time of a step on one core, beside SNAP."""
    size, scale = (5, 5, 5), 1e6 / (1000 * options.steps)
    runs = {(0, 0.0): partial(measure.md, measure.snap_style(), folder, size, options.steps, timestep=1e-6)}
    for (layers, cutoff), model in models.items():
        style = measure.rhopot_style(model)
        runs[layers, cutoff] = partial(measure.md, style, folder, size, options.steps, timestep=1e-6)
    times = measure.interleaved(runs, options.repeats)
    snap = scale * measure.median_cpu(times[0, 0.0])
    rows = []
    for layers, cutoff in models:
        own = [scale * time.cpu for time in times[layers, cutoff]]
        mine = scale * measure.median_cpu(times[layers, cutoff])
        named = layers == 2 and cutoff == options.cutoffs[0]
        rows.append(
            [
                f"{layers}",
                f"{cutoff:g}",
                f"{mine:.1f}",
                f"{min(own):.1f} to {max(own):.1f}",
                f"{mine / snap:.2f}",
                measure.verdict(mine, MOST_US if named else None),
            ]
        )
    title = (
        f"1000 Si atoms, {options.width} features, {options.filters} filters in {options.heads} groups, float32, "
        f"one core, {options.repeats} interleaved runs of {options.steps} steps, CPU"
    )
    console = make_console()
    console.print(table(title, ("layers", "cutoff A", "us/atom/step", "", "to snap", "must reach"), rows))
    spread = [scale * time.cpu for time in times[0, 0.0]]
    console.print(f"{SNAP}: {snap:.1f} us/atom/step ({min(spread):.1f} to {max(spread):.1f})")


def two_ranks(model: Path, options: argparse.Namespace, folder: Path) -> None:
    """Efficiency of two ranks with 8000 atoms, and what an exchange sends."""
    console, style = make_console(), measure.rhopot_style(model)
    runs = {
        ranks: partial(measure.md, style, folder, (10, 10, 10), options.steps, ranks=ranks, timestep=1e-6)
        for ranks in (1, 2)
    }
    times = measure.interleaved(runs, options.repeats)
    alone, both = times[1], times[2]
    wall = measure.median_wall(alone) / (2 * measure.median_wall(both))
    cpu = measure.median_cpu(alone) / (2 * measure.median_cpu(both))
    step = [1e3 * measure.median_wall(times[ranks]) / options.steps for ranks in (1, 2)]
    console.print(
        f"8000 atoms, two layers, {options.cutoffs[0]:g} A: {step[0]:.0f} ms/step on one rank, {step[1]:.0f} on two, "
        f"efficiency {wall:.2f} (by CPU time {cpu:.2f}) {measure.verdict(wall, LEAST_EFFICIENCY, more=True)}"
    )
    volumes = VOLUME.findall((folder / "in.lammps.log").read_text(encoding="utf-8"))  # of each run of the last process
    console.print(f"two ranks: {volumes[-1]}")


if __name__ == "__main__":
    main()
