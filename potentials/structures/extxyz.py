"""Extended XYZ as it is found: ASE's reader behind a pass over the comment lines.

ASE's reader stops in silence at an empty line, takes any word under `pbc` for periodic, the last of two equal keys, and
nothing but nine numbers under `stress` and `virial`. The pass mends or refuses that, with the number of the frame.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase
import ase.io

from rhopot.potentials.structures.frames import DataError

SUFFIXES = (".xyz", ".extxyz")
OPENERS: dict[str, Callable[[Any], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# First bytes of compressed files, whatever their name says.
MAGIC: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# Keys that have a meaning in the format, whatever their case.
CANONICAL = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
# ASE insists on nine numbers under these; they are read under another name.
TENSORS = ("stress", "virial")
HIDDEN = "as_written_"
PAIR = re.compile(
    r"""(?:^|(?<=[\s"'}\]]))([^\s="'{}\[\]]+)\s*=\s*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\{[^}]*\}|\[[^\]]*\]|\S*)"""
)
TRUTH = {"t": "T", "true": "T", "1": "T", "f": "F", "false": "F", "0": "F"}


def is_extxyz(name: str) -> bool:
    """Whether a file name is that of an extended XYZ file, plain or compressed."""
    return _plain(name).endswith(SUFFIXES)


def read_extxyz(file: Path) -> list[ase.Atoms]:
    """Return all structures of a file. Raises DataError naming the frame, or what ASE's reader raises."""
    content = file.read_bytes()
    said = OPENERS.get(file.suffix.lower())
    found = next((opened for magic, opened in MAGIC.items() if content.startswith(magic)), said)
    text = _decoded(content if found is None else found(io.BytesIO(content)).read())
    chunks = list(_frames(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))
    if not chunks:
        return []
    try:
        frames = _read(chunks)
    except Exception:
        for index, chunk in enumerate(chunks):  # again, one by one: the sentence names the frame
            try:
                _read([chunk])
            except Exception as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise DataError(
                    f"frame {index}: must be readable as extended XYZ, got {reason}; repair it or remove the frame"
                ) from error
        raise
    for atoms in frames:
        for key in TENSORS:
            if HIDDEN + key in atoms.info:
                atoms.info[key] = atoms.info.pop(HIDDEN + key)
    return frames


def _read(chunks: list[str]) -> list[ase.Atoms]:
    return list(ase.io.read(io.StringIO("".join(chunks)), index=":", format="extxyz"))


def _plain(name: str) -> str:
    """Lower-case name without the suffix of a compression."""
    lower = name.lower()
    for suffix in OPENERS:
        lower = lower.removesuffix(suffix)
    return lower


def _decoded(content: bytes) -> str:
    """Text of a file in UTF-8 or, as its first bytes say, UTF-16; other characters in comments are replaced."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", errors="replace")


def _frames(lines: list[str]) -> Iterator[str]:
    """Yield the text of every frame, without empty lines between them and with comment lines that ASE reads rightly."""
    here, index = 0, 0
    while here < len(lines):
        if not lines[here].strip():
            here += 1
            continue
        count = _count(lines[here], here, index)
        end = here + 2 + count
        if end > len(lines):
            raise DataError(f"frame {index}: must have {count} atoms, got the end of the file before; complete it")
        body = lines[here + 2 : end]
        try:
            comment = _comment(lines[here + 1], body)
        except DataError as error:
            raise DataError(f"frame {index}: {error}") from None
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            if "=" in comment:  # ASE's reader takes the whole comment line for words then, labels included
                raise DataError(f"frame {index}: cell must be given as Lattice beside other entries, got VEC lines")
            body.append(lines[end])
            end += 1
        yield "\n".join([str(count), comment, *body, ""])
        here, index = end, index + 1


def _count(line: str, number: int, index: int) -> int:
    """Return the number of atoms in the first line of a frame."""
    try:
        count = int(line)
    except ValueError:
        count = -1
    if count < 0:
        raise DataError(
            f"frame {index}: line {number + 1} must be a number of atoms, got {line.strip()[:40]!r}; "
            "repair the file there"
        )
    return count


def _comment(line: str, atoms: list[str]) -> str:
    """Return a comment line with checked, canonical entries."""
    values: dict[str, str] = {}

    def entry(match: re.Match[str]) -> str:
        key, value = match.group(1), match.group(2)
        key = CANONICAL.get(key.lower(), key)
        if values.setdefault(key, value) != value:
            raise DataError(f"{key} must stand once in the comment line, got {values[key]} and {value}; remove one")
        if key == "pbc":
            value = _pbc(value)
        return f"{HIDDEN + key if key in TENSORS else key}={value}"

    line = PAIR.sub(entry, line)
    if "Properties" in values:
        _check_columns(values["Properties"].strip("\"'"), atoms)
    return line


def _pbc(value: str) -> str:
    """Return three of T and F, quoted."""
    words = [TRUTH.get(word.lower()) for word in re.findall(r"[^\s,]+", value.strip("\"'{}[]"))]
    if len(words) not in (1, 3) or None in words:
        raise DataError(f'pbc must be three of T and F, got {value}; write for instance pbc="T T F"')
    return '"' + " ".join(str(word) for word in (words * 3)[:3]) + '"'


def _check_columns(properties: str, atoms: list[str]) -> None:
    """Refuse columns that are not described, or described twice."""
    fields = properties.split(":")
    names, widths = fields[::3], fields[2::3]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Properties must name every column once, got {', '.join(twice)} twice; rename one")
    described = sum(int(width) for width in widths if width.isdigit())
    for k, line in enumerate(atoms):
        found = len(line.split())
        if found != described:
            raise DataError(
                f"Properties must describe all columns, got {described} described and {found} in the line of atom {k}; "
                "correct it or the line"
            )
