"""`rhopot metad`: metadynamics on collective variables, in ASE or in LAMMPS.

The runs are those of `properties.metadynamics_ase` and `properties.metadynamics_lammps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from rhopot.export.cv_file import load_cv
from rhopot.export.metadynamics_files import Columns
from rhopot.export.metadynamics_settings import BiasSettings
from rhopot.potentials.commands.md import Uncertain, print_run
from rhopot.potentials.commands.md_request import read_request
from rhopot.potentials.commands.metad_request import MetadRequest
from rhopot.potentials.commands.metad_summary import summarize
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import PropertyTask, Quantity
from rhopot.potentials.console import bar
from rhopot.potentials.lammps.dynamics_settings import Ended
from rhopot.potentials.properties.dynamics_ase import read_table as read_thermo
from rhopot.potentials.properties.engine import Advance
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.metadynamics_ase import STATE, run_metadynamics_in_ase, walker_files
from rhopot.potentials.properties.metadynamics_lammps import run_metadynamics_in_lammps, write_metadynamics_input
from rhopot.potentials.structures.velocities import thermal_momenta

STEM = "metad"


@dataclass(frozen=True)
class AllEnded:
    """How each walker ended, as it is kept."""

    steps: list[int]
    kinds: list[str]
    reasons: list[str]


def metad(options: PropertyOptions, config: Path | None, restart: bool, **given: Any) -> None:
    """Run metadynamics of one structure, summarize it, and write its files."""
    options, request = read_request(options, config, given, MetadRequest)
    run = MetadRun(options, request, restart=restart)
    run.say()
    with _how_to_go_on():
        ended = run.carry_out()
    run.report(ended)


@contextmanager
def _how_to_go_on() -> Iterator[None]:
    """Let whatever stops a run say how it is continued."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note("the same command with --restart goes on from the last saved state")
        raise


