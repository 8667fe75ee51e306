"""Inputs of DFT programs: structures come back from them, meshes follow the cell, open directions have one point."""

from __future__ import annotations

import ast
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from rhopot.potentials.harvesting.inputs import SPACING, mesh, write_inputs

FILES = {"vasp": "POSCAR", "espresso": "espresso.pwi", "gpaw": "structure.xyz"}


@pytest.fixture
def compound() -> Atoms:
    atoms = bulk("LiF", "rocksalt", a=4.0, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.set_constraint(FixAtoms([0, 3]))
    return atoms


@pytest.mark.parametrize("program", FILES)
def test_structures_come_back(program: str, compound: Atoms, tmp_path: Path) -> None:
    folders = write_inputs(program, [bulk("Si"), compound], tmp_path)
    assert [folder.name for folder in folders] == ["0000", "0001"]
    read = ase.io.read(folders[1] / FILES[program])
    assert sorted(read.get_chemical_symbols()) == sorted(compound.get_chemical_symbols())
    assert np.sort(read.get_all_distances(mic=True).ravel()) == pytest.approx(
        np.sort(compound.get_all_distances(mic=True).ravel()), abs=1e-5
    )
    assert read.cell.array == pytest.approx(compound.cell.array, abs=1e-6)


def test_k_points_are_as_dense_as_stated() -> None:
    atoms = bulk("Si", a=5.43, cubic=True)
    counts = mesh(atoms)
    assert counts == (5, 5, 5), "2 pi / 5.43 / 0.25 = 4.63"
    assert 2 * np.pi / 5.43 / counts[0] <= SPACING
    water = molecule("H2O", vacuum=5.0)
    assert mesh(water) == (1, 1, 1)


def test_vasp_has_the_same_mesh_and_no_steps(tmp_path: Path) -> None:
    write_inputs("vasp", [bulk("Si", a=5.43, cubic=True)], tmp_path)
    assert "5 5 5" in (tmp_path / "0000" / "KPOINTS").read_text()
    assert "NSW = 0" in (tmp_path / "0000" / "INCAR").read_text()


@pytest.mark.parametrize("program", FILES)
def test_labels_belong_to_the_structure_beside_the_input(program: str, tmp_path: Path) -> None:
    """In the order of the input, with what labels must not lose: held atoms and the group."""
    atoms = Atoms("SiLiSiLi", positions=np.diag([1.0, 2.0, 3.0, 4.0])[:, :3], cell=[9.0] * 3, pbc=True)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.info["path"] = "harvest_a"
    (folder,) = write_inputs(program, [atoms], tmp_path)
    there, read = ase.io.read(folder / "structure.xyz"), ase.io.read(folder / FILES[program])
    assert there.info["path"] == "harvest_a"
    assert list(there.symbols) == ["Li", "Li", "Si", "Si"]
    assert read.positions == pytest.approx(there.positions, abs=1e-6)
    held = there.positions[there.constraints[0].index]
    assert sorted(map(tuple, held)) == sorted(map(tuple, atoms.positions[:2]))


def test_folders_of_other_structures_are_not_mixed(tmp_path: Path) -> None:
    silicon, other = bulk("Si"), bulk("Si", a=5.5)
    write_inputs("gpaw", [silicon, other], tmp_path)
    write_inputs("gpaw", [silicon, other], tmp_path)
    for frames in ([silicon], [other, silicon]):
        with pytest.raises(ValueError, match="--write must be given a folder without other structures, got"):
            write_inputs("gpaw", frames, tmp_path)


def test_script_of_gpaw_is_python(tmp_path: Path) -> None:
    write_inputs("gpaw", [bulk("Si")], tmp_path)
    ast.parse((tmp_path / "0000" / "label.py").read_text())


def test_unknown_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--write must be one of vasp, espresso, gpaw, got 'abinit'; choose one"):
        write_inputs("abinit", [bulk("Si")], tmp_path)
