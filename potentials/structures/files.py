"""Which files a data path stands for, and the structures in each of them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.db
import ase.io
from ase.io.formats import filetype

from rhopot.potentials.structures.extxyz import OPENERS, SUFFIXES, is_extxyz, read_extxyz
from rhopot.potentials.structures.frames import DataError

# Files that may lie beside data without a word.
DOCUMENTS = (".md", ".txt", ".rst", ".pdf", ".py", ".sh", ".yaml", ".yml", ".png", ".log", ".csv", ".pt", ".html")
NAMED_AT_MOST = 6
# ASE's names of the formats that are databases, in one file.
DATABASES = ("db", "json")


def find_files(path: str | Path | Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """Return every file that `path` names, a folder standing for the extended XYZ files in it, and notes on others."""
    if not isinstance(path, str | Path):
        if not path:
            raise DataError("data path must name at least one file, got an empty list; give a file of structures")
        files: list[Path] = []
        notes: list[str] = []
        for entry in path:
            more, said = find_files(entry)
            files += more
            notes += said
        return files, notes
    here = Path(path).expanduser()
    if here.is_dir():
        return _in_folder(here)
    if here.exists():
        return [here], []
    matches = [Path(match) for match in sorted(glob.glob(str(here)))]
    if not matches:
        raise DataError(f"data path must name an existing file, got {str(path)!r}; check its spelling and place")
    return find_files(matches) if any(match.is_dir() for match in matches) else (matches, [])


def read_file(file: Path) -> list[ase.Atoms]:
    """Return all structures of one file."""
    nothing = f"data file {file} must hold at least one structure, got none; check how it was written"
    if file.stat().st_size == 0:
        raise DataError(nothing)
    kind = "as extended XYZ" if is_extxyz(file.name) else "by ASE"
    try:
        frames = read_extxyz(file) if is_extxyz(file.name) else _by_ase(file)
    except DataError as error:
        raise DataError(f"{file}, {error}") from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets: any of it means an unreadable file
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"data file {file} must be readable {kind}, got {reason}; open the file and repair or convert it"
        ) from error
    if not frames or not any(len(atoms) for atoms in frames):
        raise DataError(nothing)
    return list(frames)


def _by_ase(file: Path) -> list[ase.Atoms]:
    """Return what ASE reads; of a database with key-value pairs and data, which `ase.io.read` leaves out."""
    if filetype(str(file)) not in DATABASES:
        return list(ase.io.read(file, index=":"))
    with ase.db.connect(str(file), serial=True) as rows:
        return [row.toatoms(add_additional_information=True) for row in rows.select()]


def _in_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the extended XYZ files of a folder, sorted, and a note that names the other files."""
    inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [file for file in inside if file.is_file() and is_extxyz(file.name)]
    others = [entry.name for entry in inside if entry.is_file() and _could_be_data(entry.name)]
    others += [f"{entry.name}/" for entry in inside if entry.is_dir() and _holds_structures(entry)]
    suffixes = ", ".join(SUFFIXES) + ", also compressed (" + ", ".join(OPENERS) + ")"
    more = f" and {len(others) - NAMED_AT_MOST} more" if len(others) > NAMED_AT_MOST else ""
    listed = ", ".join(others[:NAMED_AT_MOST]) + more
    if not files:
        remedy = "name the files to read" if others else "check it"
        raise DataError(
            f"data folder {folder} must hold structure files ({suffixes}), got {listed or 'none'}; {remedy}"
        )
    note = f"data folder {folder}: {listed} left out, only {suffixes} are read from a folder; name them to read them"
    return files, [note] if others else []


def _could_be_data(name: str) -> bool:
    """Whether a file that is not read may hold structures: a suffix, or a name like OUTCAR."""
    if is_extxyz(name) or name.startswith("README") or name.lower().endswith(DOCUMENTS):
        return False
    return "." in name or name.isupper()


def _holds_structures(folder: Path) -> bool:
    return any(is_extxyz(entry.name) for entry in folder.iterdir() if entry.is_file())
