"""Inputs of DFT programs: structures come back from them, meshes follow the cell, open directions have one point."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms
from ase.units import GPa, create_units

from rhopot.potentials.harvesting.inputs import SPACING, mesh, write_inputs
from rhopot.potentials.structures import read_frames

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
    assert "5 5 5" in (tmp_path / "vasp" / "0000" / "KPOINTS").read_text()
    assert "NSW = 0" in (tmp_path / "vasp" / "0000" / "INCAR").read_text()


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
    write_inputs("vasp", [silicon, other], tmp_path)
    for program in FILES:
        for frames in ([silicon], [other, silicon], []):
            with pytest.raises(ValueError, match="output must be a folder without inputs of other structures, got"):
                write_inputs(program, frames, tmp_path)
    assert not (tmp_path / "espresso").exists()


@pytest.mark.parametrize("program", FILES)
def test_scripts_are_python(program: str, tmp_path: Path) -> None:
    (folder,) = write_inputs(program, [bulk("Si")], tmp_path)
    ast.parse((folder / "label.py").read_text())


def as_outcar(atoms: Atoms, energy: float, forces: np.ndarray, last: str = "because EDIFF is reached") -> str:
    """What ASE reads of an OUTCAR, for a pressure of 1 kB; places as VASP has them, within the cell."""
    symbols, counts = np.unique(atoms.get_chemical_symbols(), return_counts=True)
    inside = atoms.copy()
    inside.pbc = True
    inside.wrap()
    rows = [" ".join(f"{x:.6f}" for x in row) for row in np.hstack([inside.positions, forces])]
    cell = [" ".join(f"{x:.9f}" for x in (*vector, 0.0, 0.0, 0.0)) for vector in atoms.cell.array]
    lines = [
        *[f" POTCAR:    PAW_PBE {symbol} 01Jan2000" for symbol in (*symbols, *symbols)],
        f"   ions per type =   {' '.join(map(str, counts))}",
        "   ISPIN  =      1    spin polarized calculation?",
        "--------------------------------------- Iteration      1(   1)  ------------",
        f"------------------------ aborting loop {last} ------------",
        "  in kB       1.0       1.0       1.0       0.0       0.0       0.0",
        "      direct lattice vectors                 reciprocal lattice vectors",
        *cell,
        " POSITION                                       TOTAL-FORCE (eV/Angst)",
        " ------------------------------------------------------------------",
        *rows,
        " ------------------------------------------------------------------",
        "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
        "  ---------------------------------------------------",
        f"  free  energy   TOTEN  =       {energy:.8f} eV",
        "",
        f"  energy  without entropy=      {energy - 9:.8f}  energy(sigma->0) =      {energy - 4.5:.8f}",
    ]
    return "\n".join(lines) + "\n"


def as_pwo(atoms: Atoms, energy: float, forces: np.ndarray, last: str = "has been achieved") -> str:
    """What ASE reads of an output of pw.x, for a pressure of 1 kbar."""
    units = create_units("2006")
    alat = 2.0 * units["Bohr"]
    kinds = sorted(set(atoms.symbols))
    axes = [f"a({k}) = ( {' '.join(f'{x:.9f}' for x in v / alat)} )" for k, v in enumerate(atoms.cell.array, 1)]
    places = [
        f"  {k}  {symbol}  tau(  {k}) = ( {' '.join(f'{x:.9f}' for x in place / alat)} )"
        for k, (symbol, place) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1)
    ]
    pulls = [
        f"     atom    {k} type  1   force =  {' '.join(f'{x:.8f}' for x in force / (units['Ry'] / units['Bohr']))}"
        for k, force in enumerate(forces, 1)
    ]
    pressure = units["GPa"] / 10 / (units["Ry"] / units["Bohr"] ** 3)
    lines = [
        "     Program PWSCF v.7.2 starts on  1Jan2000 at  0: 0: 0",
        "     celldm(1)=   2.000000  celldm(2)=   0.000000  celldm(3)=   0.000000",
        f"     number of atoms/cell      = {len(atoms)}",
        f"     number of atomic types    = {len(kinds)}",
        "     crystal axes: (cart. coord. in units of alat)",
        *axes,
        "     atomic species   valence    mass     pseudopotential",
        *[f"        {kind}     1.00     1.00     {kind}( 1.00)" for kind in kinds],
        "   Cartesian axes",
        "",
        "     site n.     atom                  positions (alat units)",
        *places,
        f"!    total energy              =    {energy / units['Ry']:.8f} Ry",
        f"     convergence {last} in  23 iterations",
        "     Forces acting on atoms (cartesian axes, Ry/au):",
        "",
        *pulls,
        "",
        "          total   stress  (Ry/bohr**3)                   (kbar)     P=   1.0",
        *[" ".join(f"{x:.10f}" for x in (*(pressure * row), *row)) for row in np.eye(3)],
    ]
    return "\n".join(lines) + "\n"


OUTPUTS = {"vasp": ("OUTCAR", as_outcar, "EDIFF was not reached"), "espresso": ("espresso.pwo", as_pwo, "NOT achieved")}


@pytest.fixture
def output(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Folder of an input, with elements in turn and held atoms, and what writes the program's output into it."""
    name, text, unfinished = OUTPUTS[request.param]
    atoms = Atoms("SiLiSiLi", positions=np.diag([1.0, 2.0, -3.0, 4.0])[:, :3], cell=[9.0, 8.0, 7.0], pbc=True)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.info |= {"path": "harvest_a", "config_type": "harvest"}
    (folder,) = write_inputs(request.param, [atoms], tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["label.py"])

    def finish(found: Atoms, *words: str) -> None:
        Path(name).write_text(text(found, -12.5, np.arange(12.0).reshape(4, 3) - 5.0, *words))

    return finish, unfinished


