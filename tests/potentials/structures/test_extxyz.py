"""Extended XYZ as other programs write it: read as meant, or one sentence with the frame."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from rhopot.potentials.structures import DataError, Frame, FrameSet, read_frames

CELL = 'Lattice="8 0 0 0 8 0 0 0 8" Properties=species:S:1:pos:R:3:forces:R:3'
ATOMS = "Si 0 0 0 0.1 0 0\nSi 0 0 2.3 -0.1 0 0\n"


def text(entries: str = "energy=-1.0", head: str = CELL, atoms: str = ATOMS) -> str:
    return f"2\n{head} {entries}\n{atoms}"


def read(tmp_path: Path, content: str | bytes, name: str = "data.xyz") -> FrameSet:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_frames(path)


def only(frames: FrameSet) -> Frame:
    (frame,) = frames
    return frame


@pytest.mark.parametrize(("key", "sign"), [("stress", 1.0), ("virial", -1.0 / 512.0)])
@pytest.mark.parametrize("values", ["1 2 3 4 5 6", "1,2,3,4,5,6", "1 6 5 6 2 4 5 4 3"])
def test_six_or_nine_components(key: str, sign: float, values: str, tmp_path: Path) -> None:
    frame = only(read(tmp_path, text(f'energy=-1.0 {key}="{values}"')))
    assert frame.stress is not None
    np.testing.assert_allclose(frame.stress, sign * np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]), rtol=1e-14)


def test_a_stress_of_none_is_left_out_and_counted(tmp_path: Path) -> None:
    frames = read(tmp_path, text('energy=-1.0 stress="0 0 0 0 0 0"') + text("energy=-2.0 stress=None"))
    assert [frame.has("stress") for frame in frames] == [True, False]
    assert frames.notes == (f"stress left out in 1 frames, where it is None (first: {tmp_path / 'data.xyz'}, frame 1)",)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + text().encode(),
        text().encode("utf-16"),
        text().replace("\n", "\r\n").encode(),
        text().encode() + b"\n\n",
        b"\n" + text().encode(),
        text('energy=-1.0 who="J\xf6rg"').encode("latin-1"),
        text(f'energy=-1.0 comment="{"x" * 300000}" {"y" * 300000}').encode(),
    ],
    ids=["bom", "utf-16", "crlf", "empty lines", "empty first line", "latin-1", "huge comment"],
)
def test_bytes_around_a_frame_change_nothing(content: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, content).digest() == read(tmp_path, text(), "plain.xyz").digest()


def test_frames_after_an_empty_line_are_read(tmp_path: Path) -> None:
    """ASE's own reader ends there."""
    frames = read(tmp_path, text() + "\n" + text("energy=-2.0"))
    assert [frame.energy for frame in frames] == [-1.0, -2.0]


@pytest.mark.parametrize("opened", [bz2.open, lzma.open])
def test_other_compressions(opened: object, tmp_path: Path) -> None:
    name = {bz2.open: "data.xyz.bz2", lzma.open: "data.extxyz.xz"}[opened]  # type: ignore[index]
    with opened(tmp_path / name, "wt") as stream:  # type: ignore[operator]
        stream.write(text())
    assert read_frames(tmp_path / name).digest() == read(tmp_path, text(), "plain.xyz").digest()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ('"T T F"', [True, True, False]),
        ("[F,T,F]", [False, True, False]),
        ('"f f f"', [False, False, False]),
        ("False", [False, False, False]),
        ('"1 0 1"', [True, False, True]),
    ],
)
def test_forms_of_pbc(word: str, expected: list[bool], tmp_path: Path) -> None:
    assert only(read(tmp_path, text(f"energy=-1.0 pbc={word}"))).atoms.pbc.tolist() == expected


def test_a_compressed_file_under_a_plain_name(tmp_path: Path) -> None:
    content = gzip.compress(text().encode())
    assert read(tmp_path, content).digest() == read(tmp_path, text(), "plain.xyz").digest()


def test_an_entry_without_a_value_is_none(tmp_path: Path) -> None:
    frames = read(tmp_path, text() + text("energy="))
    assert [frame.energy for frame in frames] == [-1.0, None]
    assert frames.notes[0].startswith("energy left out in 1 frames, where it is empty (first: ")


