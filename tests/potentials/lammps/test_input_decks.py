"""Data files and decks: geometry survives the rotation into LAMMPS' frame; logs are read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.io import read
from ase.md.verlet import VelocityVerlet

from rhopot.export import RhopotCalculator
from rhopot.potentials.lammps.input_decks import header, npt, number, nve, nvt, write_data
from rhopot.potentials.lammps.process import LammpsError, LammpsRun, read_dump, run_lammps

SKEWED = np.array([[1.0, 0.1, 0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 1.0]])


@pytest.mark.parametrize("handed", [1.0, -1.0], ids=["right-handed", "left-handed"])
def test_a_triclinic_cell_survives(tmp_path: Path, handed: float) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.set_cell(atoms.cell.array @ SKEWED @ np.diag([1.0, 1.0, handed]), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    atoms.set_velocities(np.random.default_rng(0).normal(size=(8, 3)))
    data = write_data(tmp_path / "a.data", atoms, ("Cl", "Na"))
    back = read(data.path, format="lammps-data", units="metal")
    np.testing.assert_allclose(back.cell.array @ data.rotation, atoms.cell.array, atol=1e-13)
    np.testing.assert_allclose(back.positions @ data.rotation, atoms.positions, atol=1e-13)
    np.testing.assert_allclose(back.get_velocities() @ data.rotation, atoms.get_velocities(), rtol=1e-6)
    assert np.linalg.det(data.rotation) == pytest.approx(handed)
    assert back.get_chemical_symbols() == atoms.get_chemical_symbols()


def test_open_directions_get_a_box_around_the_atoms(tmp_path: Path) -> None:
    atoms = molecule("CH3CH2OH")
    data = write_data(tmp_path / "a.data", atoms)
    back = read(data.path, format="lammps-data")
    np.testing.assert_allclose(back.get_all_distances(), atoms.get_all_distances(), atol=1e-12)
    assert (back.positions.min(axis=0) >= 9.9).all()
    assert "boundary f f f" in header(data, "m.pt")


def test_missing_element_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="symbols must name every element of the structure"):
        write_data(tmp_path / "a.data", bulk("Si"), ("Ge",))


def test_isotopes_become_types(tmp_path: Path) -> None:
    atoms = bulk("LiH", "rocksalt", a=4.08, cubic=True)
    atoms.set_masses([6.015, 1.008, 7.016, 2.014, 7.016, 1.008, 7.016, 3.016])
    atoms.set_velocities(np.random.default_rng(0).normal(size=(8, 3)))
    data = write_data(tmp_path / "a.data", atoms, ("Si", "Li", "H"))
    assert data.symbols == ("Si", "Li", "H", "Li", "H", "H")
    assert "pair_coeff * * m.pt Si Li H Li H H" in header(data, "m.pt")
    back = read(data.path, format="lammps-data", units="metal")
    np.testing.assert_allclose(back.get_masses(), atoms.get_masses(), rtol=1e-8)
    np.testing.assert_allclose(back.get_momenta() @ data.rotation, atoms.get_momenta(), rtol=1e-6)
    atoms.set_masses([0.0] * 8)
    with pytest.raises(ValueError, match=r"masses must be positive, got 0\.0 for atom 0; set_masses of the structure"):
        write_data(tmp_path / "a.data", atoms)


@pytest.mark.parametrize("family", ["soap_linear", "scattering"])
def test_isotopes_move_as_in_ase(family: str, trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    atoms = toy.crystal((1, 1, 1))
    lithium = np.flatnonzero(atoms.symbols == "Li")
    atoms.set_masses([6.015 if k == lithium[0] else mass for k, mass in enumerate(atoms.get_masses())])
    atoms.set_velocities(0.01 * np.random.default_rng(4).standard_normal(atoms.positions.shape))
    data = write_data(tmp_path / "a.data", atoms)
    deck = nve(data, trained_model(family), timestep_fs=1.0, steps=12)
    end = f"write_dump all custom {tmp_path / 'end'} id xu yu zu modify sort id format float %.17g\n"
    run_lammps(deck + end, tmp_path)
    atoms.calc = RhopotCalculator(trained_model(family))
    VelocityVerlet(atoms, timestep=1.0 * units.fs).run(12)
    np.testing.assert_allclose(
        read_dump(tmp_path / "end", ("xu", "yu", "zu")) @ data.rotation, atoms.positions, atol=1e-6
    )


def test_decks_run_in_lammps_with_another_pair_style(tmp_path: Path) -> None:
    """The lines around the pair style are those LAMMPS wants: they run with lj/cut in its place."""
    data = write_data(tmp_path / "a.data", bulk("Ar", "fcc", a=5.3, cubic=True).repeat(3))
    for deck in (
        nvt(data, "m.pt", temperature=50, timestep_fs=2, steps=20, every=10),
        npt(data, "m.pt", temperature=50, pressure_bar=1, timestep_fs=2, steps=20, every=10),
    ):
        text = deck.replace("pair_style rhopot", "pair_style lj/cut 7.0").replace("* * m.pt Ar", "* * 0.0104 3.4")
        thermo = run_lammps(text, tmp_path).thermo()
        assert thermo["Step"].tolist() == [0, 10, 20]
        assert thermo["Temp"][0] == pytest.approx(50.0)


def test_failures_carry_the_reason_of_lammps(tmp_path: Path) -> None:
    with pytest.raises(LammpsError, match=r"on 1 rank\(s\): ERROR: .*nonsense"):
        run_lammps("pair_style nonsense\n", tmp_path)


def test_a_program_that_dies_is_told_by_its_signal(tmp_path: Path) -> None:
    dying = ["bash", "-c", "echo reading; kill -SEGV $$"]
    with pytest.raises(LammpsError, match=r"on 1 rank\(s\): signal SIGSEGV after 'reading'"):
        run_lammps("units metal\n", tmp_path, lmp=dying)


def test_logs_without_results_are_refused() -> None:
    run = LammpsRun("nothing here")
    for read_back in (run.thermo, run.loop_time, lambda: run.printed("tag")):
        with pytest.raises(ValueError, match="the LAMMPS output must hold"):
            read_back()


def test_numbers_keep_all_digits() -> None:
    for value in (1 / 3, units.fs, 1e-300):
        assert float(number(value)) == value
