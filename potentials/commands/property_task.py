"""One run of a property command: potential, structures and engines, results that are kept, tables and files.

A folder receives `VERB.json` (numbers), `VERB.png` (plot), `in.*` and `*.data` (the LAMMPS input that the property
stands for, written also where ASE computes), and `stages.json`, with which the same command goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.text import Text

from rhopot.export.card_file import installed_version
from rhopot.potentials.commands.property_grades import grades_of, outside_of_training_data, outside_sentences
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_structures import GivenStructures, given_potential, identity
from rhopot.potentials.console import bar, make_console, table, to_error
from rhopot.potentials.files import finite, write_json
from rhopot.potentials.lammps.relaxation import CellRelaxation
from rhopot.potentials.properties.engine import Advance, AseEngine, Engine
from rhopot.potentials.properties.first_lattice import FirstLattice, first_lattice
from rhopot.potentials.properties.kept import Kept, plain
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.structures.prototypes import conventional
from rhopot.potentials.units import Floats

Result = TypeVar("Result")

FMAX = (1e-6, 1e-3)  # eV/A, to which crystals are relaxed before a property is computed; float64, float32
CUBE = (1e-3, 1e-2)  # A, degrees: by which lengths and angles of a cube may be off
OTHER_CRYSTAL = 0.2  # relative change of the volume at which a member's crystal is not the one that is measured


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """Results of one structure: by name of the engine, the first one's first, and of the ensemble members.

    numbers: of the members that have results; a member for which the structure does not exist has none
    """

    by_engine: dict[str, Result]
    members: list[Result]
    numbers: Sequence[int] = ()

    @property
    def main(self) -> Result:
        """The result of the first engine."""
        return next(iter(self.by_engine.values()))


@dataclass(frozen=True)
class Quantity:
    """A number of each engine and the standard deviation over the members, for tables and comparisons.

    limit: largest accepted difference between the engines, relative to the number where `relative`; None: not compared
    errors: standard errors of the numbers of each engine, where they are averages
    """

    name: str
    unit: str
    values: dict[str, float]
    members: list[float]
    limit: float | None = None
    relative: bool = False
    errors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        measured: Measured[Result],
        name: str,
        unit: str,
        number: Callable[[Result], float],
        limit: float | None = None,
        relative: bool = False,
    ) -> Quantity:
        """The quantity that `number` reads from results."""
        values = {engine: float(number(result)) for engine, result in measured.by_engine.items()}
        return cls(name, unit, values, [float(number(each)) for each in measured.members], limit, relative)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the members; None where there are none."""
        return float(np.std(self.members)) if self.members else None

    @property
    def difference(self) -> float | None:
        """Difference between the engines, relative where the limit is; None of one engine."""
        if len(self.values) < 2:
            return None
        first, second = self.values.values()
        return abs(second - first) / (max(abs(first), 1e-12) if self.relative else 1.0)

    @property
    def agrees(self) -> bool:
        """True where the engines agree within the limit, or are not compared."""
        return self.limit is None or self.difference is None or self.difference <= self.limit

    def shown(self, engine: str) -> str:
        """The number of an engine, with its error where it is an average."""
        if engine not in self.values:
            return ""
        if engine not in self.errors:
            return to_error(self.values[engine], self.deviation)
        error = self.errors[engine]
        return f"{to_error(self.values[engine], error)} +- {to_error(error, error)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "unit": self.unit,
            **self.values,
            "standard_errors": dict(self.errors),
            "standard_deviation": self.deviation,
            "members": self.members,
            "difference": self.difference,
            "limit": self.limit,
            "difference_is_relative": self.relative,
        }


