"""`rhopot diffusion`: diffusion coefficients over temperatures, activation energies and ionic conductivity."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials import plots
from rhopot.potentials.commands.md import print_run, start_rows
from rhopot.potentials.commands.md_request import MdRequest
from rhopot.potentials.commands.md_runs import run_dynamics_in, write_input
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import PropertyTask, Quantity, hold_folder
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.files import finite, write_json
from rhopot.potentials.lammps.dynamics_settings import Ended
from rhopot.potentials.properties.diffusion import (
    Arrhenius,
    Diffusion,
    arrhenius,
    conductivity,
    diffusion_coefficient,
    fitted_times,
    require_charges,
)
from rhopot.potentials.properties.dynamics_ase import RunFiles
from rhopot.potentials.properties.kept import plain
from rhopot.potentials.properties.mean_squared_displacement import mean_squared_displacements, paths_of
from rhopot.potentials.structures.velocities import thermal_momenta
from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class Analysis:
    """How trajectories are read. ballistic: ps; skip: fraction of the frames at the start; charges by element."""

    ballistic: float
    blocks: int
    skip: float
    charges: Mapping[str, float]


@dataclass(frozen=True)
class AtTemperature:
    """One trajectory: diffusion by element, conductivity (S/cm; None without charges), lags (ps) and MSD (A^2).

    run: folder of the trajectory, where several runs are read
    """

    kelvin: float
    of_elements: dict[str, Diffusion]
    conductivity: float | None
    conductivity_error: float | None
    lags: Floats
    displacements: dict[str, Floats]
    run: str = ""


def diffusion(
    options: PropertyOptions,
    request: MdRequest,
    *,
    temperatures: str | None,
    runs: Sequence[Path],
    charge: Sequence[str],
    ballistic: float,
    blocks: int,
) -> None:
    """Run dynamics at the temperatures, or read runs of `rhopot md`; print, plot and write their diffusion."""
    analysis = Analysis(ballistic, blocks, request.skip, _charges(charge))
    if bool(runs) == (temperatures is not None):
        raise ValueError(
            "temperatures must be given, or folders of rhopot md by --run, got "
            + ("both" if runs else "neither")
            + "; write --temperatures 600,800"
        )
    if runs:
        _read(options, runs, analysis)
    else:
        _run(options, request, _kelvins(str(temperatures)), analysis)


def _run(options: PropertyOptions, request: MdRequest, kelvins: Sequence[float], analysis: Analysis) -> None:
    requests = [replace(request, temperature=(kelvin,)) for kelvin in kelvins]

    def require(task: PropertyTask) -> None:
        for own in requests:
            own.require(task.structure, task.potential)
        _require_analysis(request, request.supercell(task.structure), analysis)

    task = PropertyTask("diffusion", options, request.key() | {"temperature": None, "steps": None}, require=require)
    name = next(iter(task.structures))
    cell = task.relaxed(name, task.structure) if task.is_prototype(name) else task.structure
    atoms = request.supercell(cell)
    atoms.calc = None
    found: dict[str, list[AtTemperature]] = {engine: [] for engine in task.engines}
    for kelvin, own in zip(kelvins, requests, strict=True):
        settings, limits = own.settings(atoms), own.limits(atoms, task.potential)
        start = atoms.copy()
        start.set_momenta(thermal_momenta(atoms, kelvin, settings.seed))
        folder = task.folder / f"{kelvin:g}K"
        print_run(task, start, settings, limits)
        folder.mkdir(parents=True, exist_ok=True)
        write_input(task, folder, start, settings, limits)
        for engine in task.engines:
            task.kept.refuse_fewer_steps(f"{kelvin:g} K, {engine}: ", settings.steps, folder)
            with bar(task.console, f"{kelvin:g} K, {engine}", settings.steps) as advance:
                ended = task.kept.get(
                    f"{kelvin:g} K, {engine}: {settings.steps} steps",
                    Ended,
                    lambda: run_dynamics_in(task, engine, folder, start, settings, limits, advance),  # noqa: B023
                )
            if ended.kind:
                raise RuntimeError(
                    f"{engine} stopped at {kelvin:g} K, step {ended.step}: {ended.reason}; frame in "
                    f"{RunFiles(folder, engine).stopped}"
                )
            frames = _frames(RunFiles(folder, engine).trajectory, analysis)
            found[engine].append(at_temperature(frames, settings.every * settings.timestep / 1000.0, kelvin, analysis))
    rows = start_rows(task, start, settings.timestep) if len(task.engines) > 1 else []
    lines = {engine: lines_of(each) for engine, each in found.items()}
    rows += quantities(found, lines)
    written = _pictures(task.folder, task.potential.name, found, lines)
    for line in [f"plots: {', '.join(written)}", *_fitted(found, analysis), *_immeasurable(found)]:
        task.console.print(line)
    task.finish({name: rows}, _further(analysis, found, lines, len(atoms)))


def _require_analysis(request: MdRequest, atoms: Atoms, analysis: Analysis) -> None:
    """Refuse runs too short for the analysis, and charges of absent elements, before anything runs."""
    settings = request.settings(atoms)
    recorded = settings.steps // settings.every + 1
    fitted_times(
        recorded - int(analysis.skip * recorded),
        settings.every * settings.timestep / 1000.0,
        ballistic=analysis.ballistic,
        blocks=analysis.blocks,
    )
    require_charges(analysis.charges, sorted(set(atoms.symbols)))


def _read(options: PropertyOptions, runs: Sequence[Path], analysis: Analysis) -> None:
    """Diffusion of the trajectories in folders of `rhopot md`."""
    if len({folder.resolve() for folder in runs}) < len(runs):
        raise ValueError(f"--run must be different folders, got {', '.join(map(str, runs))}; name each once")
    found: dict[str, list[AtTemperature]] = {}
    for folder in runs:
        file = folder / "md.json"
        if not file.is_file():
            raise ValueError(
                f"--run must be a folder of rhopot md, got '{folder}' without md.json; finish that run first"
            )
        numbers = json.loads(file.read_text(encoding="utf-8"))
        dynamics = numbers["dynamics"]
        first, last = dynamics["temperature"]
        if first != last or dynamics["ensemble"] == "nve":
            raise ValueError(
                f"--run must be dynamics at one temperature, nvt or npt, got {dynamics['ensemble']} from {first:g} to "
                f"{last:g} K in '{folder}'; leave it out"
            )
        for engine in numbers["engines"]:
            frames = _frames(RunFiles(folder, engine).trajectory, analysis)
            interval = dynamics["every"] * dynamics["timestep"] / 1000.0
            found.setdefault(engine, []).append(at_temperature(frames, interval, first, analysis, str(folder)))
    found = dict(sorted(found.items()))
    _require_one_material([each for values in found.values() for each in values])
    lines = {engine: lines_of(each) for engine, each in found.items()}
    rows = quantities(found, lines)
    folder, console = options.output or Path("diffusion"), make_console()
    hold_folder(folder, options, console)
    file = folder / "diffusion.json"
    if file.exists() and not options.overwrite:
        raise ValueError(f"output must be a new folder, got '{folder}' with results; name another, or give --overwrite")
    cells = [[row.name, *(row.shown(engine) for engine in found), row.unit] for row in rows]
    console.print(table("", ["", *found, "unit"], cells))
    written = _pictures(folder, ", ".join(str(run) for run in runs), found, lines)
    numbers = {
        "property": "diffusion",
        "runs": [str(run) for run in runs],
        "engines": list(found),
        "structures": {"runs": {row.name: row.as_dict() for row in rows}},
        **_further(analysis, found, lines, None),
    }
    for target in [file, *([options.json_file] if options.json_file else [])]:
        write_json(target, finite(plain(numbers)), indent=2)
    for line in [f"plots: {', '.join(written)}; numbers: {file}", *_fitted(found, analysis), *_immeasurable(found)]:
        console.print(line)


def _require_one_material(runs: Sequence[AtTemperature]) -> None:
    """Refuse runs of which one line of Arrhenius would mix materials."""
    for other in runs[1:]:
        if set(other.of_elements) != set(runs[0].of_elements):
            raise ValueError(
                f"--run must be runs of one material, got {', '.join(runs[0].of_elements)} in '{runs[0].run}' and "
                f"{', '.join(other.of_elements)} in '{other.run}'; analyze them one by one"
            )


def at_temperature(
    frames: list[Atoms], interval: float, kelvin: float, analysis: Analysis, run: str = ""
) -> AtTemperature:
    """Diffusion of the elements of one trajectory; frames are `interval` ps apart."""
    paths = paths_of(frames)
    symbols = np.array(frames[0].get_chemical_symbols())
    fits, displacements = {}, {}
    for symbol in np.unique(symbols):
        own = paths[:, symbols == symbol]
        fits[str(symbol)] = diffusion_coefficient(own, interval, ballistic=analysis.ballistic, blocks=analysis.blocks)
        displacements[str(symbol)] = mean_squared_displacements(own)
    sigma = error = None
    if analysis.charges:
        counts = {symbol: int((symbols == symbol).sum()) for symbol in fits}
        volume = float(np.mean([frame.get_volume() for frame in frames]))

        def of(coefficients: Mapping[str, float]) -> float:
            return conductivity(coefficients, counts, analysis.charges, volume, kelvin)

        sigma = of({symbol: fit.coefficient for symbol, fit in fits.items()})
        of_blocks = [of({s: float(fit.blocks[k]) for s, fit in fits.items()}) for k in range(analysis.blocks)]
        error = float(np.std(of_blocks, ddof=1) / np.sqrt(analysis.blocks))
    lags = np.asarray(np.arange(len(frames)) * interval, dtype=np.float64)
    return AtTemperature(kelvin, fits, sigma, error, lags, displacements, run)


def by_label(found: Mapping[str, Sequence[AtTemperature]]) -> dict[str, dict[str, AtTemperature]]:
    """Trajectories of the engines by temperature, `600 K`, in its order.

    Where an engine has several at one, by their folders as well: `600 K, FOLDER`.
    """
    counts = Counter((engine, f"{each.kelvin:g}") for engine, values in found.items() for each in values)
    several = {kelvin for (_, kelvin), count in counts.items() if count > 1}
    labelled: dict[str, dict[str, AtTemperature]] = {}
    each_of = [(engine, each) for engine, values in found.items() for each in values]
    for engine, each in sorted(each_of, key=lambda pair: pair[1].kelvin):
        label = f"{each.kelvin:g} K" + (f", {each.run}" if f"{each.kelvin:g}" in several else "")
        labelled.setdefault(label, {})[engine] = each
    return labelled


def lines_of(found: Sequence[AtTemperature]) -> dict[str, Arrhenius]:
    """Arrhenius line of each element that diffuses measurably at two temperatures or more; others are left out."""
    lines = {}
    for symbol in found[0].of_elements if found else ():
        values = [(each.kelvin, each.of_elements[symbol]) for each in found if each.of_elements[symbol].measurable]
        if len({kelvin for kelvin, _ in values}) > 1:
            lines[symbol] = arrhenius(
                [kelvin for kelvin, _ in values],
                [fit.coefficient for _, fit in values],
                [fit.error for _, fit in values],
            )
    return lines


def quantities(
    found: Mapping[str, Sequence[AtTemperature]], lines: Mapping[str, Mapping[str, Arrhenius]]
) -> list[Quantity]:
    """Rows of the table; engines are two runs of chaotic dynamics, which are compared by their errors only."""
    rows = []
    for label, at in by_label(found).items():
        each = next(iter(at.values()))
        for symbol in each.of_elements:
            rows.append(
                Quantity(
                    f"D of {symbol} at {label}",
                    "cm^2/s",
                    {engine: value.of_elements[symbol].coefficient for engine, value in at.items()},
                    [],
                    errors={engine: value.of_elements[symbol].error for engine, value in at.items()},
                )
            )
        if each.conductivity is not None:
            rows.append(
                Quantity(
                    f"conductivity at {label}",
                    "S/cm",
                    {engine: float(value.conductivity or 0.0) for engine, value in at.items()},
                    [],
                    errors={engine: float(value.conductivity_error or 0.0) for engine, value in at.items()},
                )
            )
    for symbol in dict.fromkeys(symbol for each in lines.values() for symbol in each):
        energies = {engine: each[symbol] for engine, each in lines.items() if symbol in each}
        if energies:
            values, errors = ({e: getattr(a, key) for e, a in energies.items()} for key in ("energy", "error"))
            rows.append(Quantity(f"activation energy of {symbol}", "eV", values, [], errors=errors))
            rows.append(Quantity(f"D0 of {symbol}", "cm^2/s", {e: a.prefactor for e, a in energies.items()}, []))
    return rows


def _pictures(
    folder: Path,
    title: str,
    found: Mapping[str, Sequence[AtTemperature]],
    lines: Mapping[str, Mapping[str, Arrhenius]],
) -> list[str]:
    written = []
    for engine in found:
        series = {
            (symbol, label): (at[engine].lags, at[engine].displacements[symbol], at[engine].of_elements[symbol])
            for label, at in by_label(found).items()
            if engine in at
            for symbol in at[engine].of_elements
        }
        written.append(plots.fitted_displacements(folder / f"msd_{engine}.png", series, f"{title} ({engine})").name)
    points = {
        symbol if len(found) == 1 else f"{symbol}, {engine}": (
            [each.kelvin for each in found[engine] if each.of_elements[symbol].measurable],
            [each.of_elements[symbol].coefficient for each in found[engine] if each.of_elements[symbol].measurable],
            [each.of_elements[symbol].error for each in found[engine] if each.of_elements[symbol].measurable],
            line.at,
        )
        for engine, of_engine in lines.items()
        for symbol, line in of_engine.items()
    }
    if points:
        written.append(plots.arrhenius(folder / "arrhenius.png", points, title).name)
    return written


def _further(
    analysis: Analysis,
    found: Mapping[str, Sequence[AtTemperature]],
    lines: Mapping[str, Mapping[str, Arrhenius]],
    n_atoms: int | None,
) -> dict[str, Any]:
    return {
        "n_atoms": n_atoms,
        "analysis": asdict(analysis),
        "error_method": f"standard error over {analysis.blocks} blocks of the trajectory",
        "fits": {
            engine: {
                label.replace(" K", "", 1): {
                    symbol: {**plain(fit), "measurable": fit.measurable}
                    for symbol, fit in at[engine].of_elements.items()
                }
                for label, at in by_label(found).items()
                if engine in at
            }
            for engine in found
        },
        "arrhenius": {
            engine: {symbol: asdict(line) for symbol, line in each.items()} for engine, each in lines.items()
        },
    }


def _frames(trajectory: Path, analysis: Analysis) -> list[Atoms]:
    frames = list(ase.io.iread(trajectory, index=":"))
    return frames[int(analysis.skip * len(frames)) :]


def _fitted(found: Mapping[str, Sequence[AtTemperature]], analysis: Analysis) -> list[str]:
    """A sentence about the times that lines were fitted over, one for each length of the runs."""
    fits = [fit for values in found.values() for each in values for fit in each.of_elements.values()]
    sentences = []
    for first, last in dict.fromkeys((fit.first, fit.last) for fit in fits):
        short = last - first < analysis.ballistic
        note = "; note: that is less than the ballistic time, run longer or give fewer --blocks" if short else ""
        sentences.append(f"lines are fitted from {first:.4g} to {last:.4g} ps, half of a block{note}")
    return sentences


def _immeasurable(found: Mapping[str, Sequence[AtTemperature]]) -> list[str]:
    """A sentence for each engine about what has not diffused."""
    sentences = []
    for engine in found:
        names = [
            f"{symbol} at {label}"
            for label, at in by_label(found).items()
            if engine in at
            for symbol, fit in at[engine].of_elements.items()
            if not fit.measurable
        ]
        if names:
            sentences.append(
                f"{engine}: no measurable diffusion (D below two errors, or displacements of a vibration) of "
                f"{', '.join(names)}; left out of activation energies, run longer"
            )
    return sentences


def _kelvins(text: str) -> list[float]:
    try:
        values = sorted({float(word) for word in text.split(",")})
    except ValueError as error:
        raise ValueError(f"temperatures must be numbers in K, got '{text}'; write 600,800,1000") from error
    if len({f"{value:g}" for value in values}) < len(values):
        raise ValueError(f"temperatures must differ in six digits, got '{text}'; write each once")
    return values


def _charges(words: Sequence[str]) -> dict[str, float]:
    charges = {}
    for word in words:
        symbol, _, value = word.partition("=")
        try:
            charges[symbol] = float(value)
        except ValueError as error:
            raise ValueError(f"charge must be ELEMENT=NUMBER, got '{word}'; write Li=1") from error
        if not np.isfinite(charges[symbol]):
            raise ValueError(f"charge must be ELEMENT=NUMBER, got '{word}'; write Li=1")
    return charges
