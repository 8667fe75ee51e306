"""`rhopot md`: molecular dynamics in ASE, in LAMMPS or in both.

The runs are those of `properties.dynamics_ase` and `properties.dynamics_lammps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from rhopot.potentials.commands.md_files import write_tables_and_plots
from rhopot.potentials.commands.md_request import MdRequest, read_request
from rhopot.potentials.commands.md_runs import run_dynamics_in, write_input
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import PropertyTask, Quantity
from rhopot.potentials.console import bar
from rhopot.potentials.lammps.dynamics_settings import (
    BAROSTAT_STEPS,
    THERMOSTAT_STEPS,
    DynamicsSettings,
    Ended,
    Limits,
)
from rhopot.potentials.properties.block_averages import FEWEST
from rhopot.potentials.properties.dynamics_ase import RunFiles, read_table
from rhopot.potentials.properties.dynamics_lammps import start_in_lammps
from rhopot.potentials.properties.dynamics_results import AVERAGED, DynamicsResults, read_results
from rhopot.potentials.properties.engine import prepare
from rhopot.potentials.structures.velocities import thermal_momenta
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats, from_voigt

ENERGY, FORCE, STRESS, POSITION = 1e-9, 1e-8, 1e-6, 1e-6  # eV/atom, eV/A, GPa, A: limits between the engines
NO_DRIFT = 1e-6  # K: kinetic energy per atom of a common velocity that is rounding
FEW_ATOMS = 20
COMPARED_STEPS = 50  # of the short run at constant energy in both engines


class Uncertain(RuntimeError):
    """A run that was ended where the model does not know enough; everything has been written."""

    exit_status = 3


@dataclass(frozen=True)
class StartComparison:
    """The first configuration in both engines.

    ase, lammps: energies (eV/atom); largest differences of forces (eV/A), of the stress (GPa), and of positions (A)
    after a short run at constant energy
    """

    ase: float
    lammps: float
    forces: float
    stress: float
    positions: float


def md(options: PropertyOptions, config: Path | None, **given: Any) -> None:
    """Run the dynamics of one structure, compare and average it, and write its files."""
    options, request = read_request(options, config, given, MdRequest)
    run = MdRun(options, request)
    run.say()
    ended = run.carry_out()
    run.report(ended)


class MdRun:
    """One run of `rhopot md`: structure, settings and limits."""

    def __init__(self, options: PropertyOptions, request: MdRequest) -> None:
        self.request = request
        self.task = PropertyTask(
            "md", options, request.key(), require=lambda task: request.require(task.structure, task.potential)
        )
        self.name = next(iter(self.task.structures))
        cell = self.task.structure
        if self.task.is_prototype(self.name):
            cell = self.task.relaxed(self.name, cell)
        atoms = request.supercell(cell)
        self.settings = request.settings(atoms)
        self.limits = request.limits(atoms, self.task.potential)
        atoms.set_momenta(self._momenta(cell, atoms))
        atoms.calc = None
        self.atoms = atoms

    def _momenta(self, cell: Atoms, atoms: Atoms) -> Floats:
        """Momenta (N, 3) of the start: those of the file without their common velocity, or thermal ones."""
        if not np.any(atoms.get_momenta()):
            return thermal_momenta(atoms, self.settings.temperature[0], self.settings.seed)
        if len(atoms) != len(cell):
            self.task.console.print(
                f"note: velocities of the file are not used: all copies would move alike; drawn at "
                f"{self.settings.temperature[0]:g} K instead"
            )
            return thermal_momenta(atoms, self.settings.temperature[0], self.settings.seed)
        masses, momenta = atoms.get_masses()[:, None], atoms.get_momenta()
        common = momenta.sum(axis=0) / masses.sum()
        energy = 0.5 * masses.sum() * float(common @ common) / len(atoms)
        if energy > NO_DRIFT * units.kB:
            self.task.console.print("note: the common velocity of all atoms in the file is taken out")
        return np.asarray(momenta - masses * common)

    def files(self, engine: str) -> RunFiles:
        """Files of an engine's run."""
        return RunFiles(self.task.folder, engine)

    def say(self) -> None:
        """State what is run, defaults included."""
        print_run(self.task, self.atoms, self.settings, self.limits)

    def carry_out(self) -> dict[str, Ended]:
        """Run in each engine; how each ended. The input of LAMMPS is written in any case."""
        task = self.task
        for engine in task.engines:
            task.kept.refuse_fewer_steps(f"{engine}: ", self.settings.steps, task.folder)
        write_input(task, task.folder, self.atoms, self.settings, self.limits)
        ended = {}
        for engine in task.engines:
            with bar(task.console, f"{self.name}, {engine}", self.settings.steps) as advance:

                def compute(engine: str = engine, advance: Any = advance) -> Ended:
                    return run_dynamics_in(task, engine, task.folder, self.atoms, self.settings, self.limits, advance)

                ended[engine] = task.kept.get(f"{engine}: {self.settings.steps} steps", Ended, compute)
        return ended

    def report(self, ended: Mapping[str, Ended]) -> None:
        """Averages, files, plots and comparison; fails where the dynamics ran away or the engines disagree.

        Raises:
            RuntimeError: numbers that are not finite, lost atoms, a closest approach; engines that differ.
            Uncertain: the limit of the uncertainty ended the run.
        """
        task = self.task
        results: dict[str, DynamicsResults] = {}
        for engine in task.engines:
            found = read_results(
                self.files(engine),
                self.settings,
                len(self.atoms),
                skip=self.request.skip,
                adf_cutoff=self.request.adf_cutoff,
            )
            if found is not None:
                results[engine] = found
        sentences = [self._sentence(engine, each) for engine, each in ended.items() if each.kind]
        for sentence in sentences:
            task.console.print(sentence)
        rows = start_rows(task, self.atoms, self.settings.timestep) if len(task.engines) > 1 else []
        rows += quantities(results)
        written = write_tables_and_plots(task.folder, task.potential.name, results, len(self.atoms))
        if written:
            task.console.print(f"files: {', '.join(written)}")
        for engine in (engine for engine in task.engines if engine not in results):
            task.console.print(self._without_averages(engine, ended[engine]))
        if results:
            kept = 1.0 - self.request.skip
            task.console.print(
                f"averages over the last {100 * kept:.0f} % of the frames, +- standard errors by blocking (Flyvbjerg, "
                "Petersen)" + ("; the temperature changes: they are no equilibrium" if self.settings.ramp else "")
            )
        task.finish({self.name: rows}, {"n_atoms": len(self.atoms), **self._further(ended, results)})
        if any(each.kind not in ("", "uncertain") for each in ended.values()):
            raise RuntimeError("; ".join(sentences))
        if sentences:
            remedy = f"what to label: rhopot harvest {task.potential.name} {task.folder}"
            raise Uncertain("; ".join([*sentences, remedy]))

    def _without_averages(self, engine: str, ended: Ended) -> str:
        """Why a run has no averages."""
        frames = len(read_table(self.files(engine).thermo)["step"])
        left = frames - int(self.request.skip * frames)
        remedy = "" if ended.kind else "; give more --steps, or a smaller --every"
        return f"{engine} has no averages: they take {FEWEST} frames after those that are skipped, got {left}{remedy}"

    def _sentence(self, engine: str, ended: Ended) -> str:
        time = ended.step * self.settings.timestep / 1000.0
        where = self.files(engine).stopped
        return f"{engine} stopped at step {ended.step} ({time:g} ps): {ended.reason}; frame in {where}"

    def _further(self, ended: Mapping[str, Ended], results: Mapping[str, DynamicsResults]) -> dict[str, Any]:
        return {
            "dynamics": asdict(self.settings),
            "limits": asdict(self.limits),
            "skip": self.request.skip,
            "error_method": "blocking, Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)",
            "ended": {engine: asdict(each) for engine, each in ended.items()},
            "averages": {engine: {name: asdict(a) for name, a in r.averages.items()} for engine, r in results.items()},
            "neighbor_cutoffs_A": {
                e: r.distributions.cutoffs for e, r in results.items() if r.distributions is not None
            },
        }


