"""Speed of a potential in LAMMPS: time of an atom's step, for numbers of MPI ranks and of threads per rank.

A step of dynamics at constant energy is timed by the clock (LAMMPS' own `Loop time`), neighbor lists, communication and
time integration included, loading and set-up left out. Runs of the different ranks and threads alternate, so that other
work on the machine disturbs all of them alike; the median over the rounds counts, its range is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from rhopot.potentials.lammps.input_decks import DataFile, header, write_data
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.structures.velocities import thermal_momenta
from rhopot.potentials.threads import of_children

SECONDS = 1.0  # of a timed run, about
WARM_UP = 5  # steps before the timed ones
ROUNDS = 3
TEMPERATURE = 300.0  # K
FS_PER_NS = 1e6


@dataclass(frozen=True)
class StepTime:
    """Time of a step, by the clock, in microseconds per atom: median, least and greatest of the rounds."""

    ranks: int
    threads: int
    microseconds: float
    least: float
    greatest: float

    def nanoseconds_per_day(self, n_atoms: int, timestep_fs: float) -> float:
        """Return how many ns of `n_atoms` atoms a day gives at this speed."""
        steps = 86400.0 / (1e-6 * self.microseconds * n_atoms)
        return steps * timestep_fs / FS_PER_NS

    def hours(self, n_atoms: int, nanoseconds: float, timestep_fs: float) -> float:
        """Return how long a run of `n_atoms` atoms over so many ns takes."""
        return 24.0 * nanoseconds / self.nanoseconds_per_day(n_atoms, timestep_fs)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def divisions(processes: Sequence[int]) -> list[tuple[int, int]]:
    """Return ranks and threads to try for each number of cores: all ranks, all threads, and two threads per rank."""
    found = []
    for count in processes:
        found += [(count, 1), (1, count)]
        if count >= 4 and count % 2 == 0:
            found.append((count // 2, 2))
    return list(dict.fromkeys(found))


def step_times(
    atoms: Atoms,
    pair: PairStyle,
    folder: Path,
    tried: Sequence[tuple[int, int]],
    *,
    timestep_fs: float,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    advance: Callable[[int], None] = lambda done: None,
) -> list[StepTime]:
    """Time steps of `atoms` for each pair of ranks and threads.

    The input is `in.speed` in `folder`, which exists. seconds: about the length of a timed run on one rank.
    advance: called with the number of finished runs.
    """
    moving = atoms.copy()
    moving.set_momenta(thermal_momenta(moving, TEMPERATURE, 0))
    data = write_data(folder / "speed.data", moving)
    data = replace(data, path=Path(data.path.name))

    def seconds_per_step(steps: int, ranks: int, threads: int) -> float:
        environment = {**of_children(), "OMP_NUM_THREADS": str(threads)}
        deck = speed_input(data, pair, timestep_fs, steps)
        run = run_lammps(deck, folder, ranks=ranks, name="in.speed", timeout=None, environment=environment)
        return run.loop_time() / steps

    steps = max(10, round(seconds / max(seconds_per_step(10, 1, 1), 1e-6)))
    times = np.empty((rounds, len(tried)))
    for i in range(rounds):
        for k, (ranks, threads) in enumerate(tried):
            times[i, k] = 1e6 * seconds_per_step(steps, ranks, threads) / len(atoms)
            advance(i * len(tried) + k + 1)
    return [
        StepTime(ranks, threads, float(np.median(column)), float(column.min()), float(column.max()))
        for (ranks, threads), column in zip(tried, times.T, strict=True)
    ]


def speed_input(data: DataFile, pair: PairStyle, timestep_fs: float, steps: int) -> str:
    """Return the input whose last run is timed: dynamics at constant energy."""
    lines = [
        f"timestep {timestep_fs / 1000:.12g}",
        "fix integrate all nve",
        f"thermo {steps}",
        f"run {WARM_UP}",
        f"run {steps}",
    ]
    return header(data, pair) + "\n".join(lines) + "\n"
