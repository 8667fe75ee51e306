"""What `fix colvars` of LAMMPS writes: trajectories, hills and grids.

    NAME.colvars.traj             # step, variables, energies E_BIAS of biases with `outputEnergy on`
    NAME.colvars.BIAS.hills.traj  step, centers, sigmas, weight (`writeHillsTrajectory on`); no header
    NAME.pmf                      free energy on a grid of one variable or more; points are the middles of bins

Energies and lengths are in the units of the LAMMPS run, angles in degrees. Weights of hills are those of the bias, also
of well-tempered metadynamics: with `biasTemperature` dT and temperature T the bias factor is g = (T + dT) / T, and
F = -g / (g - 1) V. The files say neither dT nor which variables are periodic. Colvars cuts Gaussians off where
(s - c)^2 / sigma^2 > 23 and adds them at the middles of bins. OPES has no such hills: E_BIAS of the trajectory is its
bias, and the same stands in NAME.colvars.BIAS.misc.traj, in PLUMED's format.

    G. Fiorin, M. L. Klein, J. Henin, Mol. Phys. 111, 3345 (2013), doi:10.1080/00268976.2013.813594
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rhopot.potentials.free_energy.grid import Grid, Surface, Variable, from_zero
from rhopot.potentials.free_energy.hills import UNITS, FileUnits, Hills, checked
from rhopot.potentials.plumed_files import PlumedTable
from rhopot.potentials.units import Floats

BIAS = "E_"  # how the names of columns with the energy of a bias begin
_HILLS = re.compile(r"\.colvars\.(.+)\.hills\.traj$")


def bias_of_hills(path: Path) -> str:
    """Column of the trajectory that holds the bias of a file of hills; empty where the name does not say it."""
    found = _HILLS.search(path.name)
    return BIAS + found[1] if found else ""


def read_trajectory(path: Path) -> PlumedTable:
    """A .colvars.traj as a table whose first column, `time`, is the step; vectors and a line cut off are left out.

    Raises:
        ValueError: it is empty, has no header, or a line does not have its columns.
    """
    lines = _lines(path)
    fields: list[str] = []
    kept: list[list[str]] = []
    notes: list[str] = []
    for k, line in enumerate(lines, 1):
        words = re.sub(r"\([^)]*\)", "vector", line).split()
        if words[0] == "#":
            if fields and words[2:] != fields[1:]:
                raise ValueError(f"'{path}', line {k} must name the columns of the lines above, got {line.strip()!r}")
            fields = ["time", *words[2:]]
        elif not fields:
            raise ValueError(f"'{path}' must begin with '# step' and the names of its columns, got {line[:40]!r}")
        elif len(words) != len(fields):
            if k < len(lines):
                raise ValueError(f"'{path}', line {k} must have {len(fields)} columns, got {len(words)}")
            notes.append(f"'{path}', line {k}: an incomplete line was dropped")
        else:
            kept.append(words)
    if not kept:
        raise ValueError(f"'{path}' must hold rows of numbers, got none; run longer")
    scalar = [k for k in range(len(fields)) if "vector" not in {row[k] for row in (kept[0], kept[-1])}]
    values = _numbers(path, [[row[k] for k in scalar] for row in kept])
    _, last = np.unique(values[::-1, 0], return_index=True)  # a restart repeats its first step
    values = values[np.sort(len(values) - 1 - last)]
    return PlumedTable(tuple(fields[k] for k in scalar), values, {}, tuple(notes), str(path))


def read_hills(
    path: Path,
    *,
    biasfactor: float | None = None,
    names: Sequence[str] = (),
    limits: Mapping[str, tuple[float, float]] | None = None,
    units: FileUnits = UNITS["metal"],
) -> Hills:
    """Hills of a hills.traj; times are steps.

    biasfactor: (T + dT) / T of well-tempered metadynamics
    names: of the variables, by default cv1, cv2, ...; limits: (low, high) of periodic ones

    Raises:
        ValueError: the file is empty or damaged, weights differ and no bias factor is given, or the names do not fit.
    """
    rows = [line.split() for line in _lines(path) if not line.lstrip().startswith("#")]
    if not rows:
        raise ValueError(f"'{path}' must hold hills, got none; run longer than newHillFrequency")
    width = len(rows[0])
    notes = []
    if len(rows) > 1 and len(rows[-1]) < width:
        rows.pop()
        notes.append(f"'{path}': an incomplete line was dropped")
    if width < 4 or any(len(row) != width for row in rows):
        raise ValueError(
            f"'{path}' must have lines of step, centers, sigmas and weight, got {width} columns and others"
        )
    numbers = _numbers(path, [row[: width - width % 2] for row in rows])  # a replica's name may stand behind the weight
    count = (numbers.shape[1] - 2) // 2
    if names and len(names) != count:
        raise ValueError(f"variables must be the {count} of the hills in '{path}', got {', '.join(names)}")
    names = names or [f"cv{k + 1}" for k in range(count)]
    weights = numbers[:, -1] * units.energy
    if biasfactor is None and np.ptp(weights) > 1e-6 * weights.max():
        raise ValueError(
            f"bias factor must be given for hills of different weights in '{path}', got none; it is "
            "(T + biasTemperature) / T"
        )
    biasfactor = biasfactor or math.inf
    if not biasfactor > 1.0:
        raise ValueError(f"bias factor must be above 1, got {biasfactor:g}")
    variables = tuple(Variable(name, "", (limits or {}).get(name)) for name in names)
    scale = 1.0 / (1.0 - 1.0 / biasfactor)
    hills = Hills(
        variables,
        numbers[:, 0],
        numbers[:, 1 : 1 + count],
        numbers[:, 1 + count : 1 + 2 * count],
        weights * scale,
        biasfactor,
        notes=tuple(notes),
        column=bias_of_hills(path),
    )
    return checked(hills, str(path))


def read_pmf(path: Path, names: Sequence[str] = (), units: FileUnits = UNITS["metal"]) -> Surface:
    """Free energy (eV, minimum zero) of a .pmf file of one to three variables.

    Raises:
        ValueError: the file is no grid of colvars.
    """
    lines = _lines(path)
    header = [line.split()[1:] for line in lines if line.lstrip().startswith("#")]
    try:
        count = int(header[0][0])
        axes_of = [(float(a), float(step), int(n), int(wraps)) for a, step, n, wraps in header[1 : 1 + count]]
        if len(axes_of) != count or not 1 <= count <= 3:
            raise ValueError("axes are missing")
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"'{path}' must be a grid of colvars with '# n' in its first line, got other content"
        ) from error
    rows = _numbers(path, [line.split() for line in lines if not line.lstrip().startswith("#")])
    shape = [n for _, _, n, _ in axes_of]
    if rows.shape != (math.prod(shape), count + 1):
        raise ValueError(f"'{path}' must have {math.prod(shape)} lines of {count + 1} numbers, got {rows.shape}")
    names = names or [f"cv{k + 1}" for k in range(count)]
    if len(names) != count:
        raise ValueError(f"variables must be the {count} of '{path}', got {', '.join(names)}")
    variables = tuple(
        Variable(name, "", (low, low + step * n) if wraps else None)
        for name, (low, step, n, wraps) in zip(names, axes_of, strict=True)
    )
    axes = tuple(np.asarray(low + step * (np.arange(n) + 0.5), dtype=np.float64) for low, step, n, _ in axes_of)
    grid = Grid(variables, axes, tuple(bool(wraps) for *_, wraps in axes_of))
    return Surface(grid, from_zero(rows[:, -1].reshape(shape) * units.energy))


def is_plumed(path: Path) -> bool:
    """True where a file begins as a table in PLUMED's format does, or is gzipped; OSError where it cannot be read."""
    with path.open("rb") as file:
        start = file.read(64)
    return start[:2] == b"\x1f\x8b" or start.lstrip().startswith(b"#!")


def _lines(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' must be a text file of colvars, got other content ({error})") from error
    if not lines:
        raise ValueError(f"'{path}' must hold hills or frames, got an empty file; has the run begun?")
    return lines


def _numbers(path: Path, rows: Sequence[Sequence[str]]) -> Floats:
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"'{path}' must hold lines of equally many numbers, got others ({error})") from error