def start_rows(task: PropertyTask, atoms: Atoms, timestep_fs: float) -> list[Quantity]:
    """Rows of the first configuration and of a short run at constant energy in both engines."""
    found = task.kept.get("start", StartComparison, lambda: compare_start(task, atoms, timestep_fs))
    numbers = (
        ("forces at the start, largest difference", "eV/A", found.forces, FORCE),
        ("stress at the start, largest difference", "GPa", found.stress, STRESS),
        (f"positions after {COMPARED_STEPS} steps of nve, largest difference", "A", found.positions, POSITION),
    )
    rows = [Quantity("energy at the start", "eV/atom", {"ase": found.ase, "lammps": found.lammps}, [], ENERGY)]
    return rows + [
        Quantity(name, unit, {"ase": 0.0, "lammps": value}, [], limit) for name, unit, value, limit in numbers
    ]


def print_run(task: PropertyTask, atoms: Atoms, settings: DynamicsSettings, limits: Limits) -> None:
    """Print atoms, ensemble, targets, steps and limits."""
    first, last = settings.temperature
    fs = settings.timestep
    thermostat = "Langevin" if settings.thermostat == "langevin" else "Nose-Hoover chain"
    parts = [
        f"{len(atoms)} atoms ({atoms.get_chemical_formula()})",
        {"nve": "nve (velocity Verlet)", "nvt": f"nvt ({thermostat}, damping {THERMOSTAT_STEPS * fs:g} fs)"}.get(
            settings.ensemble,
            f"{settings.ensemble} ({settings.barostat}, {settings.pressure:g} GPa, damping "
            + (f"{THERMOSTAT_STEPS * fs:g} and " if settings.ensemble == "npt" else "")
            + f"{BAROSTAT_STEPS * fs:g} fs)",
        ),
        f"{first:g} K" if first == last else f"{first:g} to {last:g} K",
        f"{settings.steps} steps of {fs:g} fs, recorded every {settings.every}",
        f"velocities of seed {settings.seed}",
    ]
    task.console.print("; ".join(parts))
    if len(atoms) < FEW_ATOMS and all(atoms.pbc):
        task.console.print(
            f"note: {len(atoms)} atoms in a periodic cell: temperatures of so few mean little; "
            "--repeat or --atoms makes a supercell"
        )
    closest = ", ".join(f"{pair} {distance:.3g} A" for pair, distance in limits.closest.items())
    uncertain = "" if limits.uncertainty is None else f"; largest force uncertainty {limits.uncertainty:g} eV/A"
    task.console.print(
        f"stops at: numbers that are not finite, lost atoms; distances below {closest or 'none'}{uncertain}"
    )