@pytest.mark.parametrize("output", OUTPUTS, indirect=True)
def test_outputs_become_labels(output: Any) -> None:
    """Of the atoms in the order of the input; held atoms, group and kind stay; the free energy is the label."""
    finish, _ = output
    finish(ase.io.read("structure.xyz"))
    runpy.run_path("label.py")
    (frame,) = read_frames("labelled.xyz")
    assert list(frame.atoms.symbols) == ["Li", "Li", "Si", "Si"]
    assert frame.energy == pytest.approx(-12.5, abs=1e-6)
    assert frame.forces == pytest.approx(np.arange(12.0).reshape(4, 3) - 5.0, abs=1e-5), "those of held atoms as well"
    assert frame.stress == pytest.approx(-np.eye(3) * GPa / 10, rel=1e-4)
    assert list(frame.free) == [False, True, False, True]
    assert (frame.config_type, ase.io.read("labelled.xyz").info["path"]) == ("harvest", "harvest_a")


@pytest.mark.parametrize("output", OUTPUTS, indirect=True)
def test_outputs_that_are_no_labels_are_refused(output: Any) -> None:
    finish, unfinished = output
    structure = ase.io.read("structure.xyz")
    with pytest.raises(SystemExit, match="must be the output of the calculation, got no file; run it"):
        runpy.run_path("label.py")
    finish(structure, unfinished)
    with pytest.raises(SystemExit, match="must be the output of a calculation that has converged, got none; converge"):
        runpy.run_path("label.py")
    moved, renamed = structure.copy(), structure.copy()
    moved.positions[2, 0] += 0.01
    renamed.symbols = ["Li", "Na", "Si", "Si"]
    for other in (moved, renamed):
        finish(other)
        with pytest.raises(
            SystemExit, match=r"must hold the atoms of structure.xyz in their order, got others; calculate"
        ):
            runpy.run_path("label.py")
    assert not Path("labelled.xyz").exists()


def test_unknown_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--write must be one of vasp, espresso, gpaw, got 'abinit'; choose one"):
        write_inputs("abinit", [bulk("Si")], tmp_path)
