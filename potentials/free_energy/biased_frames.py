"""Frames of COLVAR files and colvars' trajectories with their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rhopot.potentials.free_energy.colvars_files import BIAS
from rhopot.potentials.free_energy.grid import Grid, Variable
from rhopot.potentials.free_energy.hills import FileUnits, Hills, sum_at_points, variable_of
from rhopot.potentials.free_energy.reweighting import (
    WEIGHTS,
    Frames,
    tiwary_parrinello,
    weights_in_time,
    weights_of_final,
)
from rhopot.potentials.plumed_files import PlumedTable
from rhopot.potentials.units import Floats

COMPARED = 200  # frames whose bias shows which column is that of the hills
ALIKE = 0.2  # of the standard deviation: the largest RMS difference of that column from the hills
MISSING = 0.05  # of the bias: what may be missing in the sum of hills
SUFFIX, MOVING, WALL = ".bias", "moving.bias", "wall"
OF_RHOPOT = "metad.bias"
LENGTH = "A"


@dataclass(frozen=True)
class ColvarFile:
    """The table of a walker and its units; limits: of periodic variables that the file does not know."""

    table: PlumedTable
    units: FileUnits
    limits: Mapping[str, tuple[float, float]]

    def variable(self, name: str) -> Variable:
        """A column as a variable."""
        known = variable_of(self.table, name, self.units)[0]
        return known if known.limits else Variable(name, known.unit, self.limits.get(name))

    def values(self, names: Sequence[str]) -> Floats:
        """Columns (n, names) in the units of the variables."""
        factors = [variable_of(self.table, name, self.units)[1] for name in names]
        return self.table.columns(names) * np.array(factors)

    def energies(self, name: str) -> Floats:
        """A column of energies (n,) in eV."""
        return self.table.column(name) * self.units.energy


@dataclass(frozen=True)
class BiasedFrames:
    """Frames, which weights they have, in words, and notes."""

    frames: Frames
    weights: str
    notes: tuple[str, ...] = ()


def bias_columns(table: PlumedTable) -> list[str]:
    """Columns that hold the energy of a bias: NAME.bias of PLUMED and rhopot, E_NAME of colvars."""
    return [name for name in table.fields if name.endswith(SUFFIX) or name.startswith(BIAS)]


def weigh(
    files: Sequence[ColvarFile],
    names: Sequence[str],
    thermal: float,
    *,
    hills: Hills | None = None,
    grid: Grid | None = None,
    weights: str = "time",
    biases: Sequence[str] | None = None,
    skip: float = 0.0,
) -> BiasedFrames:
    """Frames of the variables `names` with weights as `reweighting` defines them.

    files: of each walker; thermal: kT in eV; hills: of a metadynamics, with `grid` over its variables
    biases: columns of energies, by default all but walls; skip: fraction of the time at the start that is left out

    Raises:
        ValueError: an unknown column or kind of weights, no column of a bias and no hills, files and hills of other
            collective variables, a bias that the hills do not give, or no frame is left.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, got {weights!r}")
    if not 0.0 <= skip < 1.0:
        raise ValueError(f"skip must be a fraction from 0 to below 1, got {skip:g}")
    for file in files:
        file.table.columns(names)
    found = bias_columns(files[0].table)
    walls = [name for name in found if biases is None and WALL in name.lower()]
    columns = [name for name in found if name not in walls] if biases is None else list(biases)
    if not columns and hills is None and biases is None:
        raise ValueError(
            f"'{files[0].table.source}' must have a column of a bias (NAME.bias or E_NAME), got columns "
            f"{', '.join(files[0].table.fields)}; name it by --bias, or --bias none for a run without"
        )
    if weights == "bias":
        hills = None
    offsets = None
    if hills is not None and grid is not None and weights == "time":
        offsets = tiwary_parrinello(hills, grid, thermal)
    parts, notes = [], [note for file in files for note in file.table.notes]
    if walls:
        notes.append(f"walls ({', '.join(walls)}) belong to the system and are not undone; --bias undoes what it names")
    variables = tuple(files[0].variable(name) for name in names)
    if hills is not None:
        notes += _beside_hills(files, hills)
        variables = tuple(next((own for own in hills.variables if own.name == each.name), each) for each in variables)
    own = _column_of_hills(files, columns, hills, named=biases is not None) if hills is not None else None
    static = [name for name in columns if name != own]
    latest = max(float(file.table.column("time").max()) for file in files)
    earliest = min(float(file.table.column("time").min()) for file in files)
    for file in files:
        times = file.table.column("time")
        kept = times >= earliest + skip * (latest - earliest)
        logs = np.zeros(len(times)) + sum(file.energies(name) for name in static) / thermal
        if hills is not None:
            points = file.values([variable.name for variable in hills.variables])
            if offsets is None:
                logs = logs + weights_of_final(hills, thermal, points)
            else:
                bias = file.energies(own) if own else None
                logs = logs + weights_in_time(hills, offsets, thermal, times, points, bias)
        if MOVING in static and np.ptp(file.energies(MOVING)) > 0.0:
            notes.append("a moving restraint acts in these frames: their weights hold only where it moves slowly")
        values = file.values(names)
        finite = np.isfinite(logs) & np.isfinite(values).all(axis=1)
        if not finite[kept].all():
            notes.append(f"'{file.table.source}': {(~finite[kept]).sum()} rows without finite numbers were dropped")
        kept &= finite
        parts.append((times[kept], values[kept], logs[kept]))
    times, values, logs = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(times):
        raise ValueError("frames must be left after those skipped, got none that is finite; skip fewer, or run longer")
    return BiasedFrames(
        Frames(variables, times, values, logs), _described(hills, weights, static), tuple(dict.fromkeys(notes))
    )


