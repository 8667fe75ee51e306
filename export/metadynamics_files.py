"""HILLS and COLVAR: what a metadynamics run writes, restarts from, and shares with other walkers.

    #! FIELDS time d sigma_d height biasf            #! FIELDS time d metad.bias walls.bias moving.bias moving.work
    #! SET multivariate false                        #! SET rhopot_unit_d A
    #! SET kerneltype gaussian                       #! SET rhopot_cv 1a2b3c4d
    #! SET rhopot_unit_d A
    #! SET rhopot_cv 1a2b3c4d

Both are in the format and the units of PLUMED: time in ps, energies in kJ/mol, variables in A as nm, others as they
are, widths likewise. Numbers have as few digits as give back the same doubles. Heights are those of PLUMED: of
well-tempered hills the energy that was added times biasfactor / (biasfactor - 1), so that minus their sum is the free
energy; `biasf` is the factor, or -1 for plain metadynamics. `min_` and `max_` of a periodic variable are minus and plus
half of its period. `rhopot_cv` names the file of the collective variables: hills of other variables are refused.

A run that is restarted at a time keeps the lines up to it and drops those of later times, which the run that was
stopped had made after its last saved state; the file is replaced by one move.

    G. A. Tribello et al., Comput. Phys. Commun. 185, 604 (2014), doi:10.1016/j.cpc.2013.09.018
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhopot.export.metadynamics_bias import Hills
from rhopot.export.metadynamics_settings import Periods
from rhopot.potentials.files import write_text
from rhopot.potentials.plumed_files import (
    ANGSTROM_PER_NM,
    EV_PER_KJ_PER_MOL,
    UNIT,
    PlumedTable,
    header,
    number,
    read_table,
    rows,
    write_table,
)
from rhopot.potentials.units import Floats

TAG = "rhopot_cv"
SAME_TIME = 1e-6  # ps: times that differ by less are one step
BIASES = ("metad.bias", "walls.bias", "moving.bias", "moving.work")


@dataclass(frozen=True)
class Columns:
    """The collective variables of a file: names, units (`A`, `radian` or empty), periods, and what tells their file.

    tag: of eight hexadecimal digits; empty where the variables come from no file
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    periods: Periods
    tag: str = ""

    @property
    def scale(self) -> Floats:
        """Units of the file in one unit of the variable (n,)."""
        return np.array([1.0 / ANGSTROM_PER_NM if unit == "A" else 1.0 for unit in self.units])

    def written(self, values: Floats) -> Floats:
        """Values (..., n) or widths of the variables in units of the file: divided, so that 0.2 A are 0.02 nm."""
        return np.asarray(values / np.array([ANGSTROM_PER_NM if unit == "A" else 1.0 for unit in self.units]))

    def constants(self) -> dict[str, str]:
        """What `SET` says of the variables."""
        found: dict[str, str] = {}
        for name, period, scale in zip(self.names, self.periods, self.scale.tolist(), strict=True):
            if period is not None:
                half = "pi" if math.isclose(period * scale, 2.0 * math.pi, rel_tol=1e-14) else repr(period * scale / 2)
                found |= {f"min_{name}": f"-{half}", f"max_{name}": half}
        found |= {UNIT + name: "A" for name, unit in zip(self.names, self.units, strict=True) if unit == "A"}
        return found | ({TAG: self.tag} if self.tag else {})

    def require(self, path: Path, constants: Mapping[str, str]) -> None:
        """Refuse the file of other variables of the same names.

        Raises:
            ValueError: another tag, period or unit.
        """
        found = constants.get(TAG, "")
        if self.tag and found and found != self.tag:
            raise ValueError(
                f"'{path}' must be of these collective variables ({self.tag}), got those of another file ({found}); "
                "give the file that it was made with, or another name for the new one"
            )
        for name, period, unit, scale in zip(self.names, self.periods, self.units, self.scale.tolist(), strict=True):
            ends = [constants.get(f"{end}_{name}") for end in ("min", "max")]
            there = None if None in ends else number(str(ends[1]), f"max_{name}") - number(str(ends[0]), f"min_{name}")
            wanted = None if period is None else period * scale
            if (there is None) != (wanted is None) or not math.isclose(there or 0.0, wanted or 0.0, rel_tol=1e-9):
                raise ValueError(
                    f"'{path}' must hold {name} with {_period(wanted)}, got it with {_period(there)}; give the file of "
                    "this variable"
                )
            if (constants.get(UNIT + name, "") == "A") != (unit == "A"):
                raise ValueError(
                    f"'{path}' must {'' if unit == 'A' else 'not '}say '#! SET {UNIT}{name} A', got "
                    f"'{constants.get(UNIT + name, 'nothing')}'; give the file of this variable"
                )


