"""Tables in the format of PLUMED: HILLS, COLVAR and their like.

    #! FIELDS time d sigma_d height biasf
    #! SET multivariate false
    #! SET min_phi -pi
     0.5 0.31 0.02 1.2 -1

`FIELDS` names the columns, `SET` gives constants: properties of the file or, `min_NAME` and `max_NAME`, the limits of a
periodic variable. A run that is restarted writes the header once more below the lines that stand there. Units are
those of PLUMED unless its input changed them: time ps, length nm, energy kJ/mol, angle radian; files of rhopot mark a
variable in A with `SET rhopot_unit_NAME A`, its column is in nm.

    G. A. Tribello et al., Comput. Phys. Commun. 185, 604 (2014), doi:10.1016/j.cpc.2013.09.018
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rhopot.potentials.files import write_text
from rhopot.potentials.units import Floats

EV_PER_KJ_PER_MOL = 1.0 / 96.48533212331  # exact in the SI of 2019; also in lammps_plugin/metadynamics/fix_metad.cpp
ANGSTROM_PER_NM = 10.0
IDENTITY = "rhopot_cv"  # SET rhopot_cv 1a2b3c4d: which collective-variable file the columns come from
UNIT = "rhopot_unit_"  # SET rhopot_unit_NAME A: the unit of a variable in rhopot

_MARK = "#!"
_PI = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?)\*?)?pi(?:/(\d+(?:\.\d*)?))?")


@dataclass(frozen=True)
class PlumedTable:
    """Columns of numbers with names.

    fields: names of the columns
    values: (rows, columns), in the units of the file
    constants: what `SET` lines say, as written
    notes: what a reader should be told: lines that were dropped, columns that are not in the whole file
    source: name of the file for messages
    """

    fields: tuple[str, ...]
    values: Floats
    constants: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = "table"

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> Floats:
        """One column (rows,) in the unit of the file.

        Raises:
            ValueError: there is no such column.
        """
        return self.columns([name])[:, 0]

    def columns(self, names: Sequence[str]) -> Floats:
        """Several columns (rows, names) in the units of the file; ValueError where one is missing."""
        for name in names:
            if name not in self.fields:
                raise ValueError(
                    f"column must be one of {', '.join(self.fields)} in '{self.source}', got {name!r}; name another"
                )
        return np.asarray(self.values[:, [self.fields.index(name) for name in names]], dtype=np.float64)

    def limits(self, name: str) -> tuple[float, float] | None:
        """(low, high) of a periodic variable in the unit of the file, None of others."""
        low, high = (self.constants.get(f"{end}_{name}") for end in ("min", "max"))
        if low is None or high is None:
            return None
        return number(low, f"min_{name} in '{self.source}'"), number(high, f"max_{name} in '{self.source}'")

    @property
    def identity(self) -> str:
        """Which collective-variable file the columns come from; empty where the file does not say it."""
        return self.constants.get(IDENTITY, "")

    def unit(self, name: str) -> str:
        """Unit of a variable in rhopot: `A` where the file says so (the column is in nm), else an empty string."""
        return self.constants.get(UNIT + name, "")


def number(text: str, what: str = "value") -> float:
    """A number as PLUMED writes constants: 1.5, pi, -pi, 2pi, 2*pi, pi/2.

    Raises:
        ValueError: it is none of these; names `what`.
    """
    found = _PI.fullmatch(text.strip())
    if found is not None:
        sign, factor, divisor = found.groups()
        return (-1.0 if sign == "-" else 1.0) * float(factor or 1.0) * math.pi / float(divisor or 1.0)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what} must be a number or a multiple of pi, got {text!r}; write 1.5 or pi/2") from None


def read_table(path: Path | str, *, allow_no_rows: bool = False) -> PlumedTable:
    """Read a table (also gzipped).

    A line that a stopped run left incomplete is dropped, and `notes` say so: the last one where no newline ends it or
    columns are missing, and any that a header continues. Where headers name different columns, those of all of them
    are kept.

    Raises:
        ValueError: the file is empty, has no `FIELDS`, or no rows unless `allow_no_rows`; a column is named twice;
            a line does not have the columns of its header, or the rows are of several collective-variable files.
        OSError: it cannot be read.
    """
    path = Path(path)
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' must be a table in PLUMED's format, got other content ({error})") from error
    if not text.strip():
        raise ValueError(f"'{path}' must be a table in PLUMED's format, got an empty file; has the run begun?")
    return _Reader(path).read(text, allow_no_rows)


class _Reader:
    """Lines of one file: the header that holds, and blocks of rows below each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.constants: dict[str, str] = {}
        self.notes: list[str] = []
        self._fields: tuple[str, ...] = ()
        self._blocks: list[tuple[tuple[str, ...], list[str]]] = []

    def read(self, text: str, allow_no_rows: bool) -> PlumedTable:
        """The whole table."""
        whole = text.endswith("\n")
        lines = text.splitlines()
        for k, line in enumerate(lines, 1):
            data, mark, header = line.partition(_MARK)
            if data.split("#", 1)[0].strip():
                last = k == len(lines)
                self._row(data.split("#", 1)[0], k, cut=bool(mark) or (last and not whole), last=last)
            if mark:
                self._header(header.split(), k)
        blocks = [(fields, rows) for fields, rows in self._blocks if rows]
        if not blocks and self._fields and allow_no_rows:
            return PlumedTable(
                self._fields, np.zeros((0, len(self._fields))), self.constants, tuple(self.notes), str(self.path)
            )
        if not blocks:
            raise ValueError(f"'{self.path}' must hold rows of numbers, got none below its header; run longer")
        common = tuple(name for name in blocks[0][0] if all(name in fields for fields, _ in blocks))
        left_out = [name for fields, _ in blocks for name in fields if name not in common]
        if left_out:
            self.notes.append(f"'{self.path}': columns not in the whole file: {', '.join(dict.fromkeys(left_out))}")
        values = np.concatenate([self._numbers(fields, rows)[:, _places(fields, common)] for fields, rows in blocks])
        return PlumedTable(common, values, self.constants, tuple(self.notes), str(self.path))

    def _header(self, words: list[str], line: int) -> None:
        if words[:1] == ["FIELDS"]:
            self._fields = tuple(words[1:])
            if not self._fields or len(set(self._fields)) < len(self._fields):
                raise ValueError(
                    f"'{self.path}', line {line}: FIELDS must name each column once, got {' '.join(words[1:])!r}"
                )
            if not self._blocks or self._blocks[-1][0] != self._fields:
                self._blocks.append((self._fields, []))
        elif words[:1] == ["SET"] and len(words) > 2:
            before = self.constants.get(IDENTITY, words[2])
            if words[1] == IDENTITY and words[2] != before:
                raise ValueError(
                    f"'{self.path}', line {line}: {IDENTITY} must be {before} as above, got {words[2]}: other "
                    "collective variables; split the file"
                )
            self.constants[words[1]] = " ".join(words[2:])

    def _row(self, row: str, line: int, *, cut: bool, last: bool) -> None:
        """Keep a row, or drop it where a stopped run left it incomplete."""
        if not self._fields:
            raise ValueError(
                f"'{self.path}' must begin with '#! FIELDS' and the names of its columns, got {row.strip()[:40]!r} in "
                f"line {line}"
            )
        count = len(row.split())
        if cut or (last and count < len(self._fields)):
            self.notes.append(f"'{self.path}', line {line}: an incomplete line was dropped")
        elif count != len(self._fields):
            raise ValueError(
                f"'{self.path}', line {line} must have the {len(self._fields)} columns that FIELDS names, got {count}; "
                "remove the line"
            )
        else:
            self._blocks[-1][1].append(row)

    def _numbers(self, fields: tuple[str, ...], rows: list[str]) -> Floats:
        try:
            return np.asarray(np.loadtxt(rows, ndmin=2, comments=None), dtype=np.float64)
        except ValueError:
            for row in rows:
                for name, word in zip(fields, row.split(), strict=True):
                    number(word, f"'{self.path}': {name}")
            raise


