"""What a property asks of a program that evaluates structures, and ASE as such a program.

A property is written once, for an `Engine`: `AseEngine` here and `LammpsEngine` (`rhopot.potentials.properties.
lammps_engine`), which writes an input, runs it on MPI ranks and reads what it prints. Energies in eV, forces in eV/A,
stresses in eV/A^3 (tensile positive), pressures in GPa.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixCom, FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, LBFGS
from ase.optimize.optimize import Optimizer

from rhopot.export import RhopotCalculator
from rhopot.potentials.lammps.relaxation import CellRelaxation
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats, from_voigt

MAX_STEPS = 1000
MANY_ATOMS = 200  # beyond, BFGS takes longer for its matrix than a model for the forces
# A: positions that are symmetric within this keep the symmetry. What breaks it by more relaxes; what breaks it by less
# stays, with forces of up to some 1e-5 eV/A.
SAME_SITE = 1e-6
LARGEST_STRAIN = 0.05  # of a step of the relaxation of a cell

Advance = Callable[[int], None]


def silent(done: int) -> None:
    """Advance no bar."""


@dataclass(frozen=True)
class Cells:
    """A structure in n cells: energies (n,) in eV, stresses (n, 3, 3) in eV/A^3."""

    energies: Floats
    stresses: Floats


@dataclass
class History:
    """What an optimizer went through, step by step: energies in eV and largest forces in eV/A.

    Of a cell that relaxes, ASE's forces hold the stress times the volume per atom as well, as those of LAMMPS do not.
    """

    energies: list[float] = field(default_factory=list)
    forces: list[float] = field(default_factory=list)


class Engine(Protocol):
    """A program that evaluates structures with one potential."""

    name: str

    def in_cells(
        self, atoms: Atoms, cells: Sequence[Floats], *, relax: bool, fmax: float, advance: Advance = silent
    ) -> Cells:
        """Evaluate `atoms` in each of the cells (3, 3), fractional coordinates kept or (`relax`) relaxed to `fmax`.

        Raises:
            ValueError: atoms do not relax.
        """
        ...

    def forces(self, atoms: Atoms, positions: Sequence[Floats], *, advance: Advance = silent) -> list[Floats]:
        """Return the forces (N, 3) for each of the positions (N, 3), in A, in the cell of `atoms`."""
        ...

    def relaxed(
        self,
        atoms: Atoms,
        *,
        cell: CellRelaxation = "fixed",
        fmax: float = 1e-3,
        pressure: float = 0.0,
        keep_symmetry: bool = False,
        history: History | None = None,
    ) -> Atoms:
        """Return a copy with the positions and, unless it is `fixed`, the cell at the nearest minimum of the enthalpy.

        cell: `isotropic` keeps its shape, `full` relaxes all components; pressure in GPa, at which the cell relaxes.
        The copy carries its energy, forces and stress (`SinglePointCalculator`); `history` receives the steps.

        Raises:
            ValueError: atoms or cell do not relax to `fmax` (eV/A), with what is left.
        """
        ...


class AseEngine:
    """ASE with one calculator."""

    def __init__(self, calculator: Calculator) -> None:
        self.name = "ase"
        self.calculator = calculator

    def in_cells(
        self, atoms: Atoms, cells: Sequence[Floats], *, relax: bool, fmax: float, advance: Advance = silent
    ) -> Cells:
        """See `Engine.in_cells`."""
        largest = max(cells, key=lambda cell: abs(np.linalg.det(cell)))
        prepare(self.calculator, in_cell(atoms, largest))
        energies, stresses = [], []
        for k, cell in enumerate(cells):
            strained = in_cell(atoms, cell)
            strained.calc = self.calculator
            if relax:
                strained.set_constraint(FixCom())
                converge(BFGS(strained, logfile=None), strained, fmax)
            energies.append(strained.get_potential_energy())
            stresses.append(from_voigt(strained.get_stress()))
            advance(k + 1)
        return Cells(np.array(energies), np.array(stresses))

    def energy(self, atoms: Atoms) -> float:
        """Return the energy in eV of a structure as it is."""
        still = atoms.copy()
        still.calc = self.calculator
        return float(still.get_potential_energy())

    def forces(self, atoms: Atoms, positions: Sequence[Floats], *, advance: Advance = silent) -> list[Floats]:
        """See `Engine.forces`."""
        moved = atoms.copy()
        moved.calc = self.calculator
        found = []
        for k, where in enumerate(positions):
            moved.positions = where
            found.append(moved.get_forces(apply_constraint=False).copy())
            advance(k + 1)
        return found

    def relaxed(
        self,
        atoms: Atoms,
        *,
        cell: CellRelaxation = "fixed",
        fmax: float = 1e-3,
        pressure: float = 0.0,
        keep_symmetry: bool = False,
        history: History | None = None,
    ) -> Atoms:
        """See `Engine.relaxed`; the Frechet derivative of the logarithm of the strain for cells (ASE)."""
        moving = atoms.copy()
        prepare(self.calculator, moving)
        moving.calc = self.calculator
        if keep_symmetry:
            moving.set_constraint([*moving.constraints, FixSymmetry(moving, symprec=SAME_SITE, verbose=False)])
        optimizer: type[Any] = BFGS if len(moving) <= MANY_ATOMS else LBFGS
        free: Any = moving
        longest = 0.2
        if cell != "fixed":
            free = FrechetCellFilter(
                moving,
                hydrostatic_strain=cell == "isotropic",
                scalar_pressure=pressure / GPA_PER_EV_PER_CUBIC_ANGSTROM,
            )
            # The filter's coordinates of the cell are the logarithm of its strain times the number of atoms.
            longest = min(longest, LARGEST_STRAIN * len(moving))
        with warnings.catch_warnings():
            # Of the filter, for errors of 1e-12 in a strain that only guides the optimizer.
            warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
            converge(optimizer(free, logfile=None, maxstep=longest), moving, fmax, history)
        return frozen(moving, atoms)


def converge(optimizer: Optimizer, atoms: Atoms, fmax: float, history: History | None = None) -> None:
    """Run an optimizer to its end; ValueError where it does not get there."""

    def left() -> float:
        # Of a cell that relaxes, the optimizer's forces hold the stress times the volume per atom as well.
        return float(np.linalg.norm(optimizer.atoms.get_forces(), axis=1).max())

    def record() -> None:
        if history is not None:
            history.energies.append(float(atoms.get_potential_energy()))
            history.forces.append(left())

    optimizer.attach(record)
    if not optimizer.run(fmax=fmax, steps=MAX_STEPS):
        raise ValueError(
            f"structure must relax to {fmax:g} eV/A within {MAX_STEPS} steps, got a largest force of {left():.2g} eV/A "
            f"for {atoms.get_chemical_formula()}; start from a better structure, or give a larger --fmax"
        )


def frozen(atoms: Atoms, original: Atoms) -> Atoms:
    """Return a copy with its results, and with the constraints of `original`."""
    from ase.calculators.singlepoint import SinglePointCalculator

    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(apply_constraint=False),
    }
    if all(atoms.pbc):
        results["stress"] = atoms.get_stress(apply_constraint=False)
    copy = atoms.copy()
    copy.set_constraint(original.constraints)
    copy.calc = SinglePointCalculator(copy, **results)
    return copy


def in_cell(atoms: Atoms, cell: Floats) -> Atoms:
    """Return a copy without calculator in another cell (3, 3), fractional coordinates kept."""
    copy = atoms.copy()
    copy.calc = None
    copy.set_cell(cell, scale_atoms=True)
    return copy


def prepare(calculator: Calculator, atoms: Atoms) -> None:
    """Let a global model choose its grids for cells that are somewhat larger than that of `atoms`, once for a curve."""
    if isinstance(calculator, RhopotCalculator):
        calculator.prepare(atoms)