def quantities(results: Mapping[str, DynamicsResults]) -> list[Quantity]:
    """Averages of the engines with their errors, which are not held against each other, and the drift."""
    rows = []
    for _, name, unit, _ in AVERAGED:
        found = {engine: each.averages[name] for engine, each in results.items() if name in each.averages}
        if found:
            values = {engine: each.mean for engine, each in found.items()}
            rows.append(Quantity(name, unit, values, [], errors={engine: each.error for engine, each in found.items()}))
    drifts = {engine: each.drift for engine, each in results.items() if np.isfinite(each.drift)}
    if drifts:
        rows.append(Quantity("drift of the conserved quantity", "meV/atom/ps", drifts, []))
    return rows


def compare_start(task: PropertyTask, atoms: Atoms, timestep_fs: float) -> StartComparison:
    """Evaluate the first configuration in both engines and run it for a few steps at constant energy."""
    assert task.potential.calculator is not None
    calculator = task.potential.calculator()
    moving = atoms.copy()
    prepare(calculator, moving)
    moving.calc = calculator
    energy, forces = moving.get_potential_energy(), moving.get_forces()
    bulk = all(moving.pbc)
    stress = from_voigt(moving.get_stress()) if bulk else np.zeros((3, 3))
    VelocityVerlet(moving, timestep_fs * units.fs).run(COMPARED_STEPS)
    e, f, s, moved = start_in_lammps(task.lammps("md_compared"), atoms, timestep_fs, COMPARED_STEPS)
    return StartComparison(
        energy / len(moving),
        e / len(moving),
        float(np.abs(f - forces).max()),
        float(np.abs(s - stress).max()) * GPA_PER_EV_PER_CUBIC_ANGSTROM if bulk else 0.0,
        float(np.abs(moved - (moving.positions - atoms.positions)).max()),
    )