def _rounded(time: float) -> float:
    """A time in ps without the rounding errors of its product: 1001 steps of 0.001 ps are 1.001 ps."""
    return round(time, 12)


def _period(period: float | None) -> str:
    return "no period" if period is None else f"the period {period:.6g}"


def backed_up(path: Path) -> Path | None:
    """Give a file that is there the first free name `bck.N.NAME`, as PLUMED does; the new name, or None."""
    if not path.exists():
        return None
    k = 0
    while (kept := path.with_name(f"bck.{k}.{path.name}")).exists():
        k += 1
    path.rename(kept)
    return kept


class HillsFile:
    """The hills that a run adds.

    path: of the file; columns: the variables; biasfactor: None of plain metadynamics
    """

    def __init__(self, path: Path, columns: Columns, biasfactor: float | None) -> None:
        self.path, self.columns, self.biasfactor = path, columns, biasfactor

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return hills_fields(self.columns.names)

    def _constants(self) -> dict[str, str]:
        return {"multivariate": "false", "kerneltype": "gaussian", **self.columns.constants()}

    def begin(self) -> None:
        """Start an empty file; one that is there is kept under another name (`backed_up`)."""
        backed_up(self.path)
        write_text(self.path, header(self.fields, self._constants()))

    def restart(self, time: float) -> tuple[Floats, Hills]:
        """Go on at a time in ps: drop hills of later times from the file; times (h,) in ps and hills of those before.

        Raises:
            ValueError: the file is damaged, of other variables (`Columns.require`) or of another bias factor.
        """
        if not self.path.is_file() or self.path.stat().st_size == 0:
            self.path.unlink(missing_ok=True)
            self.begin()
            return np.zeros(0), Hills.none(len(self.columns.names))
        table = read_table(self.path, allow_no_rows=True)
        times, hills = decoded(self.path, table, self.columns)
        self._require_factor(table.values[:, -1])
        kept = times <= time + SAME_TIME
        write_table(self.path, table.fields, table.values[kept], table.constants)
        return times[kept], hills.only(kept)

    def _require_factor(self, found: Floats) -> None:
        """Refuse to go on with hills of another bias factor: no free energy could be read from the file."""
        own = -1.0 if self.biasfactor is None else self.biasfactor
        other = found[~np.isclose(found, own)]
        if len(other):
            words = ["none (-1)" if each < 0 else f"{each:g}" for each in (own, float(other[0]))]
            raise ValueError(
                f"biasfactor must be that of the hills in '{self.path}', {words[1]}, got {words[0]}; begin a new file, "
                "or give theirs"
            )

    def append(self, time: float, hill: Hills) -> Hills:
        """Add a hill at a time in ps; the hill as a restart would read it, with the file's rounding."""
        factor = self.biasfactor
        height = hill.heights / EV_PER_KJ_PER_MOL * (1.0 if factor is None else factor / (factor - 1.0))
        center, sigma = self.columns.written(hill.centers[0]), self.columns.written(hill.sigmas[0])
        row = np.array([_rounded(time), *center, *sigma, height[0], -1.0 if factor is None else factor])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(rows(row))
        return _hills(row[None, :], self.columns)


