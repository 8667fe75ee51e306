"""Files of a biased run, whatever wrote them: PLUMED, rhopot or `fix colvars`."""

from __future__ import annotations

import glob
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rhopot.potentials.free_energy.biased_frames import ColvarFile
from rhopot.potentials.free_energy.colvars_files import is_plumed, read_hills, read_pmf, read_trajectory
from rhopot.potentials.free_energy.grid import Surface, Variable
from rhopot.potentials.free_energy.hills import UNITS, FileUnits, Hills, merge_hills, plumed_hills
from rhopot.potentials.plumed_files import read_table

Limits = Mapping[str, tuple[float, float]]
PMF = ".pmf"


def units_of(path: Path, name: str | None) -> FileUnits:
    """Units by name, else those of the format: `plumed`, or `metal` for files of colvars.

    Raises:
        ValueError: an unknown name.
    """
    if name is None:
        return UNITS["plumed" if is_plumed(path) else "metal"]
    if name not in UNITS:
        raise ValueError(f"units must be one of {', '.join(UNITS)}, got {name!r}")
    return UNITS[name]


def load_hills(
    paths: Sequence[Path],
    *,
    units: str | None = None,
    biasfactor: float | None = None,
    names: Sequence[str] = (),
    limits: Limits | None = None,
    colvars: Sequence[ColvarFile] = (),
) -> Hills:
    """Hills of all walkers.

    What hills.traj files of colvars do not say comes from elsewhere: `biasfactor`; names of the variables from the
    columns of a trajectory that agree with the centers at the same steps, else `names` where they are as many; `limits`
    of periodic variables.

    Raises:
        ValueError: a file that is not one of hills, files that do not go together, a hill that stands there twice, or
            limits or a bias factor that contradict a file.
        OSError: one cannot be read.
    """
    made = []
    for k, path in enumerate(paths):
        system = units_of(path, units)
        if is_plumed(path):
            made.append(_told(plumed_hills(read_table(path), system), path, biasfactor, limits or {}))
        else:
            hills = read_hills(path, biasfactor=biasfactor, units=system)
            own = _names_in(colvars[min(k, len(colvars) - 1)], hills) if colvars else ()
            own = own or (tuple(names) if len(names) == len(hills.variables) else ())
            found = [Variable(name, "", (limits or {}).get(name)) for name in own]
            made.append(replace(hills, variables=tuple(found) or hills.variables))
    merged = _each_once(merge_hills(made))
    return replace(merged, notes=(*merged.notes, *_left_out(paths)))


def _told(hills: Hills, path: Path, biasfactor: float | None, limits: Limits) -> Hills:
    """Hills with limits of variables of which the file has none."""
    if biasfactor is not None and not math.isclose(biasfactor, hills.biasfactor):
        raise ValueError(
            f"--biasfactor must be that of '{path}', {hills.biasfactor:g}, got {biasfactor:g}; leave it out"
        )
    variables = []
    for variable in hills.variables:
        told = limits.get(variable.name, variable.limits)
        if told is not None and variable.limits is not None and not np.allclose(told, variable.limits):
            raise ValueError(
                f"--period of {variable.name} must be that of '{path}', {variable.limits[0]:g},{variable.limits[1]:g}, "
                f"got {told[0]:g},{told[1]:g}; leave it out"
            )
        variables.append(replace(variable, limits=told))
    return replace(hills, variables=tuple(variables))


def _each_once(hills: Hills) -> Hills:
    """The hills; ValueError where one stands in the files twice: its energy would count twice."""
    rows = np.column_stack([hills.times, hills.centers, hills.sigmas, hills.heights])
    twice = len(rows) - len(np.unique(rows, axis=0))
    if twice:
        raise ValueError(
            f"hills must stand in the files once each, got {twice} of {len(rows)} again; leave copies such as "
            "bck.0.HILLS out, and rows that were appended twice"
        )
    return hills


def _left_out(paths: Sequence[Path]) -> list[str]:
    """Notes on files of walkers that stand beside those given: HILLS.1 beside HILLS.0."""
    given = {path.resolve() for path in paths}
    found = set()
    for path in paths:
        stem, dot, number = path.name.rpartition(".")
        if dot and number.isdigit():
            same = (each for each in path.parent.glob(f"{glob.escape(stem)}.*") if each.suffix[1:].isdigit())
            found |= {str(each) for each in same if each.resolve() not in given}
    return (
        [f"{', '.join(sorted(found))} of other walkers not among the files: their hills are missing"] if found else []
    )


def _names_in(colvar: ColvarFile, hills: Hills) -> tuple[str, ...]:
    """Columns of a trajectory that hold the centers of the hills; empty where there is not one for each."""
    steps = colvar.table.column("time")
    _, at, of_hills = np.intersect1d(steps, hills.times, return_indices=True)
    if not len(at):
        return ()
    names = []
    for centers in hills.centers[of_hills].T:
        same = [name for name in colvar.table.fields if np.allclose(colvar.table.column(name)[at], centers, rtol=1e-9)]
        if len(same) != 1:
            return ()
        names.append(same[0])
    return tuple(names)


def load_colvars(paths: Sequence[Path], *, units: str | None = None, limits: Limits | None = None) -> list[ColvarFile]:
    """COLVAR files or colvars' trajectories, one of each walker.

    Raises:
        ValueError: a file of another kind, or files with different columns or of other collective-variable files.
        OSError: one cannot be read.
    """
    files = []
    for path in paths:
        table = read_table(path) if is_plumed(path) else read_trajectory(path)
        if "time" not in table.fields:
            raise ValueError(
                f"'{path}' must have a column time, got {', '.join(table.fields)}; print it with the others"
            )
        files.append(ColvarFile(table, units_of(path, units), limits or {}))
    for other in files[1:]:
        if other.table.fields != files[0].table.fields:
            raise ValueError(
                f"files of several walkers must have the same columns, got others in '{files[0].table.source}' and "
                f"'{other.table.source}'; analyze them one by one"
            )
        if len({other.table.identity, files[0].table.identity, ""}) > 2:
            raise ValueError(
                f"files of several walkers must be of one collective-variable file, got rhopot_cv "
                f"{files[0].table.identity} in '{files[0].table.source}' and {other.table.identity} in "
                f"'{other.table.source}'; analyze them one by one"
            )
    return files


def load_pmf(path: Path, *, units: str | None = None, names: Sequence[str] = ()) -> Surface:
    """The free energy in a .pmf file of colvars; ValueError where it is none."""
    return read_pmf(path, names, units_of(path, units))