class MetadRun:
    """One run of `rhopot metad`: structure, bias, settings and limits."""

    def __init__(self, options: PropertyOptions, request: MetadRequest, *, restart: bool) -> None:
        if options.engine == "both":
            raise ValueError(
                "--engine must be ase or lammps for metadynamics, got both; run each in a folder of its own"
            )
        if restart and options.overwrite:
            raise ValueError(
                "--restart must be given without --overwrite, got both; --restart goes on with the run in the folder, "
                "--overwrite begins anew"
            )
        self.request, self.restart, self.ran = request, restart, False
        self.task = PropertyTask(
            "metad", options, request.key(), require=lambda task: request.require(task.structure, task.potential)
        )
        self.name = next(iter(self.task.structures))
        cell = self.task.structure
        if self.task.is_prototype(self.name):
            cell = self.task.relaxed(self.name, cell)
        atoms = request.supercell(cell)
        atoms.calc = None
        self.cv = load_cv(request.cv)
        self.settings = request.settings(atoms)
        self.limits = request.limits(atoms, self.task.potential)
        self.metadynamics = request.metadynamics(self.cv)
        self.engine = self.task.engines[0]
        self.starts = [self._start(atoms, k, velocities=len(atoms) == len(cell)) for k in range(request.walkers)]
        self._require_folder()

    def _start(self, atoms: Atoms, k: int, *, velocities: bool) -> Atoms:
        """The structure of a walker: with the velocities of the file, those of others drawn."""
        start = atoms.copy()
        if k > 0 or not velocities or not np.any(start.get_momenta()):
            start.set_momenta(thermal_momenta(start, self.settings.temperature[0], self.settings.seed + k))
        return start

    def _require_folder(self) -> None:
        """Refuse to begin where a run has been, unless it goes on or is to be replaced.

        Raises:
            ValueError: there are files of a run.
        """
        folder, task = self.task.folder, self.task
        there = [name for pair in self.metadynamics.files for name in pair if (folder / name).is_file()]
        if self.restart:
            for engine in ("ase", "lammps"):
                task.kept.refuse_fewer_steps(f"{engine}: ", self.settings.steps, folder)
            return
        if there and not task.options.overwrite:
            raise ValueError(
                f"output must be a folder without a run, got '{folder}' with {there[0]}; give --restart to go on with "
                "it, --overwrite to begin anew, or another --output"
            )
        task.kept.forget()
        (folder / STATE).unlink(missing_ok=True)

    def say(self) -> None:
        """State what is run, defaults included."""
        task, bias = self.task, self.metadynamics.bias
        print_run(task, self.starts[0], self.settings, self.limits)
        card = self.cv.card
        variables = ", ".join(
            f"{name} ({unit})" if unit else name for name, unit in zip(card.names, card.units, strict=True)
        )
        task.console.print(f"collective variables of {self.request.cv}: {variables}; {self._read_atoms()}")
        parts = [
            *self._hills(bias),
            *(
                f"{'upper' if w.upper else 'lower'} wall of {w.name} at {w.at:g}, {w.kappa:g} {self._stiffness(w.name)}"
                for w in bias.walls
            ),
            *(
                f"moving restraint of {m.name}, {m.start:g} to {m.end:g}, {m.kappa:g} {self._stiffness(m.name)}, steps "
                f"{m.first} to {m.last}"
                for m in bias.moving
            ),
            f"{self.request.walkers} walker{'s' * (self.request.walkers > 1)}",
        ]
        task.console.print("; ".join(parts))

    def _read_atoms(self) -> str:
        """The atoms that the variables read."""
        card = self.cv.card
        given = [f"atoms {' '.join(map(str, card.atoms))}"] if card.atoms else []
        centers = [f"centers: {self.request.group or 'all atoms of ' + ', '.join(card.symbols)}"]
        return "; ".join([*given, *(centers if card.reads_edges else [])])

    @staticmethod
    def _hills(bias: BiasSettings) -> list[str]:
        """The hills in words."""
        if not bias.has_hills:
            return ["no hills"]
        return [
            f"hills of {bias.height:.4g} eV every {bias.pace} steps, sigma {', '.join(f'{s:g}' for s in bias.sigma)}",
            "plain (all hills of one height)"
            if bias.biasfactor is None
            else f"well-tempered, biasfactor {bias.biasfactor:g}",
            "; ".join(f"grid {a.low:.5g} to {a.high:.5g} in {a.n} intervals" for a in bias.grid) or "no grid",
        ]

    def _stiffness(self, name: str) -> str:
        """Unit of a force constant."""
        unit = self.cv.card.units[self.cv.card.names.index(name)]
        return f"eV/{unit}^2" if unit else "eV"

    def carry_out(self) -> list[Ended]:
        """Run; how each walker ended. The input of LAMMPS is written in any case."""
        task = self.task
        lammps = None
        if task.potential.pair is not None:
            ranks = task.options.ranks
            if self.engine == "lammps" and "ranks" not in task.options.stated:
                ranks = max(ranks, self.request.walkers)
            lammps = LammpsEngine(task.potential.pair, task.folder, ranks=ranks, stem=STEM)
            write_metadynamics_input(lammps, self.starts, self.metadynamics, self.settings, self.limits)
        else:
            task.console.print("no LAMMPS input is written: the potential has no --pair-style")
        with bar(task.console, f"{self.name}, {self.engine}", self.settings.steps) as advance:
            found = task.kept.get(
                f"{self.engine}: {self.settings.steps} steps", AllEnded, lambda: self._run(lammps, advance)
            )
        if self.restart and not self.ran:
            task.console.print(f"all {self.settings.steps} steps are there: nothing is run; more --steps go on")
        return [Ended(*each) for each in zip(found.steps, found.kinds, found.reasons, strict=True)]

    def _run(self, lammps: LammpsEngine | None, advance: Advance) -> AllEnded:
        task = self.task
        self.ran = True
        given: dict[str, Any] = {
            "limits": self.limits,
            "key": task.kept.key,
            "restart": self.restart,
            "say": task.console.print,
            "advance": advance,
        }
        if self.engine == "lammps":
            assert lammps is not None
            ended = run_metadynamics_in_lammps(lammps, self.starts, self.metadynamics, self.settings, **given)
        else:
            assert task.potential.calculator is not None
            make = task.potential.calculator
            ended = run_metadynamics_in_ase(self.starts, make, self.metadynamics, self.settings, task.folder, **given)
        return AllEnded([each.step for each in ended], [each.kind for each in ended], [each.reason for each in ended])

    def report(self, ended: Sequence[Ended]) -> None:
        """Summary, files, picture and the next command; fails where the dynamics ran away.

        Raises:
            RuntimeError: numbers that are not finite, lost atoms, a closest approach, variables outside of the grid.
            Uncertain: the limit of the uncertainty ended the run.
        """
        task, folder = self.task, self.task.folder
        files = walker_files(folder, self.engine, len(self.starts))
        sentences = [
            f"{self.engine} stopped at step {each.step} ({each.step * self.settings.timestep / 1000.0:g} ps): "
            f"{each.reason}; frame in {of.stopped}"
            for each, of in zip(ended, files, strict=True)
            if each.kind
        ]
        for sentence in sentences:
            task.console.print(sentence)
        names = self.metadynamics.files
        rows = self._summarized(names) if any(each.step > 0 for each in ended) else []
        further = {
            "dynamics": asdict(self.settings),
            "bias": asdict(self.metadynamics.bias),
            "ended": [asdict(each) for each in ended],
        }
        task.finish({self.name: rows}, further)
        if any(row.name == "hills" for row in rows):
            task.console.print(f"next: {self._next(names)}")
        if any(each.kind not in ("", "uncertain") for each in ended):
            raise RuntimeError("; ".join(sentences))
        if sentences:
            raise Uncertain("; ".join([*sentences, f"what to label: rhopot harvest {task.potential.name} {folder}"]))

    def _summarized(self, names: Sequence[tuple[str, str]]) -> list[Quantity]:
        """Numbers of the run, and its picture."""
        task, folder = self.task, self.task.folder
        files = walker_files(folder, self.engine, len(self.starts))
        summary = summarize(folder, names, self.cv.card.names, self._columns())
        temperatures = np.concatenate([read_thermo(of.thermo)["temperature_K"] for of in files])
        rows = [self._quantity("temperature, mean", "K", float(np.mean(temperatures)))]
        rows += [self._quantity(name, unit, value) for name, unit, value in summary.rows()]
        model = Path(task.potential.name)
        summary.draw(folder / "metad.png", f"{model.name if model.is_file() else task.potential.name} ({self.engine})")
        written = [name for pair in names for name in pair if (folder / name).is_file()]
        task.console.print(f"files: {', '.join([*written, 'metad.png'])}")
        return rows

    def _columns(self) -> Columns:
        card = self.cv.card
        return Columns(card.names, card.units, card.periods, self.cv.identity)

    def _quantity(self, name: str, unit: str, value: float) -> Quantity:
        return Quantity(name, unit, {self.engine: value}, [])

    def _next(self, names: Sequence[tuple[str, str]]) -> str:
        """The command that computes the free energy."""
        hills = " ".join(str(self.task.folder / pair[0]) for pair in names)
        colvars = " ".join(f"--colvar {self.task.folder / pair[1]}" for pair in names)
        return f"rhopot fes {hills} {colvars} --temperature {self.settings.temperature[0]:g}"
