"""Metadynamics in ASE: one run or several walkers, which can be stopped at any moment and continued.

Walkers make their steps at the same time, each in a thread, up to the next hill; then each reads the hills of the
others. So a run is the same whenever it is repeated. Files are those of `rhopot.potentials.properties.dynamics_ase`,
with the number of the walker, HILLS and COLVAR, and one saved state of all walkers.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from rhopot.export.metadynamics import MetadynamicsCalculator
from rhopot.export.metadynamics_deposition import Walkers
from rhopot.potentials.files import read_arrays, write_arrays
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Ended, Limits
from rhopot.potentials.lammps.metadynamics import Metadynamics
from rhopot.potentials.properties.dynamics_ase import SECONDS, AseRun, RunFiles
from rhopot.potentials.properties.engine import Advance, prepare, silent

STATE = "state_ase.npz"


Say = Callable[[str], object]


def quiet(sentence: str) -> None:
    """Say nothing."""


def goes_on(step: int, timestep: float, hills: int | None) -> str:
    """From where a run goes on: step, time step in fs, number of hills so far (None: of a bias without)."""
    kept = "" if hills is None else f", with {hills} hill{'s' * (hills != 1)}"
    return f"goes on from step {step} ({step * timestep / 1000.0:g} ps){kept}"


def begins_anew(folder: Path, metadynamics: Metadynamics) -> str:
    """Why a run that was to go on begins at its first step, and where the files of before are."""
    there = [name for pair in metadynamics.files for name in pair if (folder / name).is_file()]
    kept = f"; {', '.join(there)} of before {'are' if len(there) > 1 else 'is'} kept as bck.*" if there else ""
    return f"nothing was saved yet: the run begins anew, at step 0{kept}"


def refuse_other_state(path: Path, key: str, found: str) -> None:
    """Refuse to go on with a saved state whose key is that of another run.

    Raises:
        ValueError: the keys differ.
    """
    if found != key:
        raise ValueError(
            f"'{path}' must be of a run with the same model, structure, settings and version, got that of another; "
            "give the options it was begun with, or begin anew with --overwrite"
        )


def walker_files(folder: Path, engine: str, walkers: int) -> list[RunFiles]:
    """Files of each walker's run."""
    names = [engine] if walkers == 1 else [f"{engine}.{k}" for k in range(walkers)]
    return [RunFiles(folder, name) for name in names]


def run_metadynamics_in_ase(
    starts: Sequence[Atoms],
    calculator: Callable[[], Calculator],
    metadynamics: Metadynamics,
    settings: DynamicsSettings,
    folder: Path,
    *,
    limits: Limits | None = None,
    key: str = "",
    restart: bool = False,
    advance: Advance = silent,
    say: Say = quiet,
    seconds: float | None = None,
) -> list[Ended]:
    """Run, or go on with, biased dynamics of atoms that carry momenta; how each walker ended.

    Args:
        starts: the structure of each walker at the start.
        calculator: makes the calculator of the potential.
        metadynamics: the bias.
        settings: of the run.
        folder: receives the files.
        limits: what ends the run early.
        key: names the run; a state with another key is refused with `restart`, else replaced.
        restart: go on from the saved state, where there is one.
        advance: called with the number of steps made.
        say: called with a sentence that tells from where a run with `restart` goes on.
        seconds: between saved states, by default `SECONDS`; the first one is made at once.

    Raises:
        ValueError: see `DynamicsSettings.require`; settings that do not go with the variables, files or a saved state
            of others.
    """
    settings.require(starts[0])
    state = _saved(folder / STATE, key) if restart else None
    observers = [
        _biased(k, starts[k], calculator(), metadynamics, folder, state is not None) for k in range(len(starts))
    ]
    files = walker_files(folder, "ase", len(starts))
    runs = [
        AseRun(atoms, observer, settings, limits or Limits(), each, key, observer)
        for atoms, observer, each in zip(starts, observers, files, strict=True)
    ]
    several = _Several(runs, observers, metadynamics.bias.pace if len(runs) > 1 else None)
    if restart and state is None:
        say(begins_anew(folder, metadynamics))
    return several.finished(folder / STATE, state, advance, say, SECONDS if seconds is None else seconds)


