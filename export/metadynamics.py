"""Metadynamics in ASE: a calculator that adds a bias on collective variables to any other.

    calc = MetadynamicsCalculator(
        RhopotCalculator("model.pt"), "cv.pt",
        height=0.05, sigma=0.1, pace=100, biasfactor=10, temperature=300,
    )
    atoms.calc = calc
    dynamics = Langevin(atoms, 1 * units.fs, temperature_K=300, friction=0.01 / units.fs)
    calc.attach(dynamics)
    dynamics.run(100_000)

    V(x) = V(s(x)),   F = -dV/ds ds/dx,   stress = dV/ds ds/dstrain / volume

with the bias V(s) of `rhopot.export.metadynamics_bias`. Energy, forces and stress are those of the other calculator and
of the bias together; `bias` is the energy of hills, walls and moving restraints (eV), `collective_variables` are the
values (n,). Other results are those of the other calculator (`forces_uncertainty`, say), but for energies and stresses
of atoms, of which the bias has none.

`attach` writes COLVAR and HILLS, which `rhopot fes` reads, and adds hills. A run goes on with `restart=True` and
`dynamics.nsteps` set to the step from which it does: hills of later times are dropped from the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import ase
import ase.io
import ase.units
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from rhopot.export.cv_evaluate import evaluate_cv
from rhopot.export.cv_file import LoadedCv, load_cv
from rhopot.export.metadynamics_bias import Bias, BiasValue
from rhopot.export.metadynamics_deposition import Deposition, Walkers
from rhopot.export.metadynamics_files import Columns
from rhopot.export.metadynamics_settings import Axis, BiasSettings, Moving, Wall
from rhopot.potentials.files import write_atomically
from rhopot.potentials.graph.verlet import VerletList
from rhopot.potentials.units import Floats, to_voigt

COLVAR_EVERY = 100  # steps between lines of COLVAR where no pace is given
SKIN = 0.5  # A, of the neighbors of collective variables
_BIASED = ("energy", "free_energy", "forces", "stress")
_OWN = ("bias", "collective_variables")
_OF_ATOMS = ("energies", "stresses", "magmoms")

Group = Sequence[int] | Sequence[bool] | Floats


class MetadynamicsStopped(RuntimeError):
    """A run that cannot go on; its frame has been written.

    step: of the run; kind: `nan`, `grid` or `uncertain`; reason: the sentence without the name of the file
    """

    def __init__(self, step: int, kind: str, reason: str, file: Path | None) -> None:
        super().__init__(reason + (f"; frame in '{file}'" if file is not None else ""))
        self.step, self.kind, self.reason = step, kind, reason


class Variables(Protocol):
    """Collective variables: those of a file, or any others."""

    @property
    def columns(self) -> Columns:
        """Names, units and periods."""
        ...

    def evaluate(self, atoms: ase.Atoms) -> tuple[Floats, Floats, Floats]:
        """Values (n,), derivatives by positions (n, N, 3), and by strain (n, 3, 3)."""
        ...


@dataclass(frozen=True)
class _State:
    """A structure and what the bias gives for it."""

    atoms: ase.Atoms
    s: Floats
    gradients: Floats
    strains: Floats
    value: BiasValue

    def holds(self, atoms: ase.Atoms) -> bool:
        """Whether a structure is this one."""
        return (
            np.array_equal(self.atoms.positions, atoms.positions)
            and np.array_equal(self.atoms.cell.array, atoms.cell.array)
            and np.array_equal(self.atoms.numbers, atoms.numbers)
            and np.array_equal(self.atoms.pbc, atoms.pbc)
        )


class MetadynamicsCalculator(Calculator):
    """Adds metadynamics, walls and moving restraints to a calculator.

    calculator      gives energy, forces and, for dynamics at constant pressure, stress without the bias
    cv              file of collective variables, what `load_cv` gave, or an object like `Variables`
    bias            settings of the bias, instead of those from `height` to `moving`
    height          eV, of hills; sigma: their width in each variable, in its unit; pace: steps between them
    biasfactor      above 1: well-tempered at `temperature` (K); None: plain metadynamics
    grid            (low, high, intervals) of each variable: the bias is interpolated, for long runs
    wall_lower      (name, at, kappa) of each wall, kappa (s - at)^2 below `at`; wall_upper: above it
    moving          (name, from, to, kappa, first step, last step) of each moving restraint
    hills, colvar   files, None: not written; colvar_every: steps between its lines (default: the pace)
    group           atoms that are centers of the variables: mask or indices (default: all)
    restart         go on with the files of an earlier run, whose last step `dynamics.nsteps` is set to
    walkers         (folder, index, count): hills are shared; they are in HILLS.index in the folder
    stop_uncertainty  eV/A: stop where the largest `forces_uncertainty` of an atom is above, at lines of COLVAR
    stopped         file of the frame at which a run stops, None: not written

    Raises:
        ValueError: settings without meaning, or that do not go with the collective variables.
        MetadynamicsStopped: numbers that are not finite, variables outside of the grid, a large uncertainty.
    """

    def __init__(
        self,
        calculator: Calculator,
        cv: str | Path | LoadedCv | Variables,
        bias: BiasSettings | None = None,
        *,
        height: float | None = None,
        sigma: float | Sequence[float] | None = None,
        pace: int | None = None,
        biasfactor: float | None = None,
        temperature: float | None = None,
        grid: Sequence[tuple[float, float, int]] | None = None,
        wall_lower: Iterable[tuple[str, float, float]] = (),
        wall_upper: Iterable[tuple[str, float, float]] = (),
        moving: Iterable[tuple[str, float, float, float, int, int]] = (),
        hills: str | Path | None = "HILLS",
        colvar: str | Path | None = "COLVAR",
        colvar_every: int | None = None,
        group: Group | None = None,
        restart: bool = False,
        walkers: Walkers | tuple[str | Path, int, int] | None = None,
        stop_uncertainty: float | None = None,
        stopped: str | Path | None = "stopped.extxyz",
    ) -> None:
        super().__init__()
        if bias is None:
            widths = () if sigma is None else (sigma,) if isinstance(sigma, int | float) else tuple(sigma)
            bias = BiasSettings(
                height,
                tuple(float(width) for width in widths),
                pace,
                biasfactor,
                temperature,
                tuple(Axis(*axis) for axis in grid or ()),
                (*(Wall(*wall, upper=False) for wall in wall_lower), *(Wall(*wall, upper=True) for wall in wall_upper)),
                tuple(Moving(*each) for each in moving),
            )
        if isinstance(walkers, tuple):
            walkers = Walkers(Path(walkers[0]), *walkers[1:])
        if colvar_every is not None and colvar_every < 1:
            raise ValueError(f"colvar_every must be 1 step or more, got {colvar_every}; leave it out for the pace")
        if stop_uncertainty is not None and "forces_uncertainty" not in calculator.implemented_properties:
            raise ValueError(
                "stop_uncertainty must go with a calculator that has forces_uncertainty, got none; train a model with "
                "uncertainty.members, or leave it out"
            )
        self.calculator, self.variables = calculator, variables_of(cv, group)
        columns = self.variables.columns
        self.bias = Bias(bias, columns.names, columns.periods)
        paths = [None if file is None else Path(file) for file in (hills, colvar, stopped)]
        self.deposition = Deposition(self.bias, columns, paths[0], paths[1], walkers)
        self._every = colvar_every or bias.pace or COLVAR_EVERY
        self._restart, self._stop_uncertainty, self._stopped = restart, stop_uncertainty, paths[2]
        self._state: _State | None = None
        # Step of the run's start, of the next structure, and the last one that `after_step` has seen.
        self._first, self._step, self._observed, self._began = 0, 0, -1, False
        own = [*_BIASED, *_OWN]
        further = [name for name in calculator.implemented_properties if name not in (*own, *_OF_ATOMS)]
        there = [name for name in own if name in (*_OWN, "free_energy", *calculator.implemented_properties)]
        self.implemented_properties = [*there, *further]
        self.parameters = {"name": "metadynamics", "names": list(self.bias.names)}

    def attach(self, dynamics: Any) -> None:
        """Begin at the step that `dynamics.nsteps` is at, add hills and write files in each step of dynamics of ASE.

        Raises:
            ValueError: a restart at step 0, which would drop every hill.
        """
        if self._restart and dynamics.nsteps == 0 and self.deposition.has_file_of_hills:
            raise ValueError(
                "restart must be at the step of the structure, got step 0 and a file with hills; set dynamics.nsteps"
            )
        self.begin(dynamics.nsteps, dynamics.dt / ase.units.fs)
        dynamics.attach(lambda: self.after_step(dynamics.nsteps, dynamics.atoms), interval=1)

    def begin(self, step: int, timestep: float) -> None:
        """Begin at a step, with time steps of `timestep` fs: for programs that make steps themselves.

        Raises:
            ValueError: with `restart`, files that this run cannot go on with.
        """
        self.deposition.begin(step, timestep / 1000.0, restart=self._restart)
        self._first, self._step, self._observed, self._began, self._state = step, step, step - 1, True, None
        self.reset()

    def after_step(self, step: int, atoms: ase.Atoms) -> None:
        """Add a hill and write lines where it is time for them, after the forces of a step; once for each step.

        Raises:
            MetadynamicsStopped: the uncertainty is too large.
        """
        if step <= self._observed:
            return
        state = self._evaluated(atoms)
        line = step % self._every == 0
        if line and self._stop_uncertainty is not None:
            largest = float(np.max(self.calculator.get_property("forces_uncertainty", atoms)))
            if not largest <= self._stop_uncertainty:
                self._stop(
                    "uncertain",
                    f"the largest force uncertainty is {largest:.3g} eV/A, above {self._stop_uncertainty:g}",
                    atoms,
                    step,
                )
        value = state.value
        self.deposition.after(step, state.s, (value.hills, value.walls, value.moving), line=line)
        self._observed, self._step = step, step + 1

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Called by ASE: fill `results` with what is asked for."""
        if atoms is None or self._state is None or not self._state.holds(atoms):
            self.results = {}
        super().calculate(atoms, list(properties), list(system_changes))
        if self.atoms is None:
            raise ValueError("atoms must be a structure, got None; attach the calculator to one")
        wanted = set(properties)
        structure = self.atoms
        state = self._evaluated(structure)
        own = self._without_bias(structure, wanted)
        energy = float(own["energy"]) + state.value.total
        found: dict[str, Any] = {"energy": energy, "free_energy": energy}
        found |= {"bias": state.value.total, "collective_variables": state.s.copy()}
        gradient = state.value.gradient
        if "forces" in own:
            found["forces"] = own["forces"] - np.tensordot(gradient, state.gradients, axes=1)
        if "stress" in own:
            found["stress"] = (
                own["stress"] + to_voigt(np.tensordot(gradient, state.strains, axes=1)) / structure.get_volume()
            )
        found |= {name: own[name] for name in wanted - {*_BIASED, *_OWN}}
        finite = {
            name: bool(np.isfinite(found[name]).all()) for name in ("energy", "forces", "stress") if name in found
        }
        if not all(finite.values()):
            wrong = " and ".join(name for name, good in finite.items() if not good)
            self._stop(
                "nan", f"{wrong} must be finite, got other numbers; reduce the time step or the height", structure
            )
        self.results.update(found)

    def _without_bias(self, atoms: ase.Atoms, wanted: AbstractSet[str]) -> dict[str, Any]:
        """Energy and what else is wanted of the other calculator; forces and stress where they come with it."""
        order = [*(name for name in ("stress", "forces") if name in wanted), "energy"]  # what costs most comes first
        found = {order[0]: self.calculator.get_property(order[0], atoms)}
        for name in (*order[1:], *sorted(wanted - {*_BIASED, *_OWN})):
            there = self.calculator.results.get(name)
            found[name] = self.calculator.get_property(name, atoms) if there is None else there
        given = self.calculator.results
        return {name: given[name] for name in ("forces", "stress") if name in given} | found

    def _evaluated(self, atoms: ase.Atoms) -> _State:
        """The bias of a structure. It stays as it is while the structure is the same, whatever is added meanwhile."""
        if self._state is not None and self._state.holds(atoms):
            return self._state
        if self._state is not None:
            self._leave_start()
        if not np.isfinite(atoms.positions).all():
            last = self._state.atoms if self._state is not None else atoms
            self._stop("nan", "positions must be finite, got other numbers; reduce the time step or the height", last)
        s, gradients, strains = self._variables(atoms)
        if not (np.isfinite(s).all() and np.isfinite(gradients).all()):
            wrong = ", ".join(
                name
                for name, value, gradient in zip(self.bias.names, s, gradients, strict=True)
                if not (np.isfinite(value) and np.isfinite(gradient).all())
            )
            self._stop("nan", f"collective variables must be finite, got other numbers for {wrong}", atoms)
        try:
            value = self.bias.evaluate(s, self._step)
        except ValueError as error:
            self._stop("grid", str(error), atoms)
        self._state = _State(atoms.copy(), s, gradients, strains, value)
        return self._state

    def _leave_start(self) -> None:
        """The second structure after `begin` is that of the next step, which ASE does not say where it restarts."""
        if self._began:
            self._step = max(self._step, self._first + 1)
            self.deposition.release()

    def _variables(self, atoms: ase.Atoms) -> tuple[Floats, Floats, Floats]:
        """The variables of a structure; what they cannot be evaluated for stops a run that has begun."""
        try:
            return self.variables.evaluate(atoms)
        except ValueError as error:
            if self._state is None:
                raise
            self._stop("nan", str(error), atoms)

    def _stop(self, kind: str, reason: str, atoms: ase.Atoms, step: int | None = None) -> NoReturn:
        """Write the frame and stop."""
        frame = atoms.copy()
        frame.calc = None
        frame.set_constraint()
        number = self._step if step is None else step
        frame.info = {"step": number}
        if self._stopped is not None:
            write_atomically(self._stopped, lambda path: ase.io.write(path, frame, format="extxyz"))
        raise MetadynamicsStopped(number, kind, f"step {number}: {reason}", self._stopped)