def hills_fields(names: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of HILLS."""
    return ("time", *names, *(f"sigma_{name}" for name in names), "height", "biasf")


def decoded(path: Path, table: PlumedTable, columns: Columns) -> tuple[Floats, Hills]:
    """Times (h,) in ps and hills of a table.

    Raises:
        ValueError: other variables, or hills that are no products of Gaussians of one variable each.
    """
    _require_fields(path, table.fields, hills_fields(columns.names))
    columns.require(path, table.constants)
    if table.constants.get("multivariate", "false") != "false":
        raise ValueError(f"'{path}' must hold hills along the variables, got multivariate ones; give another file")
    if table.constants.get("kerneltype", "gaussian") != "gaussian":
        raise ValueError(
            f"'{path}' must hold Gaussian hills, got kerneltype {table.constants['kerneltype']}; give another file"
        )
    return table.values[:, 0], _hills(table.values, columns)


def _require_fields(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    if tuple(found) != tuple(wanted):
        raise ValueError(
            f"'{path}' must have the columns {' '.join(wanted)}, got {' '.join(found)}; give the file of these "
            "collective variables"
        )


def _hills(values: Floats, columns: Columns) -> Hills:
    """Hills of rows of a file."""
    n = len(columns.names)
    factor = values[:, 2 * n + 2]
    share = np.where(factor > 1.0, 1.0 - 1.0 / np.where(factor > 1.0, factor, 2.0), 1.0)
    return Hills(
        values[:, 1 : n + 1] / columns.scale,
        values[:, n + 1 : 2 * n + 1] / columns.scale,
        values[:, 2 * n + 1] * share * EV_PER_KJ_PER_MOL,
    )


class OthersHills:
    """The hills of another walker, read while it writes them: whole lines, each once.

    path: its file, which need not be there yet; columns: the variables
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.columns = path, columns
        self._place: tuple[int, int] = (0, 0)  # inode, bytes read

    def new(self) -> tuple[Floats, Hills, bool]:
        """Times (h,) in ps and hills since the last call; True where the file was replaced and these are all of it.

        Raises:
            ValueError: the file is of other variables.
        """
        nothing = np.zeros(0), Hills.none(len(self.columns.names)), False
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                replaced = self._place[0] not in (0, status.st_ino) or status.st_size < self._place[1]
                begun = self._place[1] > 0 and not replaced
                file.seek(self._place[1] if begun else 0)
                content = file.read()
        except FileNotFoundError:
            return nothing
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8").splitlines()
        words = [line.split() for line in lines]
        if not begun:
            if not any(each[:2] == ["#!", "FIELDS"] for each in words):
                return nothing
            fields = next(tuple(each[2:]) for each in words if each[:2] == ["#!", "FIELDS"])
            constants = {each[2]: " ".join(each[3:]) for each in words if each[:2] == ["#!", "SET"]}
            values = np.zeros((0, len(fields)))
            decoded(self.path, PlumedTable(fields, values, constants, source=str(self.path)), self.columns)
        self._place = (status.st_ino, (self._place[1] if begun else 0) + len(whole))
        numbers = [[float(word) for word in each] for each in words if each and not each[0].startswith("#")]
        values = np.array(numbers).reshape(len(numbers), 2 * len(self.columns.names) + 3)
        return values[:, 0], _hills(values, self.columns), replaced


def _until(time: float, values: Floats) -> Floats:
    """Rows whose first number is at most a time in ps."""
    return np.asarray(values[values[:, 0] <= time + SAME_TIME])


class ColvarFile:
    """Values of the variables and energies of the bias along a run.

    path: of the file; columns: the variables; walls, moving: whether there are any
    """

    def __init__(self, path: Path, columns: Columns, *, walls: bool, moving: bool) -> None:
        self.path, self.columns = path, columns
        there = (True, walls, moving, moving)
        self._biases = [k for k, is_there in enumerate(there) if is_there]

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return ("time", *self.columns.names, *(BIASES[k] for k in self._biases))

    def begin(self) -> None:
        """Start an empty file; one that is there is kept under another name (`backed_up`)."""
        backed_up(self.path)
        write_text(self.path, header(self.fields, self.columns.constants()))

    def restart(self, time: float) -> None:
        """Go on at a time in ps: drop later lines.

        Raises:
            ValueError: as `last`.
        """
        if not self._has_content():
            self.path.unlink(missing_ok=True)
            self.begin()
            return
        table = self._table()
        write_table(self.path, table.fields, _until(time, table.values), table.constants)

    def last(self, time: float) -> tuple[float, float]:
        """Time in ps and work in eV of the last line up to a time in ps; nothing is written.

        Without lines the time is minus infinity and the work zero.

        Raises:
            ValueError: the file is damaged, or of other variables or energies.
        """
        values = _until(time, self._table().values) if self._has_content() else np.zeros((0, 1))
        if not len(values):
            return -np.inf, 0.0
        return float(values[-1, 0]), float(values[-1, -1]) * EV_PER_KJ_PER_MOL if 3 in self._biases else 0.0

    def _has_content(self) -> bool:
        return self.path.is_file() and self.path.stat().st_size > 0

    def _table(self) -> PlumedTable:
        """The lines of the file."""
        table = read_table(self.path, allow_no_rows=True)
        _require_fields(self.path, table.fields, self.fields)
        self.columns.require(self.path, table.constants)
        return table

    def append(self, time: float, s: Floats, energies: Sequence[float]) -> None:
        """Add a line at a time in ps: variables (n,), and energies of hills, walls, moving restraints, work in eV."""
        chosen = [energies[k] / EV_PER_KJ_PER_MOL for k in self._biases]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(rows(np.array([_rounded(time), *self.columns.written(s), *chosen])))
