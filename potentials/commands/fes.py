"""`rhopot fes`: free energy, basins and barriers of a biased run, with errors and convergence."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.potentials.console import make_console, rounded, table
from rhopot.potentials.files import finite, write_json
from rhopot.potentials.free_energy.analysis import AnalysisSettings, analyze, of_surface
from rhopot.potentials.free_energy.grid import thermal_energy
from rhopot.potentials.free_energy.hills import UNITS
from rhopot.potentials.free_energy.pictures import draw_convergence, draw_surface
from rhopot.potentials.free_energy.result import FreeEnergy
from rhopot.potentials.free_energy.run_files import PMF, load_colvars, load_hills, load_pmf, units_of
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, number, write_table
from rhopot.potentials.runs.folder_lock import lock_folder

METAD_JSON = "metad.json"
ENERGIES = {"eV": 1.0, "kJ/mol": EV_PER_KJ_PER_MOL}


@dataclass(frozen=True)
class FesOptions:
    """What the options of the command were set to."""

    colvar: Sequence[Path] = ()
    temperature: float | None = None
    variable: Sequence[str] = ()
    grid: Sequence[str] = ()
    weights: str = "time"
    bias: Sequence[str] = ()
    skip: float = 0.2
    bandwidth: Sequence[float] = ()
    depth: float | None = None
    last: float | None = None
    blocks: bool = True
    biasfactor: float | None = None
    period: Sequence[str] = ()
    units: str | None = None
    energy: str = "eV"
    output: Path = Path("fes")
    json_file: Path | None = None


def fes(files: Sequence[Path], options: FesOptions) -> None:
    """Analyze the run; print the tables and write fes.dat, fes.json and the pictures."""
    if options.energy not in ENERGIES:
        raise ValueError(f"--energy must be one of {', '.join(ENERGIES)}, got {options.energy!r}")
    if options.json_file is not None and not options.json_file.parent.is_dir():
        raise ValueError(f"--json must lie in an existing folder, got '{options.json_file}'; make its folder first")
    if options.temperature is not None:
        thermal_energy(options.temperature)
        _require_temperature([*files, *options.colvar], options.temperature)
    found = _analyzed(files, options)
    folder, console = options.output, make_console()
    size, thermal = ENERGIES[options.energy], _thermal(options)
    console.print(f"free energy of {', '.join(_labels(found))}: {found.method}")
    if found.frames:
        console.print(f"reweighted: {found.frames}")
    if found.blocks is not None:
        console.print(
            f"errors: standard deviations, bootstrap of blocks of {found.blocks.length} frames"
            f"{'' if found.blocks.converged else ' (not converged)'}"
        )
    for note in found.notes:
        console.print(f"note: {note}")
    console.print(_basin_table(found, options.energy))
    if found.basins.passes:
        console.print(_barrier_table(found, options.energy))
    with lock_folder(folder, "--output") as note:
        if note:
            console.print(note)
        _write_surface(folder / "fes.dat", found, options.energy)
        written = [folder / "fes.dat", folder / "fes.json"]
        unit = (options.energy, size)
        time = "time (ps)" if _in_ps(files, options) else "time (steps)"
        for picture in (
            draw_surface(folder / "fes.png", found, unit, thermal),
            draw_convergence(folder / "convergence.png", found, unit, time),
        ):
            written += [picture] if picture is not None else []
        numbers = _numbers(found, options, [*files, *options.colvar])
        for target in [folder / "fes.json", *([options.json_file] if options.json_file else [])]:
            write_json(target, finite(numbers), indent=2)
        console.print(f"written: {', '.join(str(path) for path in written)}")


def _require_temperature(files: Sequence[Path], temperature: float) -> None:
    """Refuse another temperature than that of a run of `rhopot metad`, which is in metad.json beside its files."""
    for run in {path.parent / METAD_JSON for path in files}:
        if not run.is_file():
            continue
        of_run = json.loads(run.read_text(encoding="utf-8"))["settings"]["temperature"]
        if temperature not in of_run:
            raise ValueError(
                f"--temperature must be that of the run, {' to '.join(f'{each:g}' for each in of_run)} K in '{run}', "
                f"got {temperature:g} K"
            )


def _analyzed(files: Sequence[Path], options: FesOptions) -> FreeEnergy:
    if not files and not options.colvar:
        raise ValueError("files must be hills, a .pmf, or --colvar, got none; e.g. rhopot fes HILLS --temperature 300")
    limits = dict(_period(text) for text in options.period)
    settings = AnalysisSettings(
        temperature=options.temperature,
        variables=tuple(options.variable),
        grid=tuple(_grid(text) for text in options.grid),
        weights=options.weights,
        biases=_biases(options.bias),
        skip=options.skip,
        bandwidth=tuple(options.bandwidth) or None,
        depth=None if options.depth is None else options.depth * ENERGIES[options.energy],
        last=options.last,
        errors=options.blocks,
    )
    if any(path.suffix == PMF for path in files):
        if len(files) > 1 or options.colvar:
            raise ValueError(f"a {PMF} file must be given alone, got {', '.join(map(str, [*files, *options.colvar]))}")
        return of_surface(load_pmf(files[0], units=options.units, names=options.variable), settings)
    frames = load_colvars(options.colvar, units=options.units, limits=limits)
    hills = None
    if files:
        hills = load_hills(
            files,
            units=options.units,
            biasfactor=options.biasfactor,
            names=options.variable,
            limits=limits,
            colvars=frames,
        )
    return analyze(hills, frames, settings)


def _grid(text: str) -> tuple[float, float, int]:
    words = text.split(",")
    if len(words) != 3 or not words[2].strip().isdigit():
        raise ValueError(f"--grid must be lo,hi,n with a whole number n, got {text!r}; e.g. 1.5,6.0,200")
    return number(words[0], "lo of --grid"), number(words[1], "hi of --grid"), int(words[2])


def _period(text: str) -> tuple[str, tuple[float, float]]:
    name, equals, ends = text.partition("=")
    words = ends.split(",")
    if not equals or len(words) != 2:
        raise ValueError(f"--period must be NAME=lo,hi, got {text!r}; e.g. phi=-180,180")
    low, high = (number(word, "--period") for word in words)
    if not low < high:
        raise ValueError(f"--period must be NAME=lo,hi with lo < hi, got {text!r}")
    return name, (low, high)


def _biases(names: Sequence[str]) -> tuple[str, ...] | None:
    """Columns of biases that were named; `none`: none; nothing named: None, all of them."""
    if list(names) == ["none"]:
        return ()
    return tuple(names) or None


def _thermal(options: FesOptions) -> float | None:
    return None if options.temperature is None else thermal_energy(options.temperature)


def _in_ps(files: Sequence[Path], options: FesOptions) -> bool:
    """Files of colvars have steps."""
    return all(units_of(path, None) is UNITS["plumed"] for path in [*files, *options.colvar] if path.suffix != PMF)


def _labels(found: FreeEnergy) -> list[str]:
    return [variable.label for variable in found.surface.grid.variables]


def _basin_table(found: FreeEnergy, energy: str) -> Any:
    """Places of the minima, free energies of minima and of basins."""
    size, basins = ENERGIES[energy], found.basins
    columns = ["basin", *_labels(found), f"F of minimum ({energy})"]
    if found.values.differences is not None:
        columns.append(f"F of basin ({energy})")
    if found.reweighted is not None:
        columns.append("reweighted")
    if found.errors is not None:
        columns.append("error")
    rows = []
    for k, node in enumerate(basins.minima):
        row = [str(k + 1), *(f"{value:.4g}" for value in basins.place(node))]
        row.append(_shown(found.surface.energy.ravel()[node] / size))
        for made in (found.values, found.reweighted, found.errors):
            if made is not None and made.differences is not None:
                row.append("-" if made is found.errors and k == 0 else _shown(made.differences[k] / size))
        rows.append(row)
    return table("", columns, rows)


def _barrier_table(found: FreeEnergy, energy: str) -> Any:
    """Barriers between neighboring basins, there and back."""
    size = ENERGIES[energy]
    columns = ["barrier", *_labels(found), f"height ({energy})"]
    columns += ["reweighted"] if found.reweighted is not None else []
    columns += ["error"] if found.errors is not None else []
    rows = []
    for k, each in enumerate(found.basins.passes):
        for way, (start, end) in enumerate(((each.first, each.second), (each.second, each.first))):
            row = [f"{start + 1} to {end + 1}", *(f"{value:.4g}" for value in found.basins.place(each.node))]
            for made in (found.values, found.reweighted, found.errors):
                if made is not None:
                    row.append(_shown(made.barriers[k, way] / size))
            rows.append(row)
    return table("", columns, rows)


def _shown(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not sampled"


def _write_surface(path: Path, found: FreeEnergy, energy: str) -> None:
    """A table of nodes, free energy, that of reweighted frames, its error, and basin (numbers from 1; 0: none)."""
    surface, size = found.surface, ENERGIES[energy]
    variables = surface.grid.variables
    columns = [surface.grid.nodes, surface.energy.reshape(-1, 1) / size]
    fields = [*(variable.name for variable in variables), "free_energy"]
    of_frames = found.of_frames
    if found.second is not None:
        fields.append("reweighted")
        columns.append(found.second.energy.reshape(-1, 1) / size)
    if of_frames is not None and of_frames.error is not None:
        fields.append("error")
        columns.append(of_frames.error.reshape(-1, 1) / size)
    columns.append(found.basins.labels.reshape(-1, 1) + 1.0)
    constants = {f"unit_{variable.name}": variable.unit for variable in variables if variable.unit}
    for variable in variables:
        if variable.limits is not None:
            constants |= {
                f"{end}_{variable.name}": f"{limit:.17g}"
                for end, limit in zip(("min", "max"), variable.limits, strict=True)
            }
    constants["unit_free_energy"] = energy
    write_table(path, [*fields, "basin"], np.concatenate(columns, axis=1), constants, digits=9)


def _numbers(found: FreeEnergy, options: FesOptions, files: Sequence[Path]) -> dict[str, Any]:
    """Everything that is printed, as plain values; energies in eV."""

    def plain(values: Any) -> Any:
        return None if values is None else np.asarray(values).tolist()

    basins, energy = found.basins, found.surface.energy.ravel()
    names = [variable.name for variable in found.surface.grid.variables]
    made = {"": found.values, "_reweighted": found.reweighted, "_error": found.errors}
    rows = [
        {
            "place": dict(zip(names, basins.place(node), strict=True)),
            "minimum_ev": float(energy[node]),
            **{
                f"free_energy{key}_ev": float(each.differences[k])
                for key, each in made.items()
                if each is not None and each.differences is not None
            },
        }
        for k, node in enumerate(basins.minima)
    ]
    passes = [
        {
            "basins": [each.first + 1, each.second + 1],
            "place": dict(zip(names, basins.place(each.node), strict=True)),
            **{
                f"{way}{key}_ev": float(numbers.barriers[k, column])
                for key, numbers in made.items()
                if numbers is not None
                for column, way in enumerate(("forward", "backward"))
            },
        }
        for k, each in enumerate(basins.passes)
    ]
    blocks = found.blocks
    return {
        "files": [str(path) for path in files],
        "temperature": options.temperature,
        "variables": [{"name": each.name, "unit": each.unit} for each in found.surface.grid.variables],
        "method": found.method,
        "frames": found.frames,
        "basins": rounded(rows),
        "barriers": rounded(passes),
        "convergence": {
            "times": plain(found.times),
            "free_energies_ev": rounded([plain(each.differences) for each in found.in_time]),
            "barriers_ev": rounded([plain(each.barriers) for each in found.in_time]),
        },
        "blocks": None
        if blocks is None
        else {
            "quantity": found.block_quantity,
            "lengths": list(blocks.lengths),
            "errors": rounded(list(blocks.errors)),
            "length": blocks.length,
            "converged": blocks.converged,
        },
        "notes": list(found.notes),
    }