def test_a_cell_in_lines_of_its_own(tmp_path: Path) -> None:
    """VEC lines: read where the comment line holds nothing else, refused where its labels would be lost."""
    cell = "VEC1 8 0 0\nVEC2 0 8 0\nVEC3 0 0 8\n"
    bare = only(read(tmp_path, "2\n\nSi 0 0 0\nSi 0 0 2.3\n" + cell))
    assert bare.atoms.get_volume() == pytest.approx(512.0)
    with pytest.raises(DataError, match=r"frame 0: cell must be given as Lattice beside other entries, got VEC lines"):
        read(tmp_path, text() + cell)


def test_keys_of_the_format_in_another_case(tmp_path: Path) -> None:
    """`lattice` and `PBC` are not a comment: a molecule without cell would be read instead."""
    frame = only(read(tmp_path, text("energy=-1.0 PBC='T T F'", CELL.replace("Lattice", "lattice"))))
    assert frame.atoms.pbc.tolist() == [True, True, False]
    assert frame.atoms.get_volume() == pytest.approx(512.0)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("energy=-1.0 pbc=none", r"pbc must be three of T and F, got none; write for instance pbc=\"T T F\""),
        ('energy=-1.0 pbc="F F"', "pbc must be three of T and F"),
        ("energy=-1.0 pbc=xyz", "pbc must be three of T and F, got xyz"),
        ("energy=-1.0 energy=-2.0", "energy must stand once in the comment line, got -1.0 and -2.0; remove one"),
        ("energy=True", "energy must be numbers, got 'True'"),
        ('stress="1 2 3"', "stress must have 6 or 9 components, got 3"),
    ],
)
def test_comment_lines_that_contradict_themselves(entries: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"data.xyz, frame 1: {message}"):
        read(tmp_path, text() + text(entries))


@pytest.mark.parametrize(
    ("head", "atoms", "message"),
    [
        (
            CELL,
            "Si 0 0 0\nSi 0 0 2.3\n",
            "Properties must describe all columns, got 7 described and 4 in the",
        ),
        (CELL.replace(":forces:R:3", ""), ATOMS, "Properties must describe all columns, got 4 described and 7 in"),
        (
            CELL + ":forces:R:3",
            "Si 0 0 0 1 2 3 4 5 6\n" * 2,
            "Properties must name every column once, got forces",
        ),
        (
            CELL,
            ATOMS.strip() + " 7\n",
            "Properties must describe all columns, got 7 described and 8 in the",
        ),
        (CELL, ATOMS.replace("2.3", "2.3D+0"), "must be readable as extended XYZ, got ValueError"),
        (CELL.replace('8"', '"'), ATOMS, "must be readable as extended XYZ, got ValueError: Got info item Lattice"),
        (CELL, ATOMS.replace("Si 0 0 2.3", "Qq 0 0 2.3"), "must be readable as extended XYZ, got KeyError: 'Qq'"),
    ],
)
def test_tables_that_do_not_fit(head: str, atoms: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"data.xyz, frame 1: {message}"):
        read(tmp_path, text() + text(head=head, atoms=atoms))


def test_a_wrong_number_of_atoms_is_placed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.xyz, frame 1: line 4 must be a number of atoms, got 'Si 0 0 2\.3"):
        read(tmp_path, text().replace("2\n", "1\n", 1))


def test_files_of_a_folder_that_are_not_read_are_named(tmp_path: Path) -> None:
    read(tmp_path, text())
    for name in ("more.traj", "old.db", "frames.json", "OUTCAR", "README.md", ".hidden.xyz"):
        (tmp_path / name).write_text("x")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.xyz").write_text(text())
    (note,) = read_frames(tmp_path).notes
    left = "OUTCAR, frames.json, more.traj, old.db, deeper/"
    assert note.startswith(f"data folder {tmp_path}: {left} left out, only .xyz")
    (tmp_path / "data.xyz").unlink()
    with pytest.raises(DataError, match=r"must hold structure files .*, got OUTCAR, frames\.json, .*; name the files"):
        read_frames(tmp_path)


def test_other_formats_are_read_by_name(tmp_path: Path) -> None:
    atoms = bulk("Si")
    atoms.info["REF_energy"] = -5.0
    for name in ("a.traj", "b.json"):
        ase.io.write(tmp_path / name, [atoms, atoms])
    assert [len(read_frames(tmp_path / name)) for name in ("a.traj", "b.json")] == [2, 2]
    assert read_frames(tmp_path / "a.traj")[0].energy == -5.0
    (tmp_path / "c.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"data file .*c\.npz must be readable by ASE, got"):
        read_frames(tmp_path / "c.npz")
