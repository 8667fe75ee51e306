"""Elastic constants of any crystal from stresses of strained cells.

    C_ij = d sigma_i / d e_j,     Voigt order xx yy zz yz xz xy, e_4 = 2 e_yz

as central differences over cells strained by +e and -e, the atoms relaxed in each (or clamped). What odd derivatives
add cancels, so the constants of a smooth potential change by a term in e^2 only: for silicon well below 1 % up to
e = 0.01. A potential with cones at perfect sites shows them here: its constants grow as e goes to zero.

Symmetry (spglib) saves strains: a strain and its stress, rotated by an operation R of the point group, are those of
another strain, R e R^T and R s R^T. Strains are taken until the rotated ones span all six directions (two for a cubic
crystal), and the 21 constants of the symmetric matrix are the least-squares solution of all of them.

Averages over polycrystals: Voigt (equal strain), Reuss (equal stress) and their mean (Hill); R. Hill, Proc. Phys. Soc.
A 65, 349 (1952), doi:10.1088/0370-1298/65/5/307. A crystal is stable against strain where all eigenvalues of C are
positive; F. Mouhat, F.-X. Coudert, Phys. Rev. B 90, 224104 (2014), doi:10.1103/PhysRevB.90.224104.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.utils import spglib_new_errorhandling

from rhopot.potentials.properties.engine import Advance, Engine, silent
from rhopot.potentials.units import ASE_VOIGT, GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats, from_voigt, to_voigt

STRAIN = 1e-3
FMAX = 1e-5  # eV/A: 0.1 % of the forces that a shear of 1e-3 puts on the atoms of silicon
SYMMETRY = 1e-4  # A; atoms this close to symmetric sites count as on them


@dataclass(frozen=True)
class ElasticConstants:
    """Elastic constants (6, 6) in GPa, Voigt order of ASE, at one strain.

    n_strains: strains that were computed, each with both signs; residual: root mean square difference in GPa between
    the computed stress derivatives and those of the constants, which symmetry would make zero.
    """

    constants: Floats
    strain: float
    n_strains: int
    residual: float

    def __getitem__(self, name: str) -> float:
        """C11, C12, C44, ... by name."""
        return float(self.constants[int(name[1]) - 1, int(name[2]) - 1])

    @property
    def eigenvalues(self) -> Floats:
        """Eigenvalues (6,) of C in GPa, ascending."""
        return np.asarray(np.linalg.eigvalsh(self.constants), dtype=np.float64)

    @property
    def stable(self) -> bool:
        """True where every small strain costs energy."""
        return bool(self.eigenvalues[0] > 0.0)

    def moduli(self) -> dict[str, float]:
        """Return moduli of a polycrystal: bulk and shear by Voigt, Reuss, Hill, Young's modulus (GPa), Poisson's ratio.

        `anisotropy`: universal index 5 G_V/G_R + K_V/K_R - 6, zero for an isotropic crystal (Ranganathan and
        Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008), doi:10.1103/PhysRevLett.101.055504).
        """
        voigt_bulk, voigt_shear = _voigt(self.constants)
        reuss_bulk, reuss_shear = _reuss(np.asarray(np.linalg.inv(self.constants), dtype=np.float64))
        bulk, shear = 0.5 * (voigt_bulk + reuss_bulk), 0.5 * (voigt_shear + reuss_shear)
        return {
            "bulk_voigt": voigt_bulk,
            "bulk_reuss": reuss_bulk,
            "bulk_hill": bulk,
            "shear_voigt": voigt_shear,
            "shear_reuss": reuss_shear,
            "shear_hill": shear,
            "young": 9.0 * bulk * shear / (3.0 * bulk + shear),
            "poisson": (3.0 * bulk - 2.0 * shear) / (6.0 * bulk + 2.0 * shear),
            "anisotropy": 5.0 * voigt_shear / reuss_shear + voigt_bulk / reuss_bulk - 6.0,
        }


@dataclass(frozen=True)
class StrainPlan:
    """What is computed of a crystal: cells (2 n, 3, 3), +e and -e for each strain (n, 3, 3), and its rotations."""

    cells: list[Floats]
    strains: list[Floats]
    rotations: Floats


def plan_strains(crystal: Atoms, strain: float = STRAIN) -> StrainPlan:
    """Choose the strains that symmetry does not give.

    Raises:
        ValueError: strain is not positive, or the crystal is not periodic in three directions.
    """
    if not strain > 0.0:
        raise ValueError(f"strain must be a positive number, got {strain}; 5e-4 to 1e-2 are usual")
    if not all(crystal.pbc):
        raise ValueError("crystal must be periodic in three directions, got open sides; elastic constants need a bulk")
    rotations = point_group(crystal)
    strains: list[Floats] = []
    spanned = np.zeros((0, 6))
    for k in range(6):
        unit = from_voigt(_unit(k))
        rotated = np.array([_to_strain(r @ unit @ r.T) for r in rotations])
        together = np.vstack([spanned, rotated])
        if _rank(together) > _rank(spanned):
            strains.append(strain * unit)
            spanned = together
    cells = [crystal.cell.array @ (np.eye(3) + sign * each) for each in strains for sign in (1.0, -1.0)]
    return StrainPlan(cells, strains, rotations)


def elastic_constants(
    crystal: Atoms,
    engine: Engine,
    *,
    strain: float = STRAIN,
    relax: bool = True,
    fmax: float = FMAX,
    advance: Advance = silent,
) -> ElasticConstants:
    """Return the elastic constants of a crystal at zero stress (`Engine.relaxed` with `cell="full"`).

    Args:
        crystal: any cell, also a primitive one; constants refer to the Cartesian axes it stands in.
        engine: gives stresses.
        strain: size of the strains.
        relax: False leaves atoms where the strain puts them (clamped ions).
        fmax: eV/A, to which atoms are relaxed.
        advance: called with the number of finished cells.

    Raises:
        ValueError: see `plan_strains`; atoms that do not relax.
    """
    plan = plan_strains(crystal, strain)
    stresses = engine.in_cells(crystal, plan.cells, relax=relax, fmax=fmax, advance=advance).stresses
    derivatives = (stresses[0::2] - stresses[1::2]) * (GPA_PER_EV_PER_CUBIC_ANGSTROM / (2.0 * strain))
    return _solve(plan, derivatives, strain)


def force_constant(crystal: Atoms, calculator: Calculator, displacement: float, atom: int = 0) -> float:
    """Return k in eV/A^2 of one atom displaced by `displacement` (A) along x and back, the others fixed."""
    forces = []
    for sign in (1.0, -1.0):
        moved = crystal.copy()
        moved.positions[atom, 0] += sign * displacement
        moved.calc = calculator
        forces.append(float(moved.get_forces()[atom, 0]))
    return -(forces[0] - forces[1]) / (2.0 * displacement)


def point_group(crystal: Atoms) -> Floats:
    """Return the Cartesian rotations (n, 3, 3) of the operations that map the crystal onto itself."""
    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    fractional = np.unique(spglib_new_errorhandling(spglib.get_symmetry)(cell, symprec=SYMMETRY)["rotations"], axis=0)
    columns = crystal.cell.array.T
    # Of a cell that has its symmetry within SYMMETRY only, the nearest orthogonal matrices.
    left, _, right = np.linalg.svd(columns @ fractional @ np.linalg.inv(columns))
    return np.asarray(left @ right)


def _solve(plan: StrainPlan, derivatives: Floats, strain: float) -> ElasticConstants:
    """Constants from stress derivatives (n, 3, 3) in GPa per unit of each strain, and their rotated copies."""
    rows, columns = np.triu_indices(6)
    equations, right = [], []
    for of_strain, of_stress in zip(plan.strains, derivatives, strict=True):
        for rotation in plan.rotations:
            e = _to_strain(rotation @ (of_strain / strain) @ rotation.T)
            block = np.zeros((6, len(rows)))
            for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
                block[i, k] += e[j]
                if i != j:
                    block[j, k] += e[i]
            equations.append(block)
            right.append(to_voigt(rotation @ of_stress @ rotation.T))
    matrix, vector = np.concatenate(equations), np.concatenate(right)
    solution = np.linalg.lstsq(matrix, vector, rcond=None)[0]
    constants = np.zeros((6, 6))
    constants[rows, columns] = constants[columns, rows] = solution
    residual = float(np.sqrt(np.mean((matrix @ solution - vector) ** 2)))
    return ElasticConstants(constants, strain, len(plan.strains), residual)


def _rank(strains: Floats) -> int:
    """Directions that strains (n, 6) of size one span, small angles between them left out."""
    return int(np.linalg.matrix_rank(strains, tol=0.01)) if len(strains) else 0


def _unit(k: int) -> Floats:
    """Voigt components (6,) of the tensor whose engineering strain k is one."""
    unit = np.zeros(6)
    unit[k] = 1.0 if ASE_VOIGT[k][0] == ASE_VOIGT[k][1] else 0.5
    return unit


def _to_strain(tensor: Floats) -> Floats:
    """Engineering strains (6,) of a symmetric tensor (3, 3)."""
    return to_voigt(tensor) * [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


def _voigt(c: Floats) -> tuple[float, float]:
    normal, mixed, shear = np.trace(c[:3, :3]), c[0, 1] + c[0, 2] + c[1, 2], np.trace(c[3:, 3:])
    return float((normal + 2.0 * mixed) / 9.0), float((normal - mixed + 3.0 * shear) / 15.0)


def _reuss(s: Floats) -> tuple[float, float]:
    normal, mixed, shear = np.trace(s[:3, :3]), s[0, 1] + s[0, 2] + s[1, 2], np.trace(s[3:, 3:])
    return float(1.0 / (normal + 2.0 * mixed)), float(15.0 / (4.0 * normal - 4.0 * mixed + 3.0 * shear))
