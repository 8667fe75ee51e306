"""`rhopot phonons`: frequencies, density of states, thermodynamic functions (the computation: `properties.phonons`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.phonon_settings import PhononSettings, parse_supercell
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import Measured, PropertyTask, Quantity
from rhopot.potentials.commands.thermal_expansion import thermal_expansion
from rhopot.potentials.properties.engine import Advance, Engine
from rhopot.potentials.properties.phonons import (
    DisplacedForces,
    Phonons,
    Thermodynamics,
    degenerate,
    displaced,
    displaced_forces,
    set_up,
)
from rhopot.potentials.properties.supercells import HEIGHT, MAX_ATOMS, heights, smallest_supercell
from rhopot.potentials.units import Floats

AGREEMENT = 1e-3  # THz between the engines
ENERGY_AGREEMENT = 1e-5  # eV/atom, and relative for entropy and heat capacity: what 1e-3 THz come to
SHOWN = 5  # imaginary modes named


def phonons(options: PropertyOptions, settings: PhononSettings) -> None:
    """Print, plot and write the phonons of one crystal."""
    task = PropertyTask("phonons", options, settings.of_forces)
    name = next(iter(task.structures))
    crystal = task.relaxed(name, task.structure)
    if crystal.get_initial_charges().any() or crystal.get_initial_magnetic_moments().any():
        raise ValueError(
            f"{name} must have no initial charges and magnetic moments, which phonopy's supercells do not carry; "
            "remove them from the file"
        )
    supercell = _supercell(task, crystal, settings.supercell)
    forces = _forces(task, name, crystal, supercell, settings.displacement)
    found = Measured({engine: Phonons(each) for engine, each in forces.by_engine.items()}, _of_members(forces.members))
    task.console.print(
        f"undisplaced forces {forces.main.residual:.1g} eV/A; acoustic sum rule before it is imposed: "
        f"{found.main.drift:.1g} eV/A^2, acoustic modes at Gamma {found.main.acoustic:.1g} THz"
    )
    unstable = _imaginary(task, name, found.main, settings)
    rows = [*_special_points(found), *_path_difference(found)]
    further: dict[str, Any] = {
        "settings_of_evaluation": settings,
        "supercell": supercell,
        "cell": crystal.cell.array,
        "imaginary": unstable,
    }
    if not unstable:
        functions = _thermodynamics(task, found, settings)
        rows += list(_at_room_temperature(functions, settings.tabulated_temperature))
        further["thermodynamics"] = functions.by_engine
        _plot_thermodynamics(task, functions)
    further |= _bands_and_density(task, found, settings.mesh)
    task.console.print(f"for phonopy: {', '.join(map(str, found.main.write(task.folder, name)))}")
    if settings.qha:
        if unstable:
            raise ValueError(
                f"--qha must have a crystal without imaginary modes, got {_words(unstable)}; see the bands"
            )
        expansion = thermal_expansion(task, name, crystal, supercell, settings)
        rows += expansion.quantities(settings.tabulated_temperature)
        further["quasi_harmonic"] = expansion.found.by_engine
    task.finish({name: rows}, further)


def _supercell(task: PropertyTask, crystal: Atoms, words: str | None) -> Floats:
    """The supercell that was asked for, or the smallest that is high enough; printed with its heights."""
    needed = 2.0 * task.potential.reach if task.potential.reach else HEIGHT
    chosen = parse_supercell(words) if words else smallest_supercell(crystal, max(needed, HEIGHT))
    count = round(abs(np.linalg.det(chosen))) * len(crystal)
    high = heights(chosen @ crystal.cell.array)
    task.console.print(
        f"supercell of {count} atoms, {chosen.astype(int).tolist()} of the cell, heights "
        f"{', '.join(f'{height:.2f}' for height in high)} A"
        + (f" (two cutoffs: {needed:g} A)" if task.potential.reach else "")
    )
    if high.min() < needed - 1e-6:
        reason = "" if words else f", for larger ones would have more than {MAX_ATOMS} atoms"
        task.console.print(
            f"caution: a height below {needed:g} A{reason}; forces reach beyond half of the supercell, compare with a "
            "larger --supercell"
        )
    return chosen


def _forces(
    task: PropertyTask, name: str, crystal: Atoms, supercell: Floats, displacement: float
) -> Measured[DisplacedForces]:
    atoms, positions = displaced(set_up(crystal, supercell, displacement))
    task.console.print(f"{len(positions) - 1} displacements of {displacement:g} A")
    if task.potential.pair is not None:
        task.lammps(f"phonons_{name}").write_forces(atoms, positions)

    def compute(engine: Engine, start: Atoms, advance: Advance) -> DisplacedForces:
        return displaced_forces(start, engine, supercell, displacement=displacement, advance=advance)

    return task.measure(name, crystal, DisplacedForces, compute, total=len(positions))


def _of_members(members: list[DisplacedForces]) -> list[Phonons]:
    return [Phonons(each) for each in members]


def _imaginary(task: PropertyTask, name: str, found: Phonons, settings: PhononSettings) -> list[dict[str, Any]]:
    """Imaginary modes of path and mesh, printed; empty for a stable crystal."""
    modes = [{"q": q, "frequency": f} for q, f in found.imaginary(settings.mesh, settings.tolerance)]
    if modes:
        task.console.print(
            f"IMAGINARY modes: {name} is not stable, {len(modes)} points of path and mesh have frequencies below "
            f"-{settings.tolerance:g} THz: {_words(modes)}; no thermodynamic functions"
        )
    else:
        task.console.print(f"no imaginary mode beyond {settings.tolerance:g} THz on path and mesh")
    return modes


def _words(modes: list[dict[str, Any]]) -> str:
    named = [f"{mode['frequency']:.3g} THz at q = ({', '.join(f'{x:.3g}' for x in mode['q'])})" for mode in modes]
    return ", ".join(named[:SHOWN]) + (", ..." if len(named) > SHOWN else "")


def _special_points(found: Measured[Phonons]) -> Iterator[Quantity]:
    """Frequencies at the special points, equal ones once: of one point, and of points that symmetry makes equal."""
    shown: list[Floats] = []
    for label, point in found.main.special_points.items():
        of_engines = {engine: each.frequencies([point])[0] for engine, each in found.by_engine.items()}
        main = next(iter(of_engines.values()))
        if any(np.abs(main - other).max() < 1e-6 for other in shown):
            continue
        shown.append(main)
        of_members = [each.frequencies([point])[0] for each in found.members]
        for group in degenerate(main):
            branches = f"{group.start + 1}" if group.stop == group.start + 1 else f"{group.start + 1}-{group.stop}"
            yield Quantity(
                f"{label} {branches}",
                "THz",
                {engine: float(each[group].mean()) for engine, each in of_engines.items()},
                [float(each[group].mean()) for each in of_members],
                AGREEMENT,
            )


def _path_difference(found: Measured[Phonons]) -> Iterator[Quantity]:
    """The largest difference between the engines at any point of the path, where both computed."""
    if len(found.by_engine) > 1:
        points = found.main.bands.points
        values = {
            engine: float(np.abs(each.frequencies(points) - found.main.bands.frequencies).max())
            for engine, each in found.by_engine.items()
        }
        yield Quantity("largest difference on the path", "THz", values, [], AGREEMENT)


def _thermodynamics(task: PropertyTask, found: Measured[Phonons], settings: PhononSettings) -> Measured[Thermodynamics]:
    stable = [each for each in found.members if not each.imaginary(settings.mesh, settings.tolerance)]
    if len(stable) < len(found.members):
        task.console.print(
            f"{len(found.members) - len(stable)} of {len(found.members)} members have imaginary modes and count for no "
            "error bar of thermodynamic functions"
        )
    return Measured(
        {engine: each.thermodynamics(settings.temperatures, settings.mesh) for engine, each in found.by_engine.items()},
        [each.thermodynamics(settings.temperatures, settings.mesh) for each in stable],
    )


def _at_room_temperature(functions: Measured[Thermodynamics], temperature: float) -> Iterator[Quantity]:
    at = f"at {temperature:g} K"
    yield Quantity.of(
        functions, "zero-point energy", "eV/atom", lambda each: float(each.free_energy[0]), ENERGY_AGREEMENT
    )
    for name, words, unit in (
        ("free_energy", "free energy", "eV/atom"),
        ("entropy", "entropy", "k_B/atom"),
        ("heat_capacity", "heat capacity C_V", "k_B/atom"),
    ):
        limit = ENERGY_AGREEMENT if unit == "eV/atom" else 1e-3
        yield Quantity.of(functions, f"{words} {at}", unit, lambda each, name=name: each.at(name, temperature), limit)  # type: ignore[misc]


def _bands_and_density(task: PropertyTask, found: Measured[Phonons], mesh: float) -> dict[str, Any]:
    """Draw bands and density of states; their numbers for the JSON file."""
    bands = {engine: each.bands for engine, each in found.by_engine.items()}
    density = {engine: each.density_of_states(mesh) for engine, each in found.by_engine.items()}
    main = found.main.bands
    errors = [
        (x, float(frequency), float(deviation))
        for x, label in (main.ticks if found.members else [])
        for point in [found.main.special_points[label.split("|")[0]]]
        for frequency, deviation in zip(
            found.main.frequencies([point])[0],
            np.std([each.frequencies([point])[0] for each in found.members], axis=0),
            strict=True,
        )
    ]
    lines = {engine: [(each.x[a:b], each.frequencies[a:b]) for a, b in each.pieces] for engine, each in bands.items()}
    picture = property_plots.phonon_bands(
        task.folder / "phonons.png", lines, main.ticks, density, errors, task.potential.name
    )
    task.console.print(f"plot: {picture}")
    special = {
        label: {"q": q, **{engine: each.frequencies([q])[0] for engine, each in found.by_engine.items()},
                "members": [each.frequencies([q])[0] for each in found.members]}
        for label, q in found.main.special_points.items()
    }  # fmt: skip
    states = {engine: {"frequencies": f, "states": d} for engine, (f, d) in density.items()}
    return {"special_points": special, "bands": bands, "density_of_states": states}


def _plot_thermodynamics(task: PropertyTask, functions: Measured[Thermodynamics]) -> None:
    panels: dict[str, tuple[dict[str, Floats], Floats | None]] = {}
    for name, label in (
        ("free_energy", "free energy (eV/atom)"),
        ("entropy", "entropy (k$_B$/atom)"),
        ("heat_capacity", "heat capacity C$_V$ (k$_B$/atom)"),
    ):
        curves = {engine: getattr(each, name) for engine, each in functions.by_engine.items()}
        members = [getattr(each, name) for each in functions.members]
        panels[label] = (curves, np.std(members, axis=0) if members else None)
    picture = property_plots.of_temperature(
        task.folder / "phonons_thermodynamics.png", functions.main.temperatures, panels, task.potential.name
    )
    task.console.print(f"plot: {picture}")
