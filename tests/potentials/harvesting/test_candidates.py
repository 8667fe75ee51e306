"""Frames of runs: files, folders, dumps of LAMMPS with and without names of elements."""

from __future__ import annotations

import gzip
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.harvesting.candidates import find_runs, read_run

HEAD = (
    "ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n"
    "0 5\n0 5\n0 6\nITEM: ATOMS {columns}\n"
)


def dump(columns: str, rows: list[str], frames: int = 2) -> str:
    return "".join(HEAD.format(step=step, columns=columns) + "\n".join(rows) + "\n" for step in range(frames))


def test_only_the_structure_is_left(tmp_path: Path) -> None:
    atoms = bulk("Cu", a=3.6, cubic=True)
    atoms.calc = EMT()
    atoms.set_momenta(np.ones((4, 3)))
    atoms.get_forces()
    atoms.info["REF_energy"] = -3.0
    ase.io.write(tmp_path / "run.extxyz", [atoms] * 5, format="extxyz")
    found, note = read_run(tmp_path / "run.extxyz", ["Cu"], every=2)
    assert [one.index for one in found] == [0, 2, 4]
    assert note == ""
    assert set(found[0].atoms.arrays) == {"numbers", "positions"}
    assert found[0].atoms.info == {}
    assert found[0].atoms.calc is None


def test_types_of_a_dump_are_the_elements_given(tmp_path: Path) -> None:
    file = tmp_path / "run.dump"
    file.write_text(dump("id type x y z", ["2 1 1 1 1", "1 2 3 3 3"]))
    found, note = read_run(file, ["Li", "Si"])
    assert [one.atoms.get_chemical_symbols() for one in found] == [["Si", "Li"]] * 2, "in the order of their ids"
    assert found[0].atoms.positions == pytest.approx(np.array([[3, 3, 3], [1, 1, 1]]))
    assert found[0].atoms.cell.lengths() == pytest.approx([5, 5, 6])
    assert all(found[0].atoms.pbc)
    assert note == f"{file}: types are taken as 1 = Li, 2 = Si"


def test_named_elements_come_first(tmp_path: Path) -> None:
    file = tmp_path / "run.dump"
    file.write_text(dump("id element type x y z", ["1 Ge 1 1 1 1", "2 C 2 3 3 3"]))
    found, note = read_run(file, ["Li"])
    assert found[0].atoms.get_chemical_symbols() == ["Ge", "C"]
    assert note == ""


def test_compressed_dump(tmp_path: Path) -> None:
    file = tmp_path / "run.dump.gz"
    with gzip.open(file, "wt") as out:
        out.write(dump("id type x y z", ["1 1 1 1 1", "2 1 3 3 3"]))
    assert [len(one.atoms) for one in read_run(file, ["Si"])[0]] == [2, 2]


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        ("id x y z", ["1 1 1 1", "2 3 3 3"], "must have a column element or type, got id x y z; add"),
        ("id type x y z", ["1 1 1 1 1", "2 3 3 3 3"], "--elements must name the element of each atom type, got Li, Si"),
    ],
)
def test_dumps_without_elements_are_refused(tmp_path: Path, columns: str, rows: list[str], said: str) -> None:
    file = tmp_path / "run.dump"
    file.write_text(dump(columns, rows))
    with pytest.raises(ValueError, match=said):
        read_run(file, ["Li", "Si"])


def test_folders_stand_for_their_trajectories(tmp_path: Path) -> None:
    folder = tmp_path / "md"
    folder.mkdir()
    (folder / "thermo_ase.csv").write_text("step\n")
    with pytest.raises(
        ValueError, match=r"RUN must be a folder with trajectories .* got '.*md' without; name the files"
    ):
        find_runs([str(folder)])
    (folder / "md.0.dump").write_text(dump("id x y z", ["1 1 1 1", "2 3 3 3"]))
    assert [file.name for file in find_runs([str(folder)])] == ["md.0.dump"]
    for name in ("trajectory_lammps.extxyz", "stopped_lammps.extxyz", "harvest.xyz"):
        ase.io.write(folder / name, Atoms("Cu"), format="extxyz")
    names = [file.name for file in find_runs([str(folder), str(folder / "trajectory_lammps.extxyz")])]
    assert names == ["stopped_lammps.extxyz", "trajectory_lammps.extxyz"], "the dump is what they were made from"


def test_frames_that_cannot_be_are_left_out_and_named(tmp_path: Path) -> None:
    """As the last one of a run that ended by numbers that are not finite."""
    frames = [Atoms("Cu"), Atoms("Cu2", positions=np.zeros((2, 3))), Atoms("Cu", positions=[[np.nan, 0, 0]])]
    ase.io.write(tmp_path / "run.xyz", frames, format="extxyz")
    candidates, note = read_run(tmp_path / "run.xyz", ["Cu"])
    assert [one.index for one in candidates] == [0]
    assert "2 frames are left out" in note
    assert "run.xyz, frame 1: positions must be distinct" in note
    ase.io.write(tmp_path / "run.xyz", frames[1:], format="extxyz")
    with pytest.raises(ValueError, match=r"run.xyz, frame 0: positions must be distinct"):
        read_run(tmp_path / "run.xyz", ["Cu"])
