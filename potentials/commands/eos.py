"""`rhopot eos`: energy against volume and bulk modulus (the computation: `properties.equation_of_state`)."""

from __future__ import annotations

from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import Measured, PropertyTask, Quantity
from rhopot.potentials.properties.engine import Advance, Engine
from rhopot.potentials.properties.equation_of_state import (
    EquationOfState,
    at_least_energy,
    equation_of_state,
    volume_cells,
)

AGREEMENT = 1e-3  # relative difference of moduli between the engines


def eos(
    options: PropertyOptions, *, extent: float, points: int, fit_extent: float, relax: bool, fmax: float | None
) -> None:
    """Print, plot and write the equation of state of each structure."""
    if fit_extent > extent:
        raise ValueError(f"--fit-extent must be at most --extent, got {fit_extent:g} and {extent:g}; reduce it")
    settings = {"extent": extent, "points": points, "fit_extent": fit_extent, "relax": relax, "fmax": fmax}
    task = PropertyTask("eos", options, settings, several=True)
    force = task.fmax if fmax is None else fmax

    def compute(engine: Engine, atoms: Atoms, advance: Advance) -> EquationOfState:
        return equation_of_state(
            atoms,
            engine,
            extent=extent,
            points=points,
            fit_extent=fit_extent,
            relax=relax,
            fmax=force,
            advance=advance,
        )

    found: dict[str, Measured[EquationOfState]] = {}
    for name, atoms in task.structures.items():
        start = _start(task, name, atoms, force)
        if task.potential.pair is not None:
            cells = volume_cells(start, extent, points)
            task.lammps(f"eos_{name}").write_in_cells(start, cells, relax=relax, fmax=force)
        # As `_start`: positions of a file's structure stay as they are unless --relax is given, also for the members.
        own = None if task.is_prototype(name) else _at_least_energy
        found[name] = task.measure(
            name, start, EquationOfState, compute, total=points, cell="isotropic", fmax=force, own=own
        )
    picture = property_plots.equations_of_state(
        task.folder / "eos.png",
        {name: (each.main.volumes, each.main.energies) for name, each in found.items()},
        {name: (each.main.volumes, each.main.moduli) for name, each in found.items()},
        task.potential.name,
    )
    task.console.print(f"plot: {picture}")
    curves = {name: measured.by_engine for name, measured in found.items()}
    task.finish({name: _quantities(task, each) for name, each in found.items()}, {"curves": curves})


def _at_least_energy(engine: Engine, atoms: Atoms) -> Atoms:
    return at_least_energy(atoms, engine)


def _start(task: PropertyTask, name: str, atoms: Atoms, fmax: float) -> Atoms:
    """A prototype relaxed, its symmetry kept; a file's structure scaled to its volume of least energy."""
    if task.is_prototype(name):
        return task.relaxed(name, atoms, fmax=fmax)
    engine = task.engine(task.engines[0], f"volume_{name}")
    return task.kept.get(f"{name}: volume by {task.engines[0]}", Atoms, lambda: at_least_energy(atoms, engine))


def _quantities(task: PropertyTask, found: Measured[EquationOfState]) -> list[Quantity]:
    energy, modulus = task.limit(1e-9, 1e-5), task.limit(AGREEMENT, 10 * AGREEMENT)
    return [
        Quantity.of(found, "lowest energy", "eV/atom", lambda each: each.energy0, energy),
        Quantity.of(found, "V0 (Birch-Murnaghan)", "A^3/atom", lambda each: each.birch_volume0, modulus, relative=True),
        Quantity.of(found, "K (parabola)", "GPa", lambda each: each.bulk_modulus_gpa, modulus, relative=True),
        Quantity.of(found, "K (Birch-Murnaghan)", "GPa", lambda each: each.birch_modulus_gpa, modulus, relative=True),
        Quantity.of(found, "dK/dP (Birch-Murnaghan)", "", lambda each: each.birch_derivative),
        Quantity.of(found, "parabola off by", "meV/atom", lambda each: each.residual_mev),
        Quantity.of(found, "pressure - (-dE/dV)", "GPa", lambda each: each.pressure_residual),
    ]
