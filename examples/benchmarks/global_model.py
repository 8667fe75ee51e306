"""Global models in LAMMPS: time per step on several ranks and threads, interleaved.

    python examples/benchmarks/global_model.py [MODEL.PT ...] [--repeat 2,1,1] [--output FOLDER]

The structure is the last frame of Li8Si24_0 of the shipped data, repeated. Without models, one of 150 wavelet
paths, selected at random with the default settings, gets random weights: a step costs the same. Speed-ups are ratios of
medians of wall times and are meaningful only while as many cores are idle; layouts with more processes and
threads than the machine has cores are left out. "CPU" is the CPU time of each process in a step, including waiting.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase
import ase.io
from measure import LITHIUM_SILICON, Time, arguments, interleaved, loop_time, machine, median_cpu, median_wall, verdict
from untrained import untrained_scattering

from rhopot.export import load_model
from rhopot.potentials.console import make_console, table
from rhopot.potentials.lammps.input_decks import header, write_data
from rhopot.potentials.lammps.process import run_lammps

N_PATHS = 150
# (ranks, threads) and the speed-up that must be reached
LAYOUTS: dict[str, tuple[int, int, float | None]] = {
    "1 rank": (1, 1, None),
    "2 ranks": (2, 1, 1.7),
    "1 rank, 2 threads": (1, 2, None),
    "4 ranks": (4, 1, None),
}
# Atoms hardly move, so that models with random weights can be timed.
DYNAMICS = """\
velocity all create 300 4928
timestep 1e-6
fix 1 all nve
thermo 100000
run {warm}
run {steps}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="models of kind global that know Li and Si")
    parser.add_argument("--repeat", default="2,1,1", help="how often along each cell vector the structure stands")
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args(words)
    first, second, third = (int(word) for word in options.repeat.split(","))
    atoms = ase.io.read(LITHIUM_SILICON / "Li8Si24_0.xyz", index=-1) * (first, second, third)
    console = make_console()
    for model in options.models or [_untrained(options.output)]:
        _require_whole(model)
        with tempfile.TemporaryDirectory() as folder:
            run = partial(_step, model, atoms, Path(folder), options.steps)
            cases = {
                name: partial(run, ranks, threads)
                for name, (ranks, threads, _) in LAYOUTS.items()
                if ranks * threads <= (os.cpu_count() or 1)
            }
            times = interleaved(cases, options.repeats)
        title = f"{model}: {len(atoms)} Li-Si atoms, {options.repeats} interleaved runs of {options.steps} steps"
        console.print(
            table(title, ("", "wall ms/step", "CPU ms/step", "speed-up", "must reach"), _rows(times, options.steps))
        )
    console.print(machine())


def _untrained(folder: Path) -> Path:
    """The model with random weights, made once."""
    path = folder.resolve() / f"scattering_{N_PATHS}.pt"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        untrained_scattering(("Li", "Si"), N_PATHS, ase.io.read(LITHIUM_SILICON / "Li8Si24_0.xyz", index=-1), path)
    return path


def _require_whole(model: Path) -> None:
    """Refuse models of atoms, which `scaling.py` measures."""
    kind = load_model(model).card.kind
    if kind != "global":
        raise SystemExit(f"model must be of kind 'global', got '{model}' of kind '{kind}'; measure it with scaling.py")


def _step(model: Path, atoms: ase.Atoms, folder: Path, steps: int, ranks: int, threads: int) -> Time:
    """Times of `steps` steps on one layout."""
    data = write_data(folder / "structure.data", atoms, load_model(model).card.symbols)
    deck = header(data, model.resolve(), "device cpu") + DYNAMICS.format(warm=1, steps=steps)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return loop_time(run_lammps(deck, folder, ranks=ranks, environment=environment, timeout=3600))


def _rows(times: dict[str, list[Time]], steps: int) -> list[list[str]]:
    """One row per layout."""
    rows = []
    for name in times:
        speed_up = median_wall(times["1 rank"]) / median_wall(times[name])
        wall, cpu = (1e3 * median(times[name]) / steps for median in (median_wall, median_cpu))
        rows.append(
            [name, f"{wall:.0f}", f"{cpu:.0f}", f"{speed_up:.2f}", verdict(speed_up, LAYOUTS[name][2], more=True)]
        )
    return rows


if __name__ == "__main__":
    main()