def _beside_hills(files: Sequence[ColvarFile], hills: Hills) -> list[str]:
    """Notes on files that do not fit the hills in all respects; ValueError where they are of other variables."""
    notes = []
    for file in files:
        source, identity = file.table.source, file.table.identity
        if identity and hills.identity and identity != hills.identity:
            raise ValueError(
                f"'{source}' must be of the collective-variable file of the hills, rhopot_cv {hills.identity}, got "
                f"{identity}; give the COLVAR of that run"
            )
        for own in hills.variables:
            there = file.variable(own.name)
            if (there.unit == LENGTH) != (own.unit == LENGTH):
                raise ValueError(
                    f"unit of {own.name} must be the same in '{source}' and in the hills, got {_unit(there)} and "
                    f"{_unit(own)}; a line '#! SET rhopot_unit_{own.name} A' marks nm that stand for A"
                )
            if own.limits is not None and there.limits is None:
                notes.append(f"'{source}' does not say that {own.name} is periodic: the period is that of the hills")
            elif there.limits is not None and not np.allclose(there.limits, own.limits or np.inf):
                raise ValueError(
                    f"{own.name} must have the same period in '{source}' and in the hills, got {there.limits} and "
                    f"{own.limits}; correct the SET lines"
                )
    if all(file.table.column("time").min() > hills.times.max() for file in files):
        notes.append("all frames are later than the last hill: are they of the same run?")
    elif all(file.table.column("time").max() < hills.times.min() for file in files):
        notes.append("all frames are earlier than the first hill: are they of the same run?")
    return notes


def _unit(variable: Variable) -> str:
    return variable.unit or "none"


def _column_of_hills(files: Sequence[ColvarFile], columns: Sequence[str], hills: Hills, *, named: bool) -> str | None:
    """The column that holds the bias of the hills in all files, found by comparing some frames; None: none does.

    Raises:
        ValueError: nobody named the columns, and all of them, or that of a metadynamics, differ from the hills.
    """
    agree = [name for name in columns if all(_differs(file, name, hills) is None for file in files)]
    wrong = [name for name in columns if name not in agree and name != MOVING]
    wrong = [name for name in wrong if not agree or name in (OF_RHOPOT, hills.column)]
    if wrong and not named:
        source, text = next(
            (file.table.source, text) for file in files if (text := _differs(file, wrong[0], hills)) is not None
        )
        raise ValueError(
            f"column {wrong[0]} in '{source}' must agree with the sum of the hills, got {text}; give the HILLS of all "
            "walkers of one run and analyze independent runs one by one (--bias names biases that act besides the "
            "hills, --weights bias takes columns without hills)"
        )
    return agree[0] if agree else None


def _differs(file: ColvarFile, column: str, hills: Hills) -> str | None:
    """How a column differs from the bias of the hills at the time of each frame, in words; None where they agree."""
    energies = file.energies(column)
    points = file.values([variable.name for variable in hills.variables])
    usable = np.flatnonzero(np.isfinite(energies) & np.isfinite(points).all(axis=1))
    if not len(usable):
        return "no finite number"
    chosen = usable[np.unique(np.linspace(0, len(usable) - 1, COMPARED).astype(int))]
    before = np.searchsorted(hills.times, file.table.column("time")[chosen], side="left")
    bias = sum_at_points(hills, points[chosen], hills.weights, before)
    found = energies[chosen]
    away = float(np.sqrt(np.mean((found - bias) ** 2)))
    missing = abs(float((found - bias) @ bias)) > MISSING * float(bias @ bias)
    if away <= ALIKE * float(bias.std()) and not missing:
        return None
    return f"{found.mean():.4g} eV on average where the hills give {bias.mean():.4g} eV"


def _described(hills: Hills | None, weights: str, static: Sequence[str]) -> str:
    """The weights in words."""
    parts = [f"V of {', '.join(static)}"] if static else []
    if hills is not None:
        parts.insert(0, "V(s, t) - c(t) of the hills" if weights == "time" else "V(s, t_end) of the hills")
    return f"exp(V / kT), V: {' + '.join(parts)}".replace("V: V of ", "V: ") if parts else "equal weights"
