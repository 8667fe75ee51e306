"""`rhopot phonons --qha`: thermal expansion (the computation: `properties.quasi_harmonic`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.phonon_settings import PhononSettings
from rhopot.potentials.commands.property_task import Measured, PropertyTask, Quantity
from rhopot.potentials.properties.engine import Advance, Engine, in_cell
from rhopot.potentials.properties.phonons import DisplacedForces, Phonons, displaced, displaced_forces, set_up
from rhopot.potentials.properties.quasi_harmonic import QuasiHarmonic, quasi_harmonic, scales
from rhopot.potentials.units import Floats

AGREEMENT = 1e-3  # relative difference between the engines
VOLUME_AGREEMENT = 1e-5  # relative


@dataclass(frozen=True)
class Expansion:
    """Quasi-harmonic functions of each engine and each member."""

    found: Measured[QuasiHarmonic]

    def quantities(self, temperature: float) -> list[Quantity]:
        """Rows of the table: at 0 K and at a temperature in K."""
        rows = []
        for name, words, unit, limit in (
            ("volume", "volume", "A^3/atom", VOLUME_AGREEMENT),
            ("bulk_modulus", "bulk modulus", "GPa", AGREEMENT),
            ("expansion", "linear expansion coefficient", "1/K", AGREEMENT),
            ("heat_capacity", "heat capacity C_P", "k_B/atom", AGREEMENT),
            ("gruneisen", "Grueneisen parameter", "", AGREEMENT),
        ):
            for at in (0.0, temperature) if name in ("volume", "bulk_modulus") else (temperature,):
                number = partial(QuasiHarmonic.at, name=name, temperature=at)
                rows.append(Quantity.of(self.found, f"{words} at {at:g} K", unit, number, limit, relative=True))
        return rows


def thermal_expansion(
    task: PropertyTask, name: str, crystal: Atoms, supercell: Floats, settings: PhononSettings
) -> Expansion:
    """Compute phonons at several volumes, each kept when it is finished, fit and plot.

    Raises:
        ValueError: imaginary modes at a volume; see `quasi_harmonic`.
    """
    at_volumes: list[Measured[Phonons]] = []
    for scale in scales(settings.volume_range, settings.volumes):
        forces = _at_volume(task, f"{name}_V{scale:.3f}", crystal, supercell, settings.displacement, scale)
        found = Measured(
            {engine: Phonons(each) for engine, each in forces.by_engine.items()},
            [Phonons(each) for each in forces.members],
            forces.numbers,
        )
        for who, each in [
            *found.by_engine.items(),
            *((f"member {k}", m) for k, m in zip(found.numbers, found.members, strict=True)),
        ]:
            _require_stable(each, who, scale, settings.mesh, settings.tolerance)
        at_volumes.append(found)
    first = at_volumes[0]
    of_members = [dict(zip(each.numbers, each.members, strict=True)) for each in at_volumes]
    everywhere = [k for k in first.numbers if all(k in each for each in of_members)]
    if 2 * len(everywhere) <= len(task.potential.members):
        everywhere = []  # too few for an error bar
    fitted = Measured(
        {engine: _fit([each.by_engine[engine] for each in at_volumes], settings) for engine in first.by_engine},
        [_fit([each[k] for each in of_members], settings) for k in everywhere],
        everywhere,
    )
    task.console.print(
        f"quasi-harmonic: {settings.volumes} volumes within {100 * settings.volume_range:g} % of that at rest, the "
        f"cell scaled isotropically; fits of F within {1000 * fitted.main.residual:.2g} meV/atom"
    )
    _plot(task, fitted)
    return Expansion(fitted)


def _at_volume(
    task: PropertyTask, name: str, crystal: Atoms, supercell: Floats, displacement: float, scale: float
) -> Measured[DisplacedForces]:
    """Displaced forces at a volume relative to that of the relaxed crystal, each member's of its own."""

    def compute(engine: Engine, start: Atoms, advance: Advance) -> DisplacedForces:
        scaled = in_cell(start, start.cell.array * scale ** (1.0 / 3.0))
        relaxed = engine.relaxed(scaled, cell="fixed", fmax=task.fmax, keep_symmetry=True)
        return displaced_forces(relaxed, engine, supercell, displacement=displacement, advance=advance)

    total = len(displaced(set_up(crystal, supercell, displacement))[1])
    return task.measure(name, crystal, DisplacedForces, compute, total=total)


def _require_stable(found: Phonons, who: str, scale: float, mesh: float, tolerance: float) -> None:
    modes = found.imaginary(mesh, tolerance)
    if modes:
        q, frequency = modes[0]
        raise ValueError(
            f"--qha must have real frequencies at every volume, got {frequency:.3g} THz at q = "
            f"({', '.join(f'{x:.3g}' for x in q)}) and {scale:.3f} of the volume at rest ({who}); lower "
            "--volume-range, or leave members out with --no-members where only theirs are imaginary"
        )


def _fit(at_volumes: list[Phonons], settings: PhononSettings) -> QuasiHarmonic:
    crystals = [each.crystal for each in at_volumes]
    volumes = np.array([crystal.get_volume() / len(crystal) for crystal in crystals])
    energies = np.array([crystal.get_potential_energy() / len(crystal) for crystal in crystals])
    functions = [each.thermodynamics(settings.temperatures, settings.mesh) for each in at_volumes]
    return quasi_harmonic(volumes, energies, functions)


def _plot(task: PropertyTask, fitted: Measured[QuasiHarmonic]) -> None:
    panels: dict[str, tuple[dict[str, Floats], Floats | None]] = {}
    for name, label, factor in (
        ("volume", "volume (A$^3$/atom)", 1.0),
        ("expansion", "linear expansion (10$^{-6}$/K)", 1e6),
        ("bulk_modulus", "isothermal bulk modulus (GPa)", 1.0),
        ("heat_capacity", "heat capacity C$_P$ (k$_B$/atom)", 1.0),
    ):
        take = partial(_scaled, name=name, factor=factor)
        members = [take(each) for each in fitted.members]
        curves = {engine: take(each) for engine, each in fitted.by_engine.items()}
        panels[label] = (curves, np.std(members, axis=0) if members else None)
    picture = property_plots.of_temperature(
        task.folder / "phonons_qha.png", fitted.main.temperatures, panels, task.potential.name
    )
    task.console.print(f"plot: {picture}")


def _scaled(found: QuasiHarmonic, name: str, factor: float) -> Floats:
    return np.asarray(getattr(found, name)) * factor