def _biased(
    k: int, atoms: Atoms, calculator: Calculator, metadynamics: Metadynamics, folder: Path, restart: bool
) -> MetadynamicsCalculator:
    """The calculator of a walker."""
    prepare(calculator, atoms)
    hills, colvar = metadynamics.files[k]
    walkers = Walkers(folder, k, metadynamics.walkers, together=True) if metadynamics.walkers > 1 else None
    return MetadynamicsCalculator(
        calculator,
        metadynamics.cv,
        metadynamics.bias,
        hills=folder / hills,
        colvar=folder / colvar,
        colvar_every=metadynamics.every,
        group=metadynamics.indices(atoms),
        restart=restart,
        walkers=walkers,
        stopped=None,
    )


def _saved(path: Path, key: str) -> list[dict[str, Any]] | None:
    """The saved state of each walker, None where there is none; ValueError where it is that of another run."""
    if not path.is_file():
        return None
    arrays = read_arrays(path)
    count = int(arrays["walkers"])
    states = [
        {name.removeprefix(f"{k}:"): value for name, value in arrays.items() if name.startswith(f"{k}:")}
        for k in range(count)
    ]
    for state in states:
        refuse_other_state(path, key, str(state["key"]))
    return states


class _Several:
    """Runs that make their steps together, with hills exchanged at every multiple of the pace."""

    def __init__(self, runs: list[AseRun], observers: list[MetadynamicsCalculator], pace: int | None) -> None:
        self.runs, self.observers, self.pace = runs, observers, pace

    def finished(
        self, path: Path, state: list[dict[str, Any]] | None, advance: Advance, say: Say, seconds: float
    ) -> list[Ended]:
        """Make all steps that are left."""
        if state is not None and not all(run.restore(each) for run, each in zip(self.runs, state, strict=True)):
            raise ValueError(f"'{path}' must stand beside the trajectories of its run, got none; give --overwrite")
        if state is not None:
            for observer, each in zip(self.observers, state, strict=True):
                _require_hills(observer, int(each["hills"]))
            first, has_hills = self.runs[0], self.observers[0].bias.settings.has_hills
            count = sum(observer.deposition.count for observer in self.observers) if has_hills else None
            say(goes_on(first.step_number, first.settings.timestep, count))
        saved = -np.inf  # a run that is stopped early goes on, too
        with ThreadPoolExecutor(len(self.runs)) as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # atoms far outside of what a grid was prepared for: seen in what follows
            ended = [None] * len(self.runs) if state is not None else [run.begin() for run in self.runs]
            self._exchange()
            last = self.runs[0].settings.steps
            while not any(ended) and self.runs[0].step_number < last:
                if len(self.runs) == 1:
                    ended = [self.runs[0].block(self.pace)]
                else:
                    ended = list(pool.map(lambda run: run.block(self.pace), self.runs))
                self._exchange()
                advance(self.runs[0].step_number)
                if not any(ended) and time.monotonic() - saved >= seconds:
                    self._save(path)
                    saved = time.monotonic()
        if any(ended):
            for run, end in zip(self.runs, ended, strict=True):
                if end is not None:
                    run.write_stopped()
        else:
            self._save(path)
        return [end if end is not None else Ended(self.runs[0].step_number) for end in ended]

    def _exchange(self) -> None:
        if len(self.observers) > 1:
            for observer in self.observers:
                observer.deposition.exchange()

    def _save(self, path: Path) -> None:
        arrays: dict[str, Any] = {"walkers": len(self.runs)}
        for k, (run, observer) in enumerate(zip(self.runs, self.observers, strict=True)):
            arrays[f"{k}:hills"] = observer.deposition.own_count
            arrays |= {f"{k}:{name}": value for name, value in run.state().items()}
        write_arrays(path, **arrays)


def _require_hills(observer: MetadynamicsCalculator, saved: int) -> None:
    """Refuse to go on with fewer hills, or more, than the saved state had."""
    found = observer.deposition.own_count
    if observer.bias.settings.has_hills and found != saved:
        raise ValueError(
            f"'{observer.deposition.hills_path}' must hold the {saved} hills up to the saved step, got {found}; bring "
            "the file back, or begin anew with --overwrite"
        )
