"""Elastic constants of cubic crystals and force constants of an atom, at chosen strains and displacements.

Central differences of the stress (ASE's, tensile positive) of a crystal whose axes are the Cartesian ones:

    C11 = [s_xx(e) - s_xx(-e)] / 2e,   C12 = [s_yy(e) + s_zz(e) - s_yy(-e) - s_zz(-e)] / 4e      strain e_xx = e
    C44 = [s_yz(g) - s_yz(-g)] / 2g                                                shear e_yz = e_zy = g / 2
    k   = -[F_x(u) - F_x(-u)] / 2u                                     one atom of the crystal displaced by u along x

What odd derivatives add cancels, so the constants of a smooth potential change by a term in e^2 only: for silicon well
below 1 % up to e = 0.01. A potential with cones at perfect sites shows them here: its constants grow as e goes to zero.

Atoms are relaxed in the sheared cells, at a fixed center of mass; `clamped` C44 leaves them where the strain puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixCom
from ase.optimize import BFGS
from scipy.optimize import brentq

from rhopot.export import RhopotCalculator
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats

FMAX = 1e-5  # eV/A: 0.2 % of the forces that a shear of 5e-4 puts on the atoms of silicon
MAX_STEPS = 200


@dataclass(frozen=True)
class CubicElasticConstants:
    """Elastic constants in GPa at one strain; `c44_clamped` without relaxation of the atoms."""

    strain: float
    c11: float
    c12: float
    c44: float
    c44_clamped: float


def relaxed_cubic(crystal: Atoms, calculator: Calculator, extent: float = 0.05) -> Atoms:
    """Return `crystal` scaled to zero pressure, with `calculator` attached.

    Args:
        crystal: three-dimensionally periodic, fractional coordinates fixed by symmetry.
        calculator: gives stresses.
        extent: largest relative change of the lattice constant.

    Raises:
        ValueError: no zero of the pressure within `extent`.
    """
    if isinstance(calculator, RhopotCalculator):
        calculator.prepare(deformed(crystal, 2.0 * extent * np.eye(3)))

    def stress(scale: float) -> float:
        return float(_stress(deformed(crystal, scale * np.eye(3)), calculator)[:3].mean())

    lowest, highest = stress(-extent), stress(extent)
    if not lowest < 0.0 < highest:
        raise ValueError(
            f"crystal must have zero pressure within {extent:g} of its lattice constant, got stresses of {lowest:.3g} "
            f"to {highest:.3g} GPa; start from a better lattice constant"
        )
    result = deformed(crystal, brentq(stress, -extent, extent, xtol=1e-8) * np.eye(3))
    result.calc = calculator
    return result


def cubic_elastic_constants(
    crystal: Atoms, calculator: Calculator, strains: Sequence[float], relax: bool = True
) -> list[CubicElasticConstants]:
    """Return C11, C12, C44 of a cubic crystal for each strain.

    Args:
        crystal: its cubic axes are x, y, z (a primitive cell will do); at zero pressure (`relaxed_cubic`).
        calculator: gives stresses and, with `relax`, forces.
        strains: positive strains e; the shear g is the same number.
        relax: False leaves atoms clamped, and `c44` is `c44_clamped`.

    Raises:
        ValueError: no strains, or one that is not positive.
    """
    if not strains or min(strains) <= 0.0:
        raise ValueError(f"strains must be positive numbers, got {list(strains)}; 5e-4 to 1e-2 are usual")
    if isinstance(calculator, RhopotCalculator):
        calculator.prepare(deformed(crystal, 2.0 * max(strains) * np.eye(3)))
    return [_at_strain(crystal, calculator, strain, relax) for strain in strains]


def force_constant(crystal: Atoms, calculator: Calculator, displacement: float, atom: int = 0) -> float:
    """Return k in eV/A^2 of one atom displaced by `displacement` (A) along x and back, the others fixed."""
    forces = []
    for sign in (1.0, -1.0):
        moved = crystal.copy()
        moved.positions[atom, 0] += sign * displacement
        moved.calc = calculator
        forces.append(float(moved.get_forces()[atom, 0]))
    return -(forces[0] - forces[1]) / (2.0 * displacement)


def deformed(crystal: Atoms, strain: Floats) -> Atoms:
    """Return a copy without calculator, its cell and positions strained by the symmetric matrix (3, 3)."""
    result = crystal.copy()
    result.set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result


def _at_strain(crystal: Atoms, calculator: Calculator, strain: float, relax: bool) -> CubicElasticConstants:
    along = np.zeros((3, 3))
    along[0, 0] = strain
    shear = np.zeros((3, 3))
    shear[1, 2] = shear[2, 1] = 0.5 * strain
    uniaxial = _difference(crystal, calculator, along, strain, relax=False)
    clamped = _difference(crystal, calculator, shear, strain, relax=False)[3]
    relaxed = _difference(crystal, calculator, shear, strain, relax=True)[3] if relax else clamped
    return CubicElasticConstants(
        strain, float(uniaxial[0]), float(uniaxial[1:3].mean()), float(relaxed), float(clamped)
    )


def _difference(crystal: Atoms, calculator: Calculator, strain: Floats, size: float, relax: bool) -> Floats:
    """Central difference (6,) of the stress in GPa, per unit of `size`."""
    stresses = [_stress(deformed(crystal, sign * strain), calculator, relax) for sign in (1.0, -1.0)]
    return (stresses[0] - stresses[1]) / (2.0 * size)


def _stress(atoms: Atoms, calculator: Calculator, relax: bool = False) -> Floats:
    """Stress (6,) in GPa, Voigt order of ASE."""
    atoms.calc = calculator
    if relax:
        atoms.set_constraint(FixCom())
        if not BFGS(atoms, logfile=None).run(fmax=FMAX, steps=MAX_STEPS):
            left = np.abs(atoms.get_forces()).max()
            raise ValueError(
                f"atoms must relax to {FMAX:g} eV/A within {MAX_STEPS} steps, got {left:.2g}; "
                "take another crystal or model, or clamped atoms"
            )
    return np.asarray(atoms.get_stress()) * GPA_PER_EV_PER_CUBIC_ANGSTROM