class VariablesOfFile:
    """The collective variables of a file of `rhopot cv`.

    cv: path, or what `load_cv` gave; group: centers, mask or indices, None: all atoms
    """

    def __init__(self, cv: str | Path | LoadedCv, group: Group | None) -> None:
        self._cv = cv if isinstance(cv, LoadedCv) else load_cv(cv)
        self._group = group
        card = self._cv.card
        self._columns = Columns(card.names, card.units, card.periods, self._cv.identity)
        self._neighbours = VerletList(card.cutoff, SKIN) if card.reads_edges else None

    @property
    def columns(self) -> Columns:
        """Names, units, periods and what tells the file."""
        return self._columns

    def evaluate(self, atoms: ase.Atoms) -> tuple[Floats, Floats, Floats]:
        """Values (n,), derivatives by positions (n, N, 3), and by strain (n, 3, 3)."""
        edges = None if self._neighbours is None else self._neighbours(atoms)
        found = evaluate_cv(self._cv, atoms, self._group, edges=edges)
        assert found.gradients is not None
        assert found.strain_gradients is not None
        return found.values, found.gradients, found.strain_gradients


def variables_of(cv: str | Path | LoadedCv | Variables, group: Group | None) -> Variables:
    """The collective variables that a calculator was given."""
    if isinstance(cv, str | Path | LoadedCv):
        return VariablesOfFile(cv, group)
    if group is not None:
        raise ValueError("group must go with the file of a collective variable, got another object; leave it out")
    return cv
