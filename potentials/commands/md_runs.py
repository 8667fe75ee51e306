"""Carrying out dynamics in one engine or the other, for the commands that are made of it."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

from rhopot.potentials.commands.property_task import PropertyTask
from rhopot.potentials.lammps.dynamics import newest_restart
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Ended, Limits
from rhopot.potentials.properties.dynamics_ase import RunFiles, run_in_ase
from rhopot.potentials.properties.dynamics_lammps import run_in_lammps, write_dynamics_input
from rhopot.potentials.properties.engine import Advance
from rhopot.potentials.properties.lammps_engine import LammpsEngine

STEM = "md"  # of the files of LAMMPS


def lammps_in(task: PropertyTask, folder: Path) -> LammpsEngine:
    """LAMMPS that runs `in.md` in a folder."""
    assert task.potential.pair is not None
    folder.mkdir(parents=True, exist_ok=True)
    return LammpsEngine(task.potential.pair, folder, ranks=task.options.ranks, stem=STEM)


def write_input(task: PropertyTask, folder: Path, atoms: Atoms, settings: DynamicsSettings, limits: Limits) -> None:
    """Write the input of a run for LAMMPS, whichever engine runs it; said where there is none."""
    if task.potential.pair is not None:
        write_dynamics_input(lammps_in(task, folder), atoms, settings, limits)
    else:
        task.console.print("no LAMMPS input is written: the potential has no --pair-style")


def run_dynamics_in(
    task: PropertyTask,
    engine: str,
    folder: Path,
    atoms: Atoms,
    settings: DynamicsSettings,
    limits: Limits,
    advance: Advance,
) -> Ended:
    """Run, or go on with, the dynamics of atoms that carry momenta in an engine (`ase` or `lammps`)."""
    folder.mkdir(parents=True, exist_ok=True)
    key = task.kept.key
    try:
        if engine == "lammps":
            return run_in_lammps(lammps_in(task, folder), atoms, settings, limits=limits, key=key, advance=advance)
        assert task.potential.calculator is not None
        return run_in_ase(atoms, task.potential.calculator(), settings, folder, limits=limits, key=key, advance=advance)
    except KeyboardInterrupt as stop:
        saved = (
            newest_restart(folder, STEM) is not None if engine == "lammps" else RunFiles(folder, engine).state.is_file()
        )
        if saved:
            stop.add_note("the same command goes on from the last saved state")
        raise