class PropertyTask:
    """What a property command works with.

    verb: name of the command; settings: its own options, on which results depend
    several: more than one structure is meaningful; constraints: those of a structure are obeyed, in ASE alone
    require: refuses what the command cannot do, before anything is written

    Raises:
        ValueError: no structure or several where one is needed, an engine the potential does not have, a folder that
            another command is writing.
    """

    def __init__(
        self,
        verb: str,
        options: PropertyOptions,
        settings: Mapping[str, Any],
        *,
        several: bool = False,
        constraints: bool = False,
        require: Callable[[PropertyTask], object] | None = None,
    ) -> None:
        self.verb, self.options, self.settings = verb, options, dict(settings)
        self.console = make_console()
        self.engines = options.engines()
        if options.ranks < 1:
            raise ValueError(f"ranks must be 1 or more, got {options.ranks}; 1 is the default")
        if options.ranks > 1 and "lammps" not in self.engines:
            raise ValueError(
                f"-n must go with --engine lammps or both, got {options.ranks} ranks for ase; add --engine lammps"
            )
        self.potential, files = given_potential(options)
        given = GivenStructures.of(options, files, self.potential.symbols)
        self.structures, self._prototypes = given.structures, given.prototypes
        if not several and len(self.structures) > 1:
            raise ValueError(
                f"{verb} must be given one structure, got {', '.join(self.structures)}; leave the others out"
            )
        for engine, there in (("ase", self.potential.calculator), ("lammps", self.potential.pair)):
            if engine in self.engines and there is None:
                missing = "--calculator" if engine == "ase" else "--pair-style and --pair-coeff"
                raise ValueError(
                    f"--engine {options.engine} must have the potential in {engine}, got none; add {missing}"
                )
        for name, atoms in self.structures.items():
            self._refuse_constraints(name, atoms, constraints)
        if require is not None:
            require(self)
        self.folder = options.output or Path(verb)
        hold_folder(self.folder, options, self.console)
        task = {
            "version": installed_version(),
            "verb": verb,
            "potential": self.potential.identity,
            "structures": {name: identity(atoms) for name, atoms in self.structures.items()},
            "settings": self.settings,
        }
        self.kept = Kept(self.folder, task, overwrite=options.overwrite)
        # Structures whose energies are results, by name: `finish` says which lie outside of the training data.
        self.evaluated: dict[str, Atoms] = {}
        self.console.print(f"{self.potential.name}: {verb} of {', '.join(self.structures)}; output in {self.folder}")
        for name in given.guessed:
            self.structures[name] = self._first_lattice(name, self.structures[name])

    def _refuse_constraints(self, name: str, atoms: Atoms, obeyed: bool) -> None:
        """Refuse constraints that a property would silently leave out."""
        if not atoms.constraints or (obeyed and "lammps" not in self.engines):
            return
        kinds = ", ".join(sorted({type(each).__name__ for each in atoms.constraints}))
        where, remedy = (" in LAMMPS", ", or give --engine ase") if obeyed else (f" for {self.verb}", "")
        raise ValueError(f"{name} must have no constraints{where}, got {kinds}; remove them{remedy}")

    def _first_lattice(self, name: str, guess: Atoms) -> Atoms:
        """A prototype without --lattice, scaled to where its relaxation begins."""
        engine = self.engine(self.engines[0], f"lattice_{name}")
        grade = (lambda atoms: float(grades_of(self.potential, atoms).max())) if self.potential.graded else None
        stage = f"{name}: first lattice by {self.engines[0]}"
        found = self.kept.get(stage, FirstLattice, lambda: first_lattice(guess, engine, grade))
        of = "by energies of scaled cells" if found.bound else "a guess: energies of scaled cells have no minimum"
        self.console.print(
            f"{name}: relaxes from a lattice constant of {self._conventional(name, found.atoms)[0]:.3f} A, {of}; "
            "--lattice gives another"
        )
        return found.atoms

    def _conventional(self, name: str, primitive: Atoms) -> Floats:
        """Lengths (A) and angles (degrees) of the conventional cell of a prototype, (6,)."""
        return np.asarray(conventional(self._prototypes[name], primitive).cell.cellpar())

    def lattice_constant(self, name: str, primitive: Atoms) -> str:
        """`; lattice constant 5.4310 A` of a prototype whose conventional cell is a cube, else nothing."""
        cell = self._conventional(name, primitive) if self.is_prototype(name) else np.zeros(6)
        cubic = np.ptp(cell[:3]) < CUBE[0] and np.abs(cell[3:] - 90.0).max() < CUBE[1]
        return f"; lattice constant {cell[0]:.4f} A" if cubic else ""

    @property
    def fmax(self) -> float:
        """Largest force in eV/A to which structures are relaxed unless the user says so: what the precision allows."""
        return self.limit(*FMAX)

    def limit(self, of_float64: float, of_float32: float) -> float:
        """The limit that goes with the precision of the potential."""
        return of_float64 if self.potential.dtype == "float64" else of_float32

    def is_prototype(self, name: str) -> bool:
        """True for a structure that --prototype made."""
        return name in self._prototypes

    @property
    def structure(self) -> Atoms:
        """The structure, of commands that take one."""
        return next(iter(self.structures.values()))

    def engine(self, name: str, stem: str) -> AseEngine | LammpsEngine:
        """The engine of that name; the input of LAMMPS is called `in.STEM`."""
        if name == "lammps":
            return self.lammps(stem)
        assert self.potential.calculator is not None
        return AseEngine(self.potential.calculator())

    def lammps(self, stem: str) -> LammpsEngine:
        """LAMMPS, to run or to write the input `in.STEM`."""
        assert self.potential.pair is not None
        return LammpsEngine(self.potential.pair, self.folder, ranks=self.options.ranks, stem=stem)

    def relaxed(
        self,
        name: str,
        atoms: Atoms,
        *,
        cell: CellRelaxation = "full",
        fmax: float | None = None,
        keep_symmetry: bool = True,
    ) -> Atoms:
        """The structure relaxed by the first engine, its input `in.relax_NAME`; to `self.fmax` where none is given."""
        force = self.fmax if fmax is None else fmax
        if cell != "fixed" and not all(atoms.pbc):
            raise ValueError(
                f"{name} must be periodic in three directions for {self.verb}, got open sides; give a crystal"
            )
        engine = self.engine(self.engines[0], f"relax_{name}")
        stage = f"{name}: relaxed by {self.engines[0]}"
        found = self.kept.get(
            stage, Atoms, lambda: engine.relaxed(atoms, cell=cell, fmax=force, keep_symmetry=keep_symmetry)
        )
        if self.is_prototype(name):
            self.evaluated[name] = found
        return found

    def measure(
        self,
        name: str,
        start: Atoms,
        kind: type[Result],
        compute: Callable[[Engine, Atoms, Advance], Result],
        *,
        total: int,
        cell: CellRelaxation | None = "full",
        fmax: float | None = None,
        own: Callable[[Engine, Atoms], Atoms] | None = None,
    ) -> Measured[Result]:
        """Compute a property of a structure with each engine and each member; finished parts are kept.

        start: relaxed structure, the same for all engines; each member relaxes it first by its own energies, `cell`
        (None: leaves it), or makes it its own by `own`. total: steps of one computation, for the bar.
        """
        by_engine: dict[str, Result] = {}
        self.evaluated[name] = start
        for engine in self.engines:
            with bar(self.console, f"{name}, {engine}", total) as advance:
                made = self.engine(engine, f"{self.verb}_{name}")
                by_engine[engine] = self.kept.get(f"{name}: {engine}", kind, lambda: compute(made, start, advance))  # noqa: B023
        force = self.fmax if fmax is None else fmax

        def relaxed(engine: Engine, atoms: Atoms) -> Atoms:
            if cell is None:
                return atoms
            return engine.relaxed(atoms, cell=cell, fmax=force, keep_symmetry=True)

        members = self._members(name, start, kind, compute, own or relaxed)
        return Measured(by_engine, list(members.values()), list(members))

    def _members(
        self,
        name: str,
        start: Atoms,
        kind: type[Result],
        compute: Callable[[Engine, Atoms, Advance], Result],
        own: Callable[[Engine, Atoms], Atoms],
    ) -> dict[int, Result]:
        """Results by number of the member; one for which the structure does not exist is left out, and it is said."""
        makers = self.potential.members if self.options.members else ()
        found: dict[int, Result] = {}
        failed: dict[int, str] = {}
        with bar(self.console, f"{name}, members", len(makers)) as advance:
            for k, make in enumerate(makers):
                one = self.kept.attempt(
                    f"{name}: member {k}",
                    kind,
                    lambda: self._member(make(), start, own, compute),  # noqa: B023
                )
                if isinstance(one, str):
                    failed[k] = one
                else:
                    found[k] = one
                advance(k + 1)
        if failed:
            rest = "" if 2 * len(found) > len(makers) else "; too few are left for an error bar"
            listed = ", ".join(map(str, failed))
            why = next(iter(failed.values()))
            self.console.print(
                f"note: {name}: {len(failed)} of {len(makers)} members failed: {listed} (first: {why}){rest}"
            )
        return found if 2 * len(found) > len(makers) else {}

    @staticmethod
    def _member(
        calculator: Any,
        start: Atoms,
        own: Callable[[Engine, Atoms], Atoms],
        compute: Callable[[Engine, Atoms, Advance], Result],
    ) -> Result:
        engine = AseEngine(calculator)
        atoms = own(engine, start)
        if all(start.pbc) and abs(atoms.get_volume() / start.get_volume() - 1.0) > OTHER_CRYSTAL:
            raise ValueError(
                f"volume must stay within {OTHER_CRYSTAL:.0%} of {start.get_volume() / len(start):.4g} A^3/atom, got "
                f"{atoms.get_volume() / len(atoms):.4g}"
            )
        return compute(engine, atoms, lambda done: None)

    def finish(self, quantities: Mapping[str, Sequence[Quantity]], further: Mapping[str, Any] | None = None) -> None:
        """Print the table of each structure, write the JSON files, and fail where the engines disagree.

        quantities: by structure; further: more results for the JSON file.

        Raises:
            RuntimeError: engines differ by more than a limit; everything has been written.
        """
        for name, rows in quantities.items():
            if rows:
                self.console.print(table(name, *self._table(rows)))
        outside = outside_of_training_data(self.potential, self.evaluated)
        for sentence in outside_sentences(outside, self.evaluated, self._prototypes):
            self.console.print(sentence)
        numbers = {
            "property": self.verb,
            "potential": self.potential.name,
            "engines": list(self.engines),
            "settings": self.settings,
            "structures": {name: {row.name: row.as_dict() for row in rows} for name, rows in quantities.items()},
            **({"outside_of_training_data": outside} if outside else {}),
            **(further or {}),
        }
        files = [self.folder / f"{self.verb}.json", *([self.options.json_file] if self.options.json_file else [])]
        for file in files:
            write_json(file, finite(plain(numbers)), indent=2)
        self.console.print(f"numbers: {', '.join(map(str, files))}")
        differing = [
            f"{row.name} of {name} by {row.difference:.2g}{' relative' if row.relative else f' {row.unit}'}, "
            f"limit {row.limit:g}"
            for name, rows in quantities.items()
            for row in rows
            if not row.agrees
        ]
        if differing:
            raise RuntimeError(f"ase and lammps disagree: {'; '.join(differing)}")

    def _table(self, rows: Sequence[Quantity]) -> tuple[list[str], list[list[str | Text]]]:
        compared, deviates = len(self.engines) > 1, any(row.deviation is not None for row in rows)
        columns = ["", *self.engines, *["difference", "limit"] * compared, *["+-"] * deviates, "unit"]
        lines: list[list[str | Text]] = []
        for row in rows:
            line: list[str | Text] = [row.name, *(row.shown(engine) for engine in self.engines)]
            if compared:
                limit = "" if row.limit is None else f"{row.limit:.0e}{' relative' if row.relative else ''}"
                difference = "" if row.difference is None else f"{row.difference:.1e}"
                line += [difference if row.agrees else Text(difference, style="red"), limit]
            line += ["" if row.deviation is None else to_error(row.deviation, row.deviation)] * deviates
            line.append(row.unit)
            lines.append(line)
        return columns, lines


def hold_folder(folder: Path, options: PropertyOptions, console: Console) -> None:
    """Let no other process write the folder until the command has ended; see `lock_folder`."""
    note = options.held.enter_context(lock_folder(folder, "--output"))
    if note:
        console.print(note)
