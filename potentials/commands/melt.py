"""`rhopot melt`: melting point of a crystal side by side with its liquid (the analysis: `properties.melting`).

An attempt at a temperature T is a folder with a run for each of four stages: `crystal` (npt, three edges), `melting_K`
(nvt at a multiple of T, the lower half held; hotter where it does not melt), `equilibration` (npt, edge along z) and
`coexistence` (nph, the same).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials import property_plots
from rhopot.potentials.commands.md import print_run, start_rows
from rhopot.potentials.commands.md_request import MdRequest
from rhopot.potentials.commands.md_runs import run_dynamics_in
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import PropertyTask, Quantity
from rhopot.potentials.console import bar
from rhopot.potentials.files import write_text
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Ended, default_timestep
from rhopot.potentials.properties.dynamics_ase import RunFiles, read_table
from rhopot.potentials.properties.dynamics_lammps import write_dynamics_input
from rhopot.potentials.properties.kept import plain
from rhopot.potentials.properties.melting import (
    BOTH,
    CLOSE,
    COEXIST,
    CRYSTAL,
    LIQUID,
    MELTED,
    Coexistence,
    PlanarOrder,
    Trial,
    coexistence,
    elongated,
    elongated_repeats,
    orthogonal,
    require_frames,
    search,
    upper_half_stretched,
)
from rhopot.potentials.structures.prototypes import conventional
from rhopot.potentials.structures.velocities import thermal_momenta
from rhopot.potentials.units import Floats

SETTLING = 50.0  # ps: shorter averages are noted
EXPANSION = 1.5  # of the volume, which no liquid has at its melting point
# Factors on --hot, and on the length of the upper half: tried in turn until it melts. Liquids that take
# more room than their crystals hardly melt without it.
HOTTER, LONGER = (1.0, 1.25, 1.5), (1.0, 1.1, 1.2)


@dataclass(frozen=True)
class MeltSettings:
    """Options of `rhopot melt`.

    temperature: K, of the first attempt; hot: of the melting half, in that temperature; pressure: GPa; atoms: fewest of
    the supercell, or repeat: its cells; steps: of the coexistence; prepare: of each stage before it; timestep: fs;
    every: steps between frames; skip: fraction of the coexistence that averages leave out; closest: A
    """

    temperature: float
    hot: float
    pressure: float
    atoms: int
    repeat: tuple[int, int, int] | None
    steps: int
    prepare: int
    timestep: float | None
    every: int
    seed: int
    skip: float
    attempts: int
    closest: float | None

    def __post_init__(self) -> None:
        if not self.hot > 1.0:
            raise ValueError(f"hot must be above 1, got {self.hot:g}; 2 melts most crystals within picoseconds")
        if not 0.0 <= self.skip < 1.0:
            raise ValueError(f"skip must be a fraction from 0 to below 1, got {self.skip:g}; 0.3 leaves out 30 %")
        if self.repeat is not None and (self.repeat[2] < 8 or self.repeat[2] % 2):
            raise ValueError(
                f"repeat must be even and 8 or more along z, got {self.repeat[2]}; write for instance 3,3,10"
            )
        MdRequest(closest=self.closest)
        if self.prepare < self.every:
            raise ValueError(
                f"prepare-steps must be at least every, got {self.prepare} with every {self.every}; give more"
            )
        for steps in (self.prepare, self.steps):
            self.dynamics("nph", self.temperature, steps, 1.0 if self.timestep is None else self.timestep)
        require_frames(self.steps // self.every + 1, self.skip)

    def dynamics(self, ensemble: str, kelvin: float, steps: int, timestep: float) -> DynamicsSettings:
        """A run of one stage; timestep: fs."""
        return DynamicsSettings(
            ensemble=ensemble,
            barostat="z",
            pressure=self.pressure,
            temperature=(kelvin, kelvin),
            steps=steps,
            timestep=timestep,
            every=self.every,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Prepared:
    """Crystal and liquid side by side, with momenta; psi of both; why it is too hot for them, empty where it is not."""

    atoms: Atoms
    crystal: float
    liquid: float
    too_hot: str


def melt(options: PropertyOptions, settings: MeltSettings) -> None:
    """Find, print, plot and write the melting point of one crystal."""
    run = MeltRun(options, settings)
    run.say()
    found = {engine: run.of_engine(engine) for engine in run.task.engines}
    run.report(found)


class MeltRun:
    """One run of `rhopot melt`."""

    def __init__(self, options: PropertyOptions, settings: MeltSettings) -> None:
        key = {name: value for name, value in asdict(settings).items() if name not in ("steps", "skip", "attempts")}
        self.task = PropertyTask("melt", options, key, require=lambda task: _crystal(task, task.structure))
        self.name = next(iter(self.task.structures))
        cell = self.task.structure
        if self.task.is_prototype(self.name):
            cell = self.task.relaxed(self.name, cell, cell="isotropic")
        crystal = _crystal(self.task, cell)
        self.settings = replace(settings, repeat=settings.repeat or elongated_repeats(crystal, settings.atoms))
        assert self.settings.repeat is not None
        self.order = PlanarOrder.of_crystal(crystal, self.settings.repeat)
        self.perfect = elongated(crystal, self.settings.repeat)
        self.timestep = default_timestep(crystal) if settings.timestep is None else settings.timestep
        self.limits = MdRequest(closest=settings.closest).limits(self.perfect, self.task.potential)
        self.coexistence = self._dynamics("nph", settings.temperature, settings.steps)
        self.coexistence.require(self.perfect)

    def say(self) -> None:
        """State what is run, defaults included."""
        own = self.settings
        lengths = ", ".join(f"{length:.1f}" for length in self.perfect.cell.lengths())
        assert own.repeat is not None
        self.task.console.print(
            f"supercell of {'x'.join(map(str, own.repeat))} cells ({lengths} A); first attempt at {own.temperature:g} K"
            f", {own.attempts} at most; {own.prepare} steps each: crystal (npt, three edges), upper half melted at "
            f"{own.hot:g} times that temperature (nvt, the rest held), both phases (npt, z); then coexistence:"
        )
        print_run(self.task, self.perfect, self.coexistence, self.limits)
        self.task.console.print(
            f"both phases: {BOTH[0]:g} to {BOTH[1]:g} of the cell is solid in every frame; averages leave out the "
            f"first {100 * own.skip:.0f} %; order: {len(self.order.vectors)} reciprocal vectors in "
            f"{self.order.slabs} slabs"
        )

    def of_engine(self, engine: str) -> tuple[list[Trial], Prepared, Coexistence]:
        """Attempts of an engine, and the start and the run of the last one that kept both phases."""
        made: dict[float, tuple[Prepared, Coexistence]] = {}

        def attempt(k: int, kelvin: float) -> Trial:
            prepared, found = self._attempt(engine, k, kelvin)
            if found is None:
                trial = Trial(kelvin, MELTED, np.nan)
            else:
                made[kelvin] = prepared, found
                trial = Trial(kelvin, found.outcome, found.mean)
            self.task.console.print(f"{engine}, attempt {k + 1}, {kelvin:.1f} K: {prepared.too_hot or _words(found)}")
            return trial

        trials = search(self.settings.temperature, self.settings.attempts, attempt)
        return trials, *made[trials[-1].temperature]

    def _attempt(self, engine: str, k: int, kelvin: float) -> tuple[Prepared, Coexistence | None]:
        folder = self.task.folder / f"{engine}_{k + 1}_{kelvin:.0f}K"
        keep, attempt = self.task.kept, f"{engine}, {k}, {kelvin:.6f} K"
        prepared = keep.get(f"{attempt}: prepared", Prepared, lambda: self._prepared(engine, folder, kelvin))
        if prepared.too_hot:
            return prepared, None
        stage, steps = folder / "coexistence", self.settings.steps
        settings = self._dynamics("nph", kelvin, steps)

        before = f"{attempt}: coexistence, {self.settings.skip:g} skipped, "
        self.task.kept.refuse_fewer_steps(before, steps, stage)

        def compute() -> Coexistence:
            files = self._carried_out(engine, stage, prepared.atoms, settings)
            return self._read(files, prepared)

        return prepared, keep.get(f"{before}{steps} steps", Coexistence, compute)

    def _prepared(self, engine: str, folder: Path, kelvin: float) -> Prepared:
        """Crystal at the temperature, its upper half melted, both at the temperature and pressure."""
        own, seed = self.settings, self.settings.seed
        start = self.perfect.copy()
        start.set_momenta(thermal_momenta(start, 2.0 * kelvin, seed))  # a perfect crystal takes half of it up
        npt = replace(self._dynamics("npt", kelvin, own.prepare), barostat="anisotropic")
        files = self._carried_out(engine, folder / "crystal", start, npt)
        perfect = float(self.order(self.perfect).mean())
        order = float(self.order.of_frames(_second_half(files)).mean())
        if order < CRYSTAL * perfect:
            return Prepared(start, order, np.nan, "the crystal melted by itself")
        start = _last(files)
        start.set_cell(_mean_edges(files), scale_atoms=True)
        start, liquid = self._half_melted(engine, folder, start, kelvin, order)
        start.set_momenta(thermal_momenta(start, kelvin, seed + 2))
        files = self._carried_out(engine, folder / "equilibration", start, self._dynamics("npt", kelvin, own.prepare))
        both = _last(files)
        boiled = both.get_volume() > EXPANSION * self.perfect.get_volume()
        return Prepared(both, order, liquid, "the liquid evaporated" if boiled else "")

    def _half_melted(
        self, engine: str, folder: Path, crystal: Atoms, kelvin: float, order: float
    ) -> tuple[Atoms, float]:
        """The structure with its upper half melted, hotter where it does not melt, and the order of the liquid."""
        own, held = self.settings, len(crystal) // 2
        for k, (factor, length) in enumerate(zip(HOTTER, LONGER, strict=True)):
            hot = factor * own.hot * kelvin
            start = upper_half_stretched(crystal, length)
            momenta = thermal_momenta(start, hot, own.seed + 1)
            momenta[:held] = 0.0
            start.set_momenta(momenta)
            nvt = replace(self._dynamics("nvt", hot, own.prepare), held=held)
            files = self._carried_out(engine, folder / f"melting_{k + 1}", start, nvt)
            liquid = self.order.in_melt(self.order.of_frames(_second_half(files)))
            if liquid <= LIQUID * order:
                return _last(files), liquid
        raise ValueError(
            f"the upper half must melt at {hot:.0f} K in {own.prepare} steps, got an order of {liquid / order:.2f} "
            "of that of the crystal; give a larger --hot, or more --prepare-steps"
        )

    def _dynamics(self, ensemble: str, kelvin: float, steps: int) -> DynamicsSettings:
        return self.settings.dynamics(ensemble, kelvin, steps, self.timestep)

    def _carried_out(self, engine: str, folder: Path, atoms: Atoms, settings: DynamicsSettings) -> RunFiles:
        """Run a stage in its folder.

        Raises:
            RuntimeError: the dynamics ran away.
        """
        with bar(self.task.console, f"{folder.parent.name}, {folder.name}", settings.steps) as advance:
            ended: Ended = run_dynamics_in(self.task, engine, folder, atoms, settings, self.limits, advance)
        files = RunFiles(folder, engine)
        if ended.kind:
            phase = "crystal" if folder.name == "crystal" else "liquid"
            raise RuntimeError(
                f"{folder.name} at {settings.temperature[0]:.0f} K must run to its end, got {ended.reason} at step "
                f"{ended.step} in {engine}; frame in {files.stopped}; the potential does not hold its {phase} there: "
                f"train it on such structures, or give a lower --temperature{'' if phase == 'crystal' else ' or --hot'}"
            )
        return files

    def _read(self, files: RunFiles, prepared: Prepared) -> Coexistence:
        table = read_table(files.thermo)
        order = self.order.of_frames(ase.io.iread(files.trajectory, index=":"))
        columns = table["time_ps"], table["temperature_K"], table["pressure_GPa"]
        references = prepared.crystal, prepared.liquid
        return coexistence(*columns, order, references, self.settings.skip)

    def report(self, found: Mapping[str, tuple[list[Trial], Prepared, Coexistence]]) -> None:
        """Print and write the numbers, plots, tables, and the LAMMPS input of the coexistence."""
        task = self.task
        main = next(iter(found))
        start = found[main][1].atoms
        if task.potential.pair is not None:
            kelvin = found[main][0][-1].temperature
            settings = self._dynamics("nph", kelvin, self.settings.steps)
            write_dynamics_input(task.lammps("melt"), start, settings, self.limits)
        else:
            task.console.print("no LAMMPS input is written: the potential has no --pair-style")
        runs = {engine: each for engine, (_, _, each) in found.items()}
        written = [name for engine, each in runs.items() for name in self._files(engine, each)]
        task.console.print(f"plots and tables in {task.folder}: {', '.join(written)}")
        for engine, (attempts, _, each) in found.items():
            for sentence in _cautions(each, attempts[-1].temperature):
                task.console.print(f"note: {engine}: {sentence}")
        task.console.print(
            "+- errors of this run (melting point: the larger of that by blocking and the change between the halves), "
            "not those of the model; runs of another --seed or --temperature differ by more where cells are small or "
            "runs are short"
        )
        rows = start_rows(task, start, self.timestep) if len(runs) > 1 else []
        trials = {engine: [plain(trial) for trial in each[0]] for engine, each in found.items()}
        further = {
            "n_atoms": len(start),
            "repeat": list(self.settings.repeat or ()),
            "dynamics": asdict(self.coexistence),
            "attempts": trials,
            "outcome": {engine: each.outcome for engine, each in runs.items()},
            "order_of_phases": {engine: [each[1].crystal, each[1].liquid] for engine, each in found.items()},
            "drift_K": {engine: [each.drift, each.drift_error] for engine, each in runs.items()},
        }
        task.finish({self.name: [*quantities(runs), *rows]}, further)

    def _files(self, engine: str, each: Coexistence) -> list[str]:
        """Write picture and table of a run; their names."""
        folder = self.task.folder
        picture = property_plots.coexistence(
            folder / f"melt_{engine}.png",
            each.times,
            each.temperatures,
            each.slabs,
            (float(each.times[each.first]), each.mean, each.error),
            f"{self.task.potential.name} ({engine})",
        )
        names = ["time_ps", "temperature_K", "solid", *(f"slab_{k + 1}" for k in range(each.slabs.shape[1]))]
        rows: Floats = np.column_stack([each.times, each.temperatures, each.solid, each.slabs])
        lines = [",".join(names), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
        table = folder / f"melt_{engine}.csv"
        write_text(table, "\n".join(lines) + "\n")
        return [picture.name, table.name]


def _crystal(task: PropertyTask, cell: Atoms) -> Atoms:
    """The crystal in a cell of right angles; of a prototype, from its primitive cell."""
    name = next(iter(task.structures))
    if not all(cell.pbc):
        raise ValueError(f"{name} must be periodic in three directions for melt, got open sides; give a crystal")
    crystal = orthogonal(conventional(name, cell) if task.is_prototype(name) else cell)
    crystal.calc = None
    return crystal


def quantities(runs: Mapping[str, Coexistence]) -> list[Quantity]:
    """Rows of the table; engines are two runs of chaotic dynamics, which are compared by their errors only."""

    def row(name: str, unit: str, value: Any, error: Any = None) -> Quantity:
        values = {engine: float(value(each)) for engine, each in runs.items()}
        errors = {} if error is None else {engine: float(error(each)) for engine, each in runs.items()}
        return Quantity(name, unit, values, [], errors=errors)

    return [
        row("melting point", "K", lambda each: each.mean, lambda each: each.error),
        row("pressure", "GPa", lambda each: each.pressure, lambda each: each.pressure_error),
        row("solid fraction", "", lambda each: each.solid[each.first :].mean()),
        row("second half minus first", "K", lambda each: each.drift, lambda each: each.drift_error),
    ]


def _words(found: Coexistence | None) -> str:
    assert found is not None
    if found.outcome != COEXIST:
        return f"the cell {found.outcome} completely, at {found.temperatures[-1]:.0f} K in the end"
    return f"both phases stayed, {found.mean:.1f} +- {found.error:.2g} K, {found.solid[found.first :].mean():.2f} solid"


def _cautions(each: Coexistence, edges: float) -> list[str]:
    """Sentences about what makes the error too small; edges: temperature of the crystal's edges in K."""
    found = []
    if abs(each.mean / edges - 1.0) > CLOSE:
        found.append(
            f"the edges of the cell are those of the crystal at {edges:.0f} K, which strains it by now; give "
            f"--temperature {each.mean:.0f}, or more --attempts"
        )
    if each.drifts:
        found.append(
            f"the phases have not settled: between the halves of the run, temperature and solid fraction change by "
            f"{each.drift:.2g} +- {each.drift_error:.2g} K and {each.solid_drift[0]:.2g} +- {each.solid_drift[1]:.2g}; "
            "give more --steps"
        )
    averaged = float(each.times[-1] - each.times[each.first])
    if averaged < SETTLING:
        found.append(
            f"the average is over {averaged:.3g} ps, and phases settle within tens of ps: it may be several per cent "
            f"off towards the temperature of the start; give more --steps, {SETTLING:g} ps at least"
        )
    if not each.converged:
        found.append("the error by blocking is not converged and likely too small; give more --steps")
    return found


def _last(files: RunFiles) -> Atoms:
    """Last frame of a run, with its momenta."""
    (atoms,) = ase.io.iread(files.trajectory, index="-1:")
    atoms.calc = None
    return atoms


def _second_half(files: RunFiles) -> list[Atoms]:
    frames = ase.io.read(files.trajectory, index=":")
    return list(frames[len(frames) // 2 :])


def _mean_edges(files: RunFiles) -> Floats:
    """Edges (3,) of the cell in A, means of the second half of a run."""
    table = read_table(files.thermo)
    edges = np.array([table[name] for name in ("a_A", "b_A", "c_A")])
    return np.asarray(edges[:, edges.shape[1] // 2 :].mean(axis=1))
