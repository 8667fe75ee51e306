"""MPI ranks and threads inside a rank: 8000 silicon atoms in LAMMPS, interleaved.

    python examples/benchmarks/scaling.py [MODEL.PT ...] [--data Si_train.xyz.gz] [--output FOLDER]

Without models, the linear and the sparse-kernel model of the shipped configs are trained. Efficiency is the one-process
wall time over (processes x wall time); it means something only while as many cores are idle. "by CPU" puts the CPU time
of all ranks together in the place of processes x wall time: waiting ranks count, neighbours on the machine hardly.
Layouts with more processes and threads than the machine has cores are left out.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import measure

from rhopot.potentials.console import make_console, table

# (ranks, threads) and what must be reached: parallel efficiency for ranks, speed-up for threads
LAYOUTS: dict[str, tuple[int, int, float | None]] = {
    "1 rank": (1, 1, None),
    "2 ranks": (2, 1, 0.9),
    "4 ranks": (4, 1, None),
    "1 rank, 2 threads": (1, 2, 1.7),
}


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="models that know silicon; none: those of the configs")
    parser.add_argument("--cells", type=int, default=10, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args(words)
    models = options.models
    if not models:
        folder = measure.prepare(options)
        models = [measure.train(f"soap_{name}", options.data, folder, name)[0] for name in ("linear", "gap")]
    console = make_console()
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            size = (options.cells,) * 3
            run = partial(measure.md, measure.rhopot_style(model), Path(folder), size, options.steps)
            cases = {
                name: partial(run, ranks=ranks, threads=threads)
                for name, (ranks, threads, _) in LAYOUTS.items()
                if ranks * threads <= (os.cpu_count() or 1)
            }
            times = measure.interleaved(cases, options.repeats)
        title = f"{model}: {8 * options.cells**3} Si atoms, {options.repeats} interleaved runs of {options.steps} steps"
        columns = ("", "wall ms/step", "speed-up", "efficiency", "efficiency by CPU", "must reach")
        console.print(table(title, columns, _rows(times, options.steps)))
    console.print(measure.machine())


def _rows(times: dict[str, list[measure.Time]], steps: int) -> list[list[str]]:
    """One row per layout."""
    alone = times["1 rank"]
    rows = []
    for name in times:
        ranks, threads, limit = LAYOUTS[name]
        speed_up = measure.median_wall(alone) / measure.median_wall(times[name])
        efficiency = speed_up / (ranks * threads)
        by_cpu = measure.median_cpu(alone) / (ranks * measure.median_cpu(times[name]))
        reached = measure.verdict(speed_up if threads > 1 else efficiency, limit, more=True)
        wall = f"{1e3 * measure.median_wall(times[name]) / steps:.1f}"
        rows.append([name, wall, f"{speed_up:.2f}", f"{efficiency:.2f}", f"{by_cpu:.2f}", reached])
    return rows


if __name__ == "__main__":
    main()
