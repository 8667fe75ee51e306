"""Frames that may be labelled: from files that ASE reads, LAMMPS dumps and folders that hold them.

A frame keeps its elements, positions, cell and periodic directions alone: no velocities, no energies. Of a folder,
the extended XYZ files are read, which `rhopot md` writes; where it has none, its trajectories and dumps.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials.structures.extxyz import is_extxyz
from rhopot.potentials.structures.files import find_files, read_file
from rhopot.potentials.structures.frames import DataError
from rhopot.potentials.structures.geometry import check_geometry

DUMP = "ITEM: TIMESTEP"  # how a dump of LAMMPS begins
TRAJECTORIES = (".traj", ".dump", ".lammpstrj", ".dump.gz", ".lammpstrj.gz", ".nc")
NAMES = ("XDATCAR", "OUTCAR", "vasprun.xml")
WRITTEN = ("harvest.xyz",)  # by a harvest: no run


@dataclass(frozen=True)
class Candidate:
    """A structure that may be labelled, and where it comes from.

    source: file; index: number of the frame in it; centre: atom of the frame that a cluster was cut around, None for
    whole frames
    """

    atoms: Atoms
    source: str
    index: int
    centre: int | None = None

    @property
    def name(self) -> str:
        """File and frame, for messages."""
        around = "" if self.centre is None else f", around atom {self.centre}"
        return f"{self.source}, frame {self.index}{around}"


def find_runs(paths: Sequence[str]) -> list[Path]:
    """Files of trajectories that the paths name, each once, in order.

    Raises:
        ValueError: a path names nothing, or a folder without trajectories.
    """
    found: list[Path] = []
    for path in paths:
        folder = Path(path).expanduser()
        found += _in_folder(folder) if folder.is_dir() else find_files(path)[0]
    return list({file.resolve(): file for file in found}.values())


def read_run(file: Path, elements: Sequence[str], every: int = 1) -> tuple[list[Candidate], str]:
    """Every `every`-th frame of a file, and a note on what was taken for granted or left out, empty where nothing was.

    Frames with positions that are no numbers, or with atoms in one place, are left out.

    elements: element of each atom type of LAMMPS, for dumps that name none

    Raises:
        ValueError: a file that cannot be read, or without a possible frame, or a dump that has types alone and more of
            them than elements.
    """
    frames, note = _read_dump(file, elements) if _is_dump(file) else (read_file(file), "")
    candidates, refused = [], []
    for index in range(0, len(frames), every):
        plain = _plain(frames[index])
        try:
            check_geometry(plain)
        except DataError as error:
            refused.append(f"{file}, frame {index}: {error}")
            continue
        candidates.append(Candidate(plain, str(file), index))
    if refused and not candidates:
        raise ValueError(refused[0])
    notes = [note] if note else []
    if refused:
        notes.append(f"{len(refused)} frames are left out ({refused[0]})")
    return candidates, "; ".join(notes)


def _plain(atoms: Atoms) -> Atoms:
    """The structure alone; magnetic moments that a calculation starts from stay."""
    plain = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if atoms.has("initial_magmoms"):
        plain.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments())
    plain.wrap()
    return plain


def _in_folder(folder: Path) -> list[Path]:
    inside = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    inside = [file for file in inside if file.name not in WRITTEN]
    plain = [file for file in inside if is_extxyz(file.name) and file.stat().st_size]
    others = [file for file in inside if file.name.endswith(TRAJECTORIES) or file.name in NAMES]
    if not plain and not others:
        raise ValueError(
            f"RUN must be a folder with trajectories (.xyz, .extxyz, {', '.join(TRAJECTORIES)}, {', '.join(NAMES)}), "
            f"got '{folder}' without; name the files"
        )
    return plain or others


def _open(file: Path) -> TextIO:
    """A file of text, plain or compressed."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", errors="replace")
    return file.open(errors="replace")


def _is_dump(file: Path) -> bool:
    with _open(file) as lines:
        return lines.read(len(DUMP)) == DUMP


def _read_dump(file: Path, elements: Sequence[str]) -> tuple[list[Atoms], str]:
    """Frames of a dump in text, in the axes of LAMMPS."""
    columns, n_types = _columns(file)
    named = "element" in columns
    if not named and "type" not in columns:
        raise ValueError(
            f"dump {file} must have a column element or type, got {' '.join(columns) or 'none'}; add `element` and "
            "`dump_modify ... element` to the dump, or harvest the trajectory that rhopot md wrote"
        )
    if not named and n_types > len(elements):
        raise ValueError(
            f"--elements must name the element of each atom type, got {', '.join(elements)} for {n_types} types in "
            f"{file}; give for instance --elements Li,Si"
        )
    order: dict[str, Any] = {} if named else {"specorder": list(elements)}
    try:
        read = ase.io.read(file, index=":", format="lammps-dump-text", **order)
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise ValueError(f"dump {file} must be readable by ASE, got {type(error).__name__}: {error}") from error
    frames = list(read) if isinstance(read, list) else [read]
    if not frames:
        raise ValueError(f"dump {file} must hold at least one frame, got none; check how it was written")
    pairs = ", ".join(f"{k} = {symbol}" for k, symbol in enumerate(elements[:n_types], 1))
    return frames, "" if named else f"{file}: types are taken as {pairs}"


def _columns(file: Path) -> tuple[list[str], int]:
    """Columns of the first frame of a dump, and its highest atom type."""
    with _open(file) as lines:
        head = [lines.readline() for _ in range(9)]
        columns = head[8].split()[2:] if head[8].startswith("ITEM: ATOMS") else []
        if "type" not in columns:
            return columns, 0
        count = int(head[3]) if head[3].strip().isdigit() else 0
        rows = [lines.readline().split() for _ in range(count)]
    place = columns.index("type")
    return columns, int(np.max([int(row[place]) for row in rows if len(row) > place], initial=0))
