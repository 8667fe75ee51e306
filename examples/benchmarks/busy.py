"""Times of jobs on a busy machine: idle and beside busy processes, interleaved.

    python examples/benchmarks/busy.py [--jobs demo linear gmp ...] [--busy 2] [--spinning] [--repeats 3]

loop        one thread that counts: what the system leaves to a process that never waits
demo        `examples/demo.py`, what `make demo` runs after the installation
linear      `rhopot train` of the shipped configuration: energies, forces and stresses of one lithium-silicon path
gmp         the same of a committee of networks: five paths, 40 epochs
scattering  the same of an ensemble on wavelet scattering: one path, first order, 100 members divided among workers
lammps      1000 silicon atoms, a committee of networks with random weights, one rank with two threads

The number of threads is what the programs choose by themselves (LAMMPS: two). A system that shares c cores fairly among
b busy processes and c threads leaves these c / (b + c) of the machine: a job takes twice the idle time on two cores
beside two busy processes, and more where these cores are two halves of one, which `loop` shows. With `--spinning`, each
job runs again with OpenMP threads that spin while they wait, as they do by default. Idle means that nothing else runs
on the machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import ase.build
from measure import (
    CONFIGS,
    LITHIUM_SILICON,
    ROOT,
    Time,
    arguments,
    child,
    count,
    interleaved,
    machine,
    md,
    median_cpu,
    median_wall,
    rhopot_style,
    verdict,
)
from untrained import untrained

from rhopot.potentials.console import make_console, table

LIMIT = 3.0  # times the idle wall time
SPINNING = {"GOMP_SPINCOUNT": "300000"}  # what GNU's OpenMP does where nothing is set
PATHS = ("Li8Si24_0", "Li4Si28_0", "Li14Si18_0", "Li22Si10_0", "Li25Si7_0")  # of lithium and silicon
FITS = {
    "linear": ("soap_linear", 1, ["descriptor.n_max=6", "descriptor.l_max=6"]),
    "gmp": ("gmp_snn", 5, ["training.epochs=40"]),
    "scattering": ("scattering", 1, ["descriptor.max_order=1", "regressor.translated=10"]),
}
JOBS = ("loop", "demo", *FITS, "lammps")
Case = tuple[str, bool, bool]  # job, with spinning threads, beside busy processes


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--busy", type=count, default=2, help="number of busy processes")
    parser.add_argument("--spinning", action="store_true", help="with threads that spin while they wait, too")
    parser.set_defaults(repeats=3)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        cases = {
            (job, spins, busy): partial(_beside, options.busy if busy else 0, partial(_job(job, Path(folder)), spins))
            for job in options.jobs
            for spins in ([False, True] if options.spinning and job != "loop" else [False])
            for busy in (False, True)
        }
        times = interleaved(cases, options.repeats)
    title = f"wall s (CPU s), medians of {options.repeats} interleaved runs; beside {options.busy} busy processes"
    console = make_console()
    console.print(table(title, ("", "threads", "idle", "beside", "ratio", "must reach"), _rows(times)))
    console.print(machine())


def _job(name: str, folder: Path) -> Callable[[bool], Time]:
    """Return the function that runs a job and returns its times; it takes whether threads spin."""
    if name == "lammps":
        crystal = ase.build.bulk("Si", cubic=True).repeat(2)
        model = untrained(["Si"], 6.0, 6, crystal, folder / "random.pt", n_probes=12, hidden=(64, 64, 64))
        return lambda spins: md(
            rhopot_style(model), folder, steps=500, threads=2, timestep=1e-4, settings=SPINNING if spins else None
        )
    if name == "loop":
        command = [sys.executable, "-c", "for _ in range(200_000_000): pass"]
    elif name == "demo":
        command = [sys.executable, str(ROOT / "examples" / "demo.py"), "--output", "demo"]
    else:
        config, n_paths, words = FITS[name]
        data = [str(LITHIUM_SILICON / f"{path}.xyz") for path in PATHS[:n_paths]]
        report = ["report.learning_curve=[]", "report.stability=null"]
        train = [sys.executable, "-m", "rhopot.potentials.commands", "train", str(CONFIGS / f"{config}.yaml")]
        command = [*train, f"data.train={data}", f"output={name}", "--overwrite", *report, *words]
    return lambda spins: child(command, folder, threads=None, settings=SPINNING if spins else None).time


@contextmanager
def _busy(number: int) -> Iterator[None]:
    """Keep `number` processes computing."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _beside(number: int, job: Callable[[], Time]) -> Time:
    """Return the times of a job beside `number` busy processes."""
    with _busy(number):
        return job()


def _rows(times: Mapping[Case, Sequence[Time]]) -> list[list[str]]:
    """One row per job and kind of waiting."""
    rows = []
    for job, spins in dict.fromkeys((job, spins) for job, spins, _ in times):
        idle, beside = times[job, spins, False], times[job, spins, True]
        ratio = median_wall(beside) / median_wall(idle)
        seconds = [f"{median_wall(case):.1f} ({median_cpu(case):.1f})" for case in (idle, beside)]
        reached = "" if spins else verdict(ratio, LIMIT)
        rows.append([job, "spin" if spins else "as they are", *seconds, f"{ratio:.2f}", reached])
    return rows


if __name__ == "__main__":
    main()
