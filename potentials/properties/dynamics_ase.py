"""Molecular dynamics in ASE that can be stopped at any moment and continued.

trajectory_ase.extxyz   frames every so many steps: unwrapped positions (A), momenta and forces, appended
thermo_ase.csv          one row for each frame, columns `THERMO`
state_ase.npz           everything the next step depends on, and the sizes of the two files at that moment; they are
                        cut to them when a run goes on
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from rhopot.export.metadynamics import MetadynamicsStopped
from rhopot.potentials.files import read_arrays, write_arrays, write_atomically
from rhopot.potentials.lammps.dynamics_settings import THERMO, DynamicsSettings, Ended, Limits
from rhopot.potentials.lammps.input_decks import lammps_frame
from rhopot.potentials.pair import pair_too_close
from rhopot.potentials.properties.engine import Advance, prepare, silent
from rhopot.potentials.properties.integrators import Integrator
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats

SECONDS = 5.0  # between saved states


@dataclass(frozen=True)
class RunFiles:
    """Files of a run of one engine in a folder."""

    folder: Path
    engine: str

    @property
    def trajectory(self) -> Path:
        """Frames, extended XYZ."""
        return self.folder / f"trajectory_{self.engine}.extxyz"

    @property
    def thermo(self) -> Path:
        """Table of the run."""
        return self.folder / f"thermo_{self.engine}.csv"

    @property
    def state(self) -> Path:
        """What the run goes on from."""
        return self.folder / f"state_{self.engine}.npz"

    @property
    def stopped(self) -> Path:
        """The frame at which a limit ended the run."""
        return self.folder / f"stopped_{self.engine}.extxyz"


def run_in_ase(
    atoms: Atoms,
    calculator: Calculator,
    settings: DynamicsSettings,
    folder: Path,
    *,
    limits: Limits | None = None,
    key: str = "",
    advance: Advance = silent,
    seconds: float | None = None,
) -> Ended:
    """Run, or go on with, the dynamics of atoms that carry momenta.

    Args:
        atoms: the structure at the start.
        calculator: gives energies, forces and, at constant pressure, stresses.
        settings: of the run.
        folder: receives the files above.
        limits: what ends the run early.
        key: names the run; a state with another key is not continued.
        advance: called with the number of steps made.
        seconds: between saved states, by default `SECONDS`.

    Raises:
        ValueError: see `DynamicsSettings.require`.
    """
    settings.require(atoms)
    run = AseRun(atoms, calculator, settings, limits or Limits(), RunFiles(folder, "ase"), key)
    return run.finished(advance, SECONDS if seconds is None else seconds)


class Observer(Protocol):
    """Sees every step of a run: a bias that adds hills."""

    def begin(self, step: int, timestep: float) -> None:
        """The run begins at a step, with time steps of `timestep` fs."""
        ...

    def after_step(self, step: int, atoms: Atoms) -> None:
        """A step has been made; the first one is that of `begin`."""
        ...


class AseRun:
    """One run of dynamics, in blocks of steps.

    observer: sees every step
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: Calculator,
        settings: DynamicsSettings,
        limits: Limits,
        files: RunFiles,
        key: str,
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer
        self.moving, self.settings, self.limits, self.files, self.key = atoms.copy(), settings, limits, files, key
        prepare(calculator, self.moving)
        self.moving.calc = calculator
        if settings.held:
            self.moving.set_constraint(FixAtoms(range(settings.held)))
        self.walls = _Walls(atoms)
        self.integrator = Integrator(self.moving, settings)
        self.sigma = np.nan

    def finished(self, advance: Advance, seconds: float) -> Ended:
        """Make all steps that are left."""
        ended = None if self._restored() else self.begin()
        saved = time.monotonic()
        while ended is None and self.step_number < self.settings.steps:
            with warnings.catch_warnings():
                # Atoms far outside of what a grid was prepared for, overflows: seen in what follows.
                warnings.simplefilter("ignore")
                ended = self.block()
            advance(self.step_number)
            if ended is None and time.monotonic() - saved >= seconds:
                self._save()
                saved = time.monotonic()
        if ended is not None:
            self.write_stopped()
            return ended
        self._save()
        return Ended(self.settings.steps)

    @property
    def step_number(self) -> int:
        """Steps made so far."""
        return self.integrator.step_number

    def begin(self) -> Ended | None:
        """Begin with empty files; how the run ended at its start, None where it goes on."""
        self._clear()
        if self.observer is not None:
            self.observer.begin(0, self.settings.timestep)
        ended = self._look()
        if ended is None:
            self._see()
            self._record()
        return ended

    def write_stopped(self) -> None:
        """Write the frame at which the run has ended."""
        frame = self.moving if np.isfinite(self.moving.positions).all() else self.last
        frame = frame.copy()
        frame.set_constraint()
        write_atomically(self.files.stopped, lambda path: ase.io.write(path, frame, format="extxyz"))

    def block(self, pace: int | None = None) -> Ended | None:
        """Steps to the next frame or multiple of `pace`; how the run ended there, None where it goes on."""
        self.last = self.moving.copy()
        step, every = self.step_number, self.settings.every
        count = min(every - step % every, self.settings.steps - step, *([] if pace is None else [pace - step % pace]))
        try:
            for _ in range(count):
                self.integrator.step()
                self._see()
            ended = self._look()
        except MetadynamicsStopped as stopped:
            return Ended(stopped.step, stopped.kind, stopped.reason)
        except (ValueError, RuntimeError, FloatingPointError, np.linalg.LinAlgError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return Ended(self.integrator.step_number, "nan", f"the potential cannot be evaluated ({reason})")
        if ended is None and self.integrator.step_number % every == 0:
            self._record()
        return ended

    def _see(self) -> None:
        if self.observer is not None:
            self.observer.after_step(self.step_number, self.moving)

    def _look(self) -> Ended | None:
        """What ends the run in this state."""
        step, atoms = self.integrator.step_number, self.moving
        if not (np.isfinite(atoms.get_potential_energy()) and np.isfinite(atoms.get_momenta()).all()):
            return Ended(step, "nan", "the energy or a velocity is not a finite number")
        if self.walls.passed(atoms):
            return Ended(step, "lost", "an atom is more than 10 A outside of the extent of the atoms at the start")
        pair = pair_too_close(atoms, self.limits.closest)
        if pair is not None:
            return Ended(step, "closest", f"two atoms {pair} are closer than {self.limits.closest[pair]:.3g} A")
        if self.limits.uncertainty is not None:
            self.sigma = float(np.max(atoms.calc.get_property("forces_uncertainty", atoms)))
            if not self.sigma <= self.limits.uncertainty:
                words = f"the largest force uncertainty is {self.sigma:.3g} eV/A, above {self.limits.uncertainty:g}"
                return Ended(step, "uncertain", words)
        return None

    def _record(self) -> None:
        """Append a frame and a row."""
        atoms, step = self.moving, self.integrator.step_number
        potential, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
        bulk = all(atoms.pbc)
        results = {"energy": potential, "forces": atoms.get_forces(apply_constraint=False)}
        pressure, volume = np.nan, atoms.get_volume() if bulk else np.nan
        if bulk and "stress" in atoms.calc.implemented_properties:
            results["stress"] = atoms.get_stress()
            stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
            pressure = -float(np.trace(stress)) / 3.0 * GPA_PER_EV_PER_CUBIC_ANGSTROM
        frame = atoms.copy()
        frame.set_constraint()
        frame.calc = SinglePointCalculator(frame, **results)
        write_frame(self.files.trajectory, frame, step, self.settings)
        row = [
            step,
            step * self.settings.timestep / 1000.0,
            self.integrator.temperature(),
            potential,
            kinetic,
            potential + kinetic,
            self.integrator.conserved(),
            pressure,
            volume,
            *atoms.cell.cellpar(),
            self.sigma,
        ]
        with self.files.thermo.open("a", encoding="utf-8") as file:
            file.write(csv_row(row))

    def _clear(self) -> None:
        self.files.state.unlink(missing_ok=True)  # of another run, whose files go with it
        self.files.trajectory.unlink(missing_ok=True)
        self.files.stopped.unlink(missing_ok=True)
        self.files.thermo.write_text(",".join(THERMO) + "\n", encoding="utf-8")

    def _save(self) -> None:
        write_arrays(self.files.state, **self.state())

    def state(self) -> dict[str, Any]:
        """Everything the run goes on from, by name."""
        sizes = [self.files.trajectory.stat().st_size, self.files.thermo.stat().st_size]
        return {"key": self.key, "sizes": sizes, **self.integrator.state()}

    def _restored(self) -> bool:
        """Go back to the saved state; False where there is none of this run."""
        if not self.files.state.is_file():
            return False
        return self.restore(read_arrays(self.files.state))

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Go back to a state; False where it is that of another run."""
        files = [self.files.trajectory, self.files.thermo]
        if str(state["key"]) != self.key or not all(file.is_file() for file in files):
            return False
        self.integrator.restore(dict(state))
        for file, size in zip(files, state["sizes"], strict=True):
            os.truncate(file, int(size))
        if self.observer is not None:
            self.observer.begin(self.step_number, self.settings.timestep)
        return True


class _Walls:
    """The box that LAMMPS puts around open directions (`write_data`): atoms outside of it are lost."""

    def __init__(self, atoms: Atoms) -> None:
        self.open = ~np.asarray(atoms.pbc)
        if self.open.any():
            boxed, self.rotation = lammps_frame(atoms)
            self.shift = boxed.positions[0] - atoms.positions[0] @ self.rotation.T
            self.inverse = np.linalg.inv(boxed.cell.array)

    def passed(self, atoms: Atoms) -> bool:
        """True where an atom is outside in an open direction."""
        if not self.open.any():
            return False
        fractions = (atoms.positions @ self.rotation.T + self.shift) @ self.inverse
        return bool(((fractions < 0.0) | (fractions > 1.0))[:, self.open].any())


def write_frame(path: Path, frame: Atoms, step: int, settings: DynamicsSettings) -> None:
    """Append a frame to an extended XYZ file, with its step and time (ps)."""
    frame.info = {"step": step, "time": step * settings.timestep / 1000.0}
    with path.open("a", encoding="utf-8") as file:
        ase.io.write(file, frame, format="extxyz")


def csv_row(row: list[float]) -> str:
    """A line of the table; what is not known stays empty."""
    words = [f"{row[0]:.0f}", *("" if np.isnan(value) else f"{value:.15g}" for value in row[1:])]
    return ",".join(words) + "\n"


def read_table(path: Path) -> dict[str, Floats]:
    """Columns of a table by name; NaN where a field is empty."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [[float(word) if word else np.nan for word in line.split(",")] for line in lines[1:]]
    columns = lines[0].split(",")
    return dict(zip(columns, np.array(rows).reshape(len(rows), len(columns)).T, strict=True))
