"""Dynamics in ASE: what ensembles conserve and average to, what ends a run, and that it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Limits, default_timestep
from rhopot.potentials.properties.dynamics_ase import RunFiles, read_table, run_in_ase
from rhopot.potentials.structures.velocities import thermal_momenta


class Einstein(Calculator):
    """Independent oscillators: E = k/2 sum |r - r0|^2. The canonical energies are known."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  (ASE's own design)

    def __init__(self, sites: np.ndarray, constant: float = 5.0) -> None:
        super().__init__()
        self.sites, self.constant = sites, constant

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        away = atoms.positions - self.sites
        self.results = {"energy": 0.5 * self.constant * float((away**2).sum()), "forces": -self.constant * away}


class Free(Calculator):
    """No energy at all."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def copper(kelvin: float = 300.0, repeat: int = 2) -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat(repeat)
    atoms.set_momenta(thermal_momenta(atoms, kelvin, 1))
    return atoms


def test_constant_energy_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    """Ended between two saved states: what came after the last one is computed again, and files hold it once."""
    settings = DynamicsSettings(ensemble="nve", steps=60, every=5, timestep=2.0)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    run_in_ase(copper(), EMT(), settings, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(step: int) -> None:
        if step == 35:
            raise Killed

    with pytest.raises(Killed):
        run_in_ase(copper(), EMT(), settings, tmp_path / "parts", advance=kill, seconds=0.0, key="a")
    assert len(read_table(RunFiles(tmp_path / "parts", "ase").thermo)["step"]) == 8
    steps: list[int] = []
    run_in_ase(copper(), EMT(), settings, tmp_path / "parts", advance=steps.append, key="a")

    assert steps[0] == 35
    whole, parts = (RunFiles(tmp_path / name, "ase") for name in ("whole", "parts"))
    first, second = read_table(whole.thermo), read_table(parts.thermo)
    assert second["step"].tolist() == list(range(0, 61, 5))
    assert second["potential_eV"] == pytest.approx(first["potential_eV"], abs=1e-10)
    frames = ase.io.read(parts.trajectory, index=":")
    expected = ase.io.read(whole.trajectory, index=":")
    assert len(frames) == 13
    assert frames[-1].positions == pytest.approx(expected[-1].positions, abs=2e-8)
    assert frames[-1].get_momenta() == pytest.approx(expected[-1].get_momenta(), abs=2e-8)


@pytest.mark.parametrize("barostat", ["isotropic", "anisotropic", "full"])
def test_thermostat_and_barostat_go_on(tmp_path: Path, barostat: str) -> None:
    """Their momenta are part of the state: also this run is the uninterrupted one."""
    settings = DynamicsSettings(ensemble="npt", barostat=barostat, steps=20, every=5, timestep=4.0, pressure=1.0)
    (tmp_path / "whole").mkdir()
    run_in_ase(copper(300.0, 1), EMT(), settings, tmp_path / "whole")
    half = DynamicsSettings(ensemble="npt", barostat=barostat, steps=10, every=5, timestep=4.0, pressure=1.0)
    run_in_ase(copper(300.0, 1), EMT(), half, tmp_path)
    run_in_ase(copper(300.0, 1), EMT(), settings, tmp_path)

    whole, parts = (read_table(RunFiles(folder, "ase").thermo) for folder in (tmp_path / "whole", tmp_path))
    for column in ("conserved_eV", "volume_A3", "temperature_K", "a_A", "alpha_deg"):
        assert parts[column] == pytest.approx(whole[column], rel=1e-9), column


@pytest.mark.parametrize(
    ("ensemble", "barostat"),
    [("nve", "isotropic"), ("nvt", "isotropic"), ("npt", "isotropic"), ("npt", "anisotropic"), ("npt", "full")],
)
def test_the_conserved_quantity_is_conserved(tmp_path: Path, ensemble: str, barostat: str) -> None:
    """While the total energy is not, save at constant energy."""
    settings = DynamicsSettings(
        ensemble=ensemble, barostat=barostat, steps=200, every=5, timestep=2.0, pressure=2.0, temperature=(300.0, 300.0)
    )
    run_in_ase(copper(600.0, 1), EMT(), settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    assert np.ptp(table["conserved_eV"]) / 4 < 5e-4
    assert (np.ptp(table["total_eV"]) / 4 > 5e-3) == (ensemble != "nve")
    assert np.ptp(table["volume_A3"]) > 0.05 or ensemble != "npt"


@pytest.mark.parametrize("barostat", ["isotropic", "full", "z"])
def test_the_enthalpy_is_conserved(tmp_path: Path, barostat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """E + P V and the kinetic energy of the barostat: no thermostat takes a part."""
    monkeypatch.setattr("rhopot.potentials.properties.integrators.BAROSTAT_STEPS", 80)
    settings = DynamicsSettings(ensemble="nph", barostat=barostat, steps=400, every=5, timestep=1.0, pressure=2.0)
    run_in_ase(copper(600.0, 1), EMT(), settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    barostat_energy = table["conserved_eV"] - table["total_eV"] - 2.0 * units.GPa * table["volume_A3"]
    assert barostat_energy[0] == pytest.approx(0.0, abs=1e-9)
    assert barostat_energy.max() > 0.01
    assert np.ptp(table["total_eV"]) > 0.03
    assert np.ptp(table["conserved_eV"]) < 0.04 * np.ptp(table["total_eV"])
    assert np.ptp(table["c_A"]) > 0.05
    assert (np.ptp(table["a_A"]) == 0.0) == (barostat == "z")


def test_atoms_that_are_held_rest(tmp_path: Path) -> None:
    """The others have the temperature of the thermostat, with the degrees of freedom that are left."""
    atoms = copper(500.0, 2)
    momenta = atoms.get_momenta()
    momenta[:12] = 0.0
    atoms.set_momenta(momenta)
    calculator = Einstein(atoms.positions.copy())
    settings = DynamicsSettings(temperature=(500.0, 500.0), steps=2000, every=10, timestep=5.0, held=12)
    run_in_ase(atoms, calculator, settings, tmp_path)
    files = RunFiles(tmp_path, "ase")
    table, last = read_table(files.thermo), ase.io.read(files.trajectory, index=-1)
    assert table["temperature_K"][40:].mean() == pytest.approx(500.0, rel=0.03)
    assert np.ptp(table["conserved_eV"]) < 0.02 * table["kinetic_eV"].mean()
    moved = np.linalg.norm(last.positions - atoms.positions, axis=1)
    assert moved[:12].max() == 0.0
    assert moved[12:].min() > 1e-3
    assert len(last.constraints) == 0


def test_canonical_energies_of_oscillators(tmp_path: Path) -> None:
    """<T> is the target with 3 N - 3 degrees of freedom, and as many modes have a potential energy of k T/2 each.

    Oscillators are not coupled to each other, the chain of thermostats alone mixes them.
    """
    atoms = copper(500.0)
    calculator = Einstein(atoms.positions.copy())
    settings = DynamicsSettings(ensemble="nvt", temperature=(500.0, 500.0), steps=2000, every=10, timestep=5.0)
    run_in_ase(atoms, calculator, settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    assert table["temperature_K"][40:].mean() == pytest.approx(500.0, rel=0.03)
    assert table["potential_eV"][40:].mean() == pytest.approx(0.5 * 93 * units.kB * 500.0, rel=0.1)


def test_a_ramp_is_followed(tmp_path: Path) -> None:
    atoms = copper(200.0)
    calculator = Einstein(atoms.positions.copy())
    atoms.rattle(np.sqrt(units.kB * 200.0 / calculator.constant), seed=1)  # else all oscillators keep one phase
    settings = DynamicsSettings(ensemble="nvt", temperature=(200.0, 1000.0), steps=2000, every=10, timestep=5.0)
    run_in_ase(atoms, calculator, settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    parts = [part.mean() for part in np.split(table["temperature_K"][1:], 4)]
    assert parts == pytest.approx([300.0, 500.0, 700.0, 900.0], rel=0.2)  # the thermostat takes its time to follow


@pytest.mark.parametrize("barostat", ["isotropic", "full"])
def test_volume_of_an_ideal_gas(tmp_path: Path, barostat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """<P> is the target, and with the center of mass at rest <V> = N k T / P; begun at twice that volume.

    Not along three axes alone: there, nothing exchanges energy between the axes of an ideal gas.
    """
    monkeypatch.setattr("rhopot.potentials.properties.integrators.BAROSTAT_STEPS", 50)
    kelvin, pressure, n = 300.0, 0.5, 60
    expected = n * units.kB * kelvin / (pressure * units.GPa)
    rng = np.random.default_rng(0)
    atoms = Atoms(f"Ar{n}", cell=[(2.0 * expected) ** (1 / 3)] * 3, pbc=True)
    atoms.set_scaled_positions(rng.uniform(size=(n, 3)))
    atoms.set_momenta(thermal_momenta(atoms, kelvin, 2))
    settings = DynamicsSettings(
        ensemble="npt",
        barostat=barostat,
        pressure=pressure,
        temperature=(kelvin, kelvin),
        steps=1500,
        every=5,
        timestep=5.0,
    )
    run_in_ase(atoms, Free(), settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    assert table["volume_A3"][0] == pytest.approx(2.0 * expected)
    assert table["volume_A3"][60:].mean() == pytest.approx(expected, rel=0.1)
    assert table["pressure_GPa"][60:].mean() == pytest.approx(pressure, rel=0.2)
    assert table["temperature_K"][60:].mean() == pytest.approx(kelvin, rel=0.05)


def test_a_closest_approach_ends_the_run(tmp_path: Path) -> None:
    """Two atoms that fly at each other; the frame at which they were too close is saved."""
    atoms = bulk("Cu", cubic=True).repeat(2)
    momenta = np.zeros((32, 3))
    toward = atoms.get_distance(0, 1, mic=True, vector=True)
    momenta[0], momenta[1] = 60.0 * toward, -60.0 * toward
    atoms.set_momenta(momenta)
    settings = DynamicsSettings(ensemble="nve", steps=200, every=1, timestep=1.0)

    ended = run_in_ase(atoms, EMT(), settings, tmp_path, limits=Limits({"Cu-Cu": 2.0}))

    assert ended.kind == "closest"
    assert ended.reason == "two atoms Cu-Cu are closer than 2 A"
    frame = ase.io.read(tmp_path / "stopped_ase.extxyz")
    assert frame.get_distance(0, 1, mic=True) < 2.0
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    assert table["step"].tolist() == list(range(ended.step))


def test_atoms_that_leave_are_lost(tmp_path: Path) -> None:
    water = molecule("H2O")
    momenta = np.zeros((3, 3))
    momenta[1, 2] = 10.0
    water.set_momenta(momenta)

    settings = DynamicsSettings(ensemble="nve", steps=2000, every=1, timestep=1.0)
    ended = run_in_ase(water, Free(), settings, tmp_path)
    velocity = 10.0 / water.get_masses()[1] * units.fs
    extent = water.positions[:, 2].max() - water.positions[1, 2]
    assert ended.kind == "lost"
    assert ended.step == int(np.ceil((10.0 + extent) / velocity))


def test_numbers_that_are_not_finite_end_the_run(tmp_path: Path) -> None:
    class Broken(Einstein):
        def calculate(self, *arguments, **keywords) -> None:  # type: ignore[no-untyped-def]
            super().calculate(*arguments, **keywords)
            if self.results["energy"] > 0.03:
                self.results["energy"] = np.nan

    atoms = copper(600.0, 1)
    settings = DynamicsSettings(ensemble="nve", steps=500, every=2, timestep=2.0)
    ended = run_in_ase(atoms, Broken(atoms.positions.copy()), settings, tmp_path)
    assert ended.kind == "nan"
    assert 0 < ended.step < 500
    assert np.isfinite(ase.io.read(tmp_path / "stopped_ase.extxyz").positions).all()


def test_another_run_in_the_folder_begins_anew(tmp_path: Path) -> None:
    settings = DynamicsSettings(ensemble="nve", steps=10, every=5, timestep=2.0)
    run_in_ase(copper(), EMT(), settings, tmp_path, key="one")
    steps: list[int] = []
    run_in_ase(copper(), EMT(), settings, tmp_path, key="another", advance=steps.append)
    assert steps == [5, 10]


def test_a_state_does_not_outlive_the_files_of_its_run(tmp_path: Path) -> None:
    """Another run that is stopped before it has a state of its own has replaced them."""
    settings = DynamicsSettings(ensemble="nve", steps=10, every=5, timestep=2.0)
    run_in_ase(copper(repeat=1), EMT(), settings, tmp_path, key="one")

    def stop(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_ase(copper(repeat=1), EMT(), settings, tmp_path, key="another", advance=stop)
    run_in_ase(copper(repeat=1), EMT(), settings, tmp_path, key="one")
    assert read_table(RunFiles(tmp_path, "ase").thermo)["step"].tolist() == [0, 5, 10]


def test_the_default_time_step_follows_the_lightest_atom() -> None:
    assert [default_timestep(Atoms(symbols)) for symbols in ("SiH", "LiSi", "OSi", "Si")] == [0.5, 1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ensemble": "nvp"}, "ensemble must be nve, nvt, npt or nph, got 'nvp'"),
        ({"barostat": "iso"}, "barostat must be isotropic, anisotropic, full or z, got 'iso'"),
        ({"temperature": (300.0, -1.0)}, r"temperature must be one or two positive numbers in K, got 300, -1;"),
        ({"timestep": 0.0}, "timestep must lie between 0 and 20 fs, got 0"),
        ({"steps": 5}, "steps must be at least every, and every at least 1, got steps 5 and every 10"),
        ({"ensemble": "nve", "temperature": (1.0, 2.0)}, "temperature must be one number at constant energy"),
        ({"ensemble": "nph", "temperature": (1.0, 2.0)}, "temperature must be one number at constant energy or enth"),
        ({"ensemble": "npt", "held": 4}, "held must be 0 except with nvt, got 4 with npt; use nvt"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DynamicsSettings(**settings)


def test_structures_that_cannot_be_run_are_refused() -> None:
    npt = DynamicsSettings(ensemble="npt", barostat="anisotropic")
    with pytest.raises(ValueError, match="must hold two atoms or more for dynamics, got 1; repeat it"):
        npt.require(bulk("Cu"))
    with pytest.raises(ValueError, match="must be periodic in three directions at constant pressure"):
        npt.require(molecule("H2O"))
    with pytest.raises(ValueError, match="barostat anisotropic must have a cell of right angles, got 60, 60, 60"):
        npt.require(bulk("Cu").repeat(2))
    fixed = copper()
    fixed.set_constraint(FixAtoms([0]))
    with pytest.raises(ValueError, match="structure must have no constraints for dynamics"):
        npt.require(fixed)


def test_langevin_thermostat_holds_the_center_of_mass(tmp_path: Path) -> None:
    """Kinetic and potential energy are (3 N - 3)/2 k_B T each; the center of mass, of equal oscillators, is no part."""
    atoms = copper(300.0)
    settings = DynamicsSettings(steps=6000, every=10, timestep=4.0, thermostat="langevin")
    run_in_ase(atoms, Einstein(atoms.positions.copy()), settings, tmp_path)
    table = read_table(RunFiles(tmp_path, "ase").thermo)
    late = table["step"] > 1000
    expected = 0.5 * (3 * len(atoms) - 3) * units.kB * 300.0
    assert table["temperature_K"][late].mean() == pytest.approx(300.0, rel=0.05)
    assert table["potential_eV"][late].mean() == pytest.approx(expected, rel=0.05)
    last = ase.io.read(tmp_path / "trajectory_ase.extxyz", index=-1)
    assert last.get_center_of_mass() == pytest.approx(atoms.get_center_of_mass(), abs=1e-9)


def test_langevin_thermostat_needs_nvt() -> None:
    with pytest.raises(ValueError, match="thermostat langevin must go with nvt and no atoms held, got npt"):
        DynamicsSettings(ensemble="npt", thermostat="langevin")
    with pytest.raises(ValueError, match="thermostat must be nose-hoover or langevin, got 'berendsen'"):
        DynamicsSettings(thermostat="berendsen")
