"""`rhopot elastic`: elastic constants of a crystal (the computation: `properties.elastic`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import Measured, PropertyTask, Quantity
from rhopot.potentials.properties.elastic import ElasticConstants, elastic_constants, plan_strains
from rhopot.potentials.properties.engine import Advance, Engine

AGREEMENT = 1e-3  # relative difference between the engines
NEGLIGIBLE = 1e-3  # of the largest constant: what symmetry makes zero is not shown


def elastic(options: PropertyOptions, *, strain: float, clamped: bool, fmax: float | None) -> None:
    """Print, plot and write the elastic constants of one crystal."""
    task = PropertyTask("elastic", options, {"strain": strain, "clamped": clamped, "fmax": fmax})
    name = next(iter(task.structures))
    force = task.fmax if fmax is None else fmax
    crystal = task.relaxed(name, task.structure, fmax=force)
    plan = plan_strains(crystal, strain)
    if task.potential.pair is not None:
        task.lammps(f"elastic_{name}").write_in_cells(crystal, plan.cells, relax=not clamped, fmax=force)

    def compute(engine: Engine, atoms: Atoms, advance: Advance) -> ElasticConstants:
        return elastic_constants(atoms, engine, strain=strain, relax=not clamped, fmax=force, advance=advance)

    found = task.measure(name, crystal, ElasticConstants, compute, total=len(plan.cells), fmax=force)
    rows = [*_constants(found), *_moduli(found)]
    lengths = ", ".join(f"{length:.4f}" for length in crystal.cell.lengths())
    task.console.print(
        f"relaxed cell: {lengths} A{task.lattice_constant(name, crystal)}; {found.main.n_strains} strains of "
        f"{strain:g}, {len(plan.rotations)} rotations; "
        f"residual {found.main.residual:.1g} GPa; {'stable' if found.main.stable else 'UNSTABLE'} against strain "
        f"(smallest eigenvalue {found.main.eigenvalues[0]:.4g} GPa)"
    )
    further = {"stable": found.main.stable, "eigenvalues": found.main.eigenvalues, "cell": crystal.cell.array}
    constants = {engine: each.constants for engine, each in found.by_engine.items()}
    labels = [row.name for row in rows[: len(rows) - len(_MODULI)]]
    values = {engine: [row.values[engine] for row in rows[: len(labels)]] for engine in task.engines}
    errors = {engine: [row.deviation or 0.0 for row in rows[: len(labels)]] for engine in task.engines}
    picture = property_plots.bars(
        task.folder / "elastic.png", labels, values, errors, "elastic constant (GPa)", task.potential.name
    )
    task.console.print(f"plot: {picture}")
    task.finish({name: rows}, {**further, "constants": constants})


_DIAGONAL_FIRST = [(k, k) for k in range(6)] + [(i, j) for i in range(6) for j in range(i + 1, 6)]


def _constants(found: Measured[ElasticConstants]) -> Iterator[Quantity]:
    """Constants that are not zero, one of those that are equal."""
    matrix = found.main.constants
    scale = np.abs(matrix).max()
    shown: list[float] = []
    for i, j in _DIAGONAL_FIRST:
        value = matrix[i, j]
        if abs(value) < NEGLIGIBLE * scale or any(abs(value - other) < NEGLIGIBLE * scale for other in shown):
            continue
        shown.append(value)
        key = f"C{i + 1}{j + 1}"
        yield Quantity.of(found, key, "GPa", lambda each, key=key: each[key], AGREEMENT, relative=True)  # type: ignore[misc]


_MODULI = {
    "bulk_hill": ("bulk modulus (Hill)", "GPa"),
    "shear_hill": ("shear modulus (Hill)", "GPa"),
    "young": ("Young's modulus", "GPa"),
    "poisson": ("Poisson's ratio", ""),
    "anisotropy": ("universal anisotropy", ""),
}


def _moduli(found: Measured[ElasticConstants]) -> Iterator[Quantity]:
    for key, (name, unit) in _MODULI.items():
        limit = AGREEMENT if unit else None
        yield Quantity.of(found, name, unit, lambda each, key=key: each.moduli()[key], limit, relative=True)  # type: ignore[misc]
