"""`rhopot relax`: structures at the nearest minimum of energy or enthalpy (`properties.relaxation`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError, filetype, ioformats

from rhopot.potentials import plots
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_structures import without_index
from rhopot.potentials.commands.property_task import OTHER_CRYSTAL, Measured, PropertyTask, Quantity
from rhopot.potentials.files import write_atomically
from rhopot.potentials.lammps.relaxation import CellRelaxation
from rhopot.potentials.properties.engine import Advance, Engine
from rhopot.potentials.properties.relaxation import Relaxation, largest_distance, relax, space_group

CELLS: tuple[CellRelaxation, ...] = ("fixed", "isotropic", "full")
# Largest accepted differences between the engines where forces are zero; what is left of them adds its share.
ENERGY = 1e-9  # eV/atom
LENGTH = 1e-5  # A
STIFFNESS = 0.1  # eV/A^2: of a soft mode
ROUNDED = 1e-3  # A: files of a format may round positions


def relax_structures(
    options: PropertyOptions, *, cell: str | None, pressure: float, keep_symmetry: bool, fmax: float
) -> None:
    """Relax each structure, print and plot what it came to, and write it."""
    if cell is not None and cell not in CELLS:
        raise ValueError(f"--cell must be one of {', '.join(CELLS)}, got '{cell}'")
    settings = {"cell": cell, "pressure": pressure, "keep_symmetry": keep_symmetry, "fmax": fmax}
    task = PropertyTask("relax", options, settings, several=True, constraints=True)
    quantities, further = {}, {}
    for name, atoms in task.structures.items():
        found = _relaxed(task, name, atoms, cell, pressure=pressure, keep_symmetry=keep_symmetry, fmax=fmax)
        task.evaluated[name] = found.main.atoms
        rows = list(_rows(found, cell=_cell(cell, atoms), pressure=pressure, fmax=fmax))
        groups = {"before": space_group(atoms), "after": space_group(found.main.atoms)}
        task.console.print(
            f"{name}: cell {_cell(cell, atoms)}, {len(found.main.energies)} steps; space group {groups['before']} "
            f"before and {groups['after']} after (within 0.01 A){task.lattice_constant(name, found.main.atoms)}"
        )
        files = [_write(task, name, found.main.atoms), *_write_as_given(task, name, found.main.atoms)]
        picture = _plot(task, name, found)
        task.console.print(f"structure: {', '.join(map(str, files))}; plot: {picture}")
        quantities[name] = rows
        further[name] = {"space_group": groups, "cell": found.main.atoms.cell.array}
    task.finish(quantities, {"relaxed": further})


def _cell(cell: str | None, atoms: Atoms) -> CellRelaxation:
    """What is to relax: by default the whole cell where the structure is periodic in three directions."""
    chosen = cell or ("full" if all(atoms.pbc) else "fixed")
    return next(each for each in CELLS if each == chosen)


def _relaxed(
    task: PropertyTask,
    name: str,
    atoms: Atoms,
    cell: str | None,
    *,
    pressure: float,
    keep_symmetry: bool,
    fmax: float,
) -> Measured[Relaxation]:
    moves = _cell(cell, atoms)
    if task.potential.pair is not None and not atoms.constraints:
        task.lammps(f"relax_{name}").write_relaxed(atoms, cell=moves, fmax=fmax, pressure=pressure)

    def compute(engine: Engine, start: Atoms, advance: Advance) -> Relaxation:
        found = relax(start, engine, cell=moves, fmax=fmax, pressure=pressure, keep_symmetry=keep_symmetry)
        advance(1)
        return found

    return _of_the_same_crystal(task, name, task.measure(name, atoms, Relaxation, compute, total=1, cell=None))


def _of_the_same_crystal(task: PropertyTask, name: str, found: Measured[Relaxation]) -> Measured[Relaxation]:
    """Leave out members that relax into a crystal of another volume, of which no error bar is one, and say so."""
    volume = found.main.atoms.cell.volume
    same = [each for each in found.members if abs(each.atoms.cell.volume - volume) <= OTHER_CRYSTAL * volume]
    others = len(found.members) - len(same)
    if not others:
        return found
    enough = len(same) > others
    task.console.print(
        f"note: {name}: {others} of {len(found.members)} members relax to a volume that differs by more than "
        f"{OTHER_CRYSTAL:.0%}{'' if enough else '; too few are left for an error bar'}"
    )
    return replace(found, members=same if enough else [], numbers=())


def _rows(found: Measured[Relaxation], *, cell: CellRelaxation, pressure: float, fmax: float) -> Iterator[Quantity]:
    """Rows of the table; an energy is stationary where no pressure is given, else the enthalpy is."""
    energy, length = ENERGY + fmax**2 / (2 * STIFFNESS), LENGTH + fmax / STIFFNESS
    yield Quantity.of(found, "energy", "eV/atom", lambda each: each.energy, energy if pressure == 0.0 else None)
    if pressure != 0.0:
        yield Quantity.of(found, "enthalpy", "eV/atom", lambda each: each.enthalpy(pressure), energy)
    if cell != "fixed":
        yield Quantity.of(
            found, "volume", "A^3/atom", lambda each: each.atoms.get_volume() / len(each.atoms), 10 * length
        )
        for k, (row, unit) in enumerate(zip(("a", "b", "c", "alpha", "beta", "gamma"), "AAAddd", strict=True)):
            limit = length if unit == "A" else np.degrees(length / found.main.cell()[:3].min())
            unit = "A" if unit == "A" else "degrees"
            yield Quantity.of(found, row, unit, lambda each, k=k: each.cell()[k], limit)  # type: ignore[misc]
    reference = found.main.atoms
    for row, unit, number, limit in (
        ("distance from the first engine", "A", lambda each: largest_distance(reference, each.atoms), length),
        ("largest force", "eV/A", lambda each: each.largest_force, None),
        ("pressure", "GPa", lambda each: each.pressure, None),
    ):
        known = {"pressure": all(reference.pbc), "largest force": True}.get(row, len(found.by_engine) > 1)
        if not known:
            continue
        # What an optimizer leaves: members have no error bar to give it.
        yield Quantity(row, unit, {name: number(each) for name, each in found.by_engine.items()}, [], limit)


def _write(task: PropertyTask, name: str, atoms: Atoms) -> Path:
    path = task.folder / f"relaxed_{name}.extxyz"
    write_atomically(path, lambda partial: ase.io.write(partial, atoms, format="extxyz"))
    return path


def _write_as_given(task: PropertyTask, name: str, atoms: Atoms) -> Iterator[Path]:
    """Write the structure in the format it was given in, where ASE writes that and reads the same structure back."""
    inputs = [without_index(Path(each)) for each in task.options.inputs]
    given = next((each for each in inputs if each.stem == name), None)
    if given is None:
        return
    try:
        kind = filetype(str(given), read=True)
    except UnknownFileTypeError:
        return
    if kind == "extxyz":
        return
    path = task.folder / f"relaxed_{name}{given.suffix}"
    try:
        if not ioformats[kind].can_write:
            raise ValueError("ASE does not write this format")
        write_atomically(
            path, lambda partial: ase.io.write(partial, atoms, format=kind), lambda it: _same(it, kind, atoms)
        )
    except Exception as error:
        task.console.print(f"{name}: not written as {kind} ({str(error).splitlines()[0] if str(error) else kind})")
        return
    yield path


def _same(path: Path, kind: str, atoms: Atoms) -> None:
    back = ase.io.read(path, format=kind)
    assert isinstance(back, Atoms)
    order = np.argsort(atoms.numbers, kind="stable"), np.argsort(back.numbers, kind="stable")
    same = len(back) == len(atoms) and np.array_equal(back.numbers[order[1]], atoms.numbers[order[0]])
    if not same or np.abs(back.cell.cellpar() - atoms.cell.cellpar()).max() > ROUNDED:
        raise ValueError("the file would hold another structure")
    if largest_distance(atoms[order[0]], back[order[1]]) > ROUNDED:
        raise ValueError("the file would hold other positions")


def _plot(task: PropertyTask, name: str, found: Measured[Relaxation]) -> Path:
    """Energy above the lowest one and largest force, step by step, of the first engine."""
    several = len(task.structures) > 1
    path = task.folder / (f"relax_{name}.png" if several else "relax.png")
    each = found.main
    above = 1000.0 * (each.energies - each.energies.min()) / len(each.atoms)
    panels = {
        "energy above the lowest (meV/atom)": {name: above.tolist()},
        "largest force (eV/A)": {name: np.maximum(each.forces, 1e-16).tolist()},  # by symmetry it may be zero
    }
    title = f"{name}, {next(iter(found.by_engine))}"
    return plots.epochs(path, range(1, len(above) + 1), panels, title, xlabel="step")