def _places(fields: Sequence[str], names: Sequence[str]) -> list[int]:
    return [fields.index(name) for name in names]


def header(fields: Sequence[str], constants: Mapping[str, str] | None = None) -> str:
    """The lines that a table begins with."""
    lines = [f"#! FIELDS {' '.join(fields)}", *(f"#! SET {name} {value}" for name, value in (constants or {}).items())]
    return "\n".join(lines) + "\n"


def rows(values: Floats, digits: int | None = None) -> str:
    """Lines of numbers (rows, columns), with so many significant digits, or None: as few as give back the doubles."""
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return "".join(" " + " ".join(_text(value, digits) for value in row) + "\n" for row in values.tolist())


def _text(value: float, digits: int | None) -> str:
    return repr(value).removesuffix(".0") if digits is None else f"{value:.{digits}g}"


def write_table(
    path: Path | str,
    fields: Sequence[str],
    values: Floats,
    constants: Mapping[str, str] | None = None,
    digits: int | None = None,
) -> None:
    """Write a table atomically; `header` and `rows` are for files that grow.

    Raises:
        ValueError: the values (rows, columns) do not have the columns that `fields` names, or the folder is missing.
    """
    values = np.asarray(values, dtype=np.float64).reshape(-1, len(fields)) if np.size(values) == 0 else values
    if np.ndim(values) != 2 or np.shape(values)[1] != len(fields):
        raise ValueError(f"values must have a column for each of {', '.join(fields)}, got shape {np.shape(values)}")
    write_text(Path(path), header(fields, constants) + (rows(values, digits) if len(values) else ""))
