"""`rhopot defects`: formation energies of point defects in supercells (the computation: `properties.defects`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import PropertyTask, Quantity
from rhopot.potentials.files import write_atomically
from rhopot.potentials.properties.defects import (
    Defect,
    DefectEnergy,
    added_energy,
    chemical_potentials,
    formation_energy,
    point_defects,
    require_potentials,
)
from rhopot.potentials.properties.engine import AseEngine, in_cell
from rhopot.potentials.properties.potential import Maker
from rhopot.potentials.structures.prototypes import conventional

AGREEMENT = (1e-3, 1e-2)  # eV; float64, float32
SAME = 1e-4  # eV


@dataclass(frozen=True)
class DefectSettings:
    """What is computed: kinds of defects, numbers of cells along each edge of the supercells, chemical potentials."""

    vacancies: bool
    interstitials: list[str]
    substitutions: list[str]
    voids: int
    sizes: list[int]
    potentials: dict[str, float]
    fmax: float


def defects(options: PropertyOptions, settings: DefectSettings) -> None:
    """Print, plot and write the formation energies of the defects of one crystal."""
    task = PropertyTask("defects", options, settings.__dict__)
    name = next(iter(task.structures))
    primitive = task.relaxed(name, task.structure)
    crystal = conventional(name, primitive) if task.is_prototype(name) else in_cell(primitive, primitive.cell.array)
    per_atom = primitive.get_potential_energy() / len(primitive)
    potentials = chemical_potentials(crystal, per_atom, settings.potentials)
    found = point_defects(
        crystal,
        vacancies=settings.vacancies,
        interstitials=settings.interstitials,
        substitutions=settings.substitutions,
        voids=settings.voids,
    )
    if not found:
        raise ValueError("a defect must be asked for, got none; leave --no-vacancy out, or add --interstitial X")
    for defect in found:
        require_potentials(defect, potentials)
    known = ", ".join(f"{element} {energy:.4f} eV" for element, energy in potentials.items())
    task.console.print(f"crystal of {per_atom:.6f} eV/atom; chemical potentials: {known}")
    rows, curves, own = [], {}, set(settings.potentials)
    for defect in found:
        energies = [
            _at_size(task, defect, crystal, per_atom, potentials, size, settings.fmax) for size in settings.sizes
        ]
        for size, by_engine in zip(settings.sizes, energies, strict=True):
            main = next(iter(by_engine.values()))
            members = _members(task, defect, crystal.repeat(size), main, potentials, own)
            label = f"{defect.name}, {main.n_sites} sites"
            values = {engine: each.energy for engine, each in by_engine.items()}
            rows.append(Quantity(label, "eV", values, members, task.limit(*AGREEMENT)))
            file = task.folder / f"{defect.name.replace(' ', '_').replace(',', '')}_{main.n_sites}.xyz"
            _write(file, main.atoms)
            task.evaluated[label] = main.atoms
        firsts = [next(iter(each.values())) for each in energies]
        curves[defect.name] = (np.array([1.0 / each.n_sites for each in firsts]), np.array([e.energy for e in firsts]))
    for first, second in same_energies(rows):
        task.console.print(f"note: {first} and {second} have the same energy: they may have relaxed into one defect")
    picture = property_plots.against_size(task.folder / "defects.png", curves, task.potential.name)
    task.console.print(f"structures and plot in {task.folder}: {picture}")
    task.finish({name: rows}, {"chemical_potentials": potentials, "energy_per_atom": per_atom})


def same_energies(rows: Sequence[Quantity]) -> list[tuple[str, str]]:
    """Names of defects in one supercell, `NAME, N sites`, whose energies differ by less than `SAME`."""
    found = [(row.name, row.name.rpartition(", ")[2], next(iter(row.values.values()))) for row in rows]
    return [
        (a, b) for (a, sites, one), (b, of, other) in combinations(found, 2) if sites == of and abs(one - other) < SAME
    ]


def _at_size(
    task: PropertyTask,
    defect: Defect,
    crystal: Atoms,
    per_atom: float,
    potentials: dict[str, float],
    size: int,
    fmax: float,
) -> dict[str, DefectEnergy]:
    """The defect in a supercell of so many cells along each edge, by each engine."""
    supercell = crystal.repeat(size)
    energy = per_atom * len(supercell)
    stem = f"{defect.name.replace(' ', '_').replace(',', '')}_{len(supercell)}"
    if task.potential.pair is not None:
        task.lammps(stem).write_relaxed(defect.placed(supercell), fmax=fmax)
    found = {}
    for engine in task.engines:

        def compute(engine: str = engine) -> DefectEnergy:
            made = task.engine(engine, stem)
            return formation_energy(defect, supercell, energy, potentials, made, fmax=fmax)

        found[engine] = task.kept.get(f"{defect.name}, {len(supercell)}: {engine}", DefectEnergy, compute)
        task.console.print(f"{defect.name}, {len(supercell)} sites, {engine}: {found[engine].energy:.4f} eV")
    return found


@dataclass(frozen=True)
class _MemberEnergy:
    energy: float


def _members(
    task: PropertyTask,
    defect: Defect,
    supercell: Atoms,
    found: DefectEnergy,
    potentials: dict[str, float],
    given: set[str],
) -> list[float]:
    """Members' formation energies at the model's structures; potentials that were not given are their own."""
    makers = task.potential.members if task.options.members else ()
    energies = []
    for k, make in enumerate(makers):

        def compute(make: Maker = make) -> _MemberEnergy:
            engine = AseEngine(make())
            crystal = engine.energy(supercell)
            own = {element: crystal / len(supercell) for element in potentials if element not in given}
            formed = engine.energy(found.atoms) - crystal - added_energy(defect, {**potentials, **own})
            return _MemberEnergy(formed)

        stage = f"{defect.name}, {len(supercell)}: member {k}"
        energies.append(task.kept.get(stage, _MemberEnergy, compute).energy)
    return energies


def _write(file: Path, atoms: Atoms) -> None:
    write_atomically(file, lambda partial: ase.io.write(partial, atoms, format="extxyz"))
