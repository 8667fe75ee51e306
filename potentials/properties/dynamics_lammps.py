"""Molecular dynamics in LAMMPS that can be stopped and continued, with the files that a run in ASE leaves.

The input is that of `rhopot.potentials.lammps.dynamics`. When LAMMPS has ended, its dumps and logs become
`trajectory_lammps.extxyz` and `thermo_lammps.csv`, with positions unwrapped and in the axes of the structure.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.potentials.files import write_atomically, write_text
from rhopot.potentials.lammps.deformed_cells import stress_of
from rhopot.potentials.lammps.dynamics import (
    COMPARED,
    TAG,
    comparison_input,
    dynamics_input,
    how_it_ended,
    last_step,
    newest_restart,
    read_dump_frames,
    read_snapshots,
    read_thermo,
    remove_run,
)
from rhopot.potentials.lammps.dynamics_settings import THERMO, DynamicsSettings, Ended, Limits
from rhopot.potentials.lammps.input_decks import DataFile, write_data
from rhopot.potentials.lammps.process import LammpsError, run_lammps
from rhopot.potentials.properties.dynamics_ase import RunFiles, csv_row, write_frame
from rhopot.potentials.properties.engine import Advance, silent
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.units import Floats

LOOK = 0.5  # s between looks at how far LAMMPS is


class AddedLines(Protocol):
    """Lines of an input, for a structure as LAMMPS has it, at the start or where a run goes on (`restarted`)."""

    def __call__(self, data: DataFile, *, restarted: bool) -> Sequence[str]:
        """The lines."""
        ...


def nothing(data: DataFile, *, restarted: bool) -> Sequence[str]:
    """Add no lines."""
    return ()


def write_dynamics_input(
    engine: LammpsEngine,
    atoms: Atoms,
    settings: DynamicsSettings,
    limits: Limits | None = None,
    added: AddedLines = nothing,
) -> DataFile:
    """Write `in.STEM` and `STEM.data` of a run from its start; `added` gives lines after those of the integrator."""
    data = replace(write_data(engine.folder / f"{engine.stem}.data", atoms), path=Path(f"{engine.stem}.data"))
    text = dynamics_input(
        data, engine.pair, settings, limits or Limits(), engine.stem, added=added(data, restarted=False)
    )
    write_text(engine.folder / f"in.{engine.stem}", text)
    return data


def run_in_lammps(
    engine: LammpsEngine,
    atoms: Atoms,
    settings: DynamicsSettings,
    *,
    limits: Limits | None = None,
    key: str = "",
    advance: Advance = silent,
    added: AddedLines = nothing,
) -> Ended:
    """Run, or go on with, the dynamics of atoms that carry momenta (see `run_in_ase`).

    added: gives lines of the input after those of the integrator

    Raises:
        ValueError: see `DynamicsSettings.require`.
        LammpsError: LAMMPS stopped for another reason than those that `Ended` knows.
    """
    settings.require(atoms)
    limits = limits or Limits()
    folder, stem, files = engine.folder, engine.stem, RunFiles(engine.folder, "lammps")
    data = write_dynamics_input(engine, atoms, settings, limits, added)
    known = folder / f"{stem}.run"
    if not known.is_file() or known.read_text(encoding="utf-8") != key:
        remove_run(folder, stem)
        write_text(known, key)
    files.stopped.unlink(missing_ok=True)
    restart = newest_restart(folder, stem)
    if restart is None:
        remove_run(folder, stem)
    name = f"in.{stem}" if restart is None else f"in.{stem}.restart"
    lines = added(data, restarted=restart is not None)
    text = dynamics_input(data, engine.pair, settings, limits, stem, restart, lines)
    error = ""
    with watched(folder, stem, advance):
        try:
            run_lammps(text, folder, ranks=engine.ranks, name=name, timeout=None)
        except LammpsError as stopped:
            error, reason = str(stopped), stopped
    ended = how_it_ended(folder, stem, settings, limits, error.partition("rank(s): ")[2] or error)
    if ended is None:
        raise reason
    write_files(files, atoms, data, settings, stem, ended)
    return ended


def write_files(
    files: RunFiles, atoms: Atoms, data: DataFile, settings: DynamicsSettings, stem: str, ended: Ended
) -> None:
    """Turn dumps and logs into trajectory and table; the last frame is saved where the run was ended by a limit."""
    table = read_thermo(files.folder, stem, settings)
    energies = dict(zip(table[:, 0].astype(int), table[:, 3], strict=True))
    if ended.kind:
        table = table[table[:, 0] < ended.step] if ended.step else table

    def write(path: Path) -> None:
        path.touch()
        for snapshot in read_snapshots(files.folder, stem, data):
            frame = snapshot.applied(atoms)
            energy = energies.get(snapshot.step)
            if energy is not None:
                frame.calc = SinglePointCalculator(frame, energy=energy, forces=snapshot.forces)
            if ended.kind and snapshot.step >= ended.step > 0:
                write_atomically(files.stopped, lambda to, frame=frame: ase.io.write(to, frame, format="extxyz"))  # type: ignore[misc]
                break
            write_frame(path, frame, snapshot.step, settings)

    write_atomically(files.trajectory, write)
    if ended.kind and not files.stopped.is_file() and files.trajectory.stat().st_size:
        last = ase.io.read(files.trajectory, index=-1)
        write_atomically(files.stopped, lambda to: ase.io.write(to, last, format="extxyz"))
    rows = [csv_row([float(value) for value in row]) for row in table]
    write_text(files.thermo, ",".join(THERMO) + "\n" + "".join(rows))


def start_in_lammps(
    engine: LammpsEngine, atoms: Atoms, timestep_fs: float, steps: int
) -> tuple[float, Floats, Floats, Floats]:
    """Energy (eV), forces (N, 3) and stress (3, 3) in eV/A^3 of a structure, and displacements (N, 3) by NVE steps."""
    data = replace(write_data(engine.folder / f"{engine.stem}.data", atoms), path=Path(f"{engine.stem}.data"))
    text = comparison_input(data, engine.pair, timestep_fs, steps)
    run = run_lammps(text, engine.folder, ranks=engine.ranks, name=f"in.{engine.stem}", timeout=None)
    energy, *pressure, _ = run.printed(TAG)
    first, last = read_dump_frames(engine.folder / COMPARED, data)
    (engine.folder / COMPARED).unlink()
    return energy, first.forces, stress_of(np.array(pressure), data.rotation), last.positions - first.positions


@contextmanager
def watched(folder: Path, stem: str, advance: Advance) -> Iterator[None]:
    """Tell how far LAMMPS is while it runs."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK):
            advance(last_step(folder, stem))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
