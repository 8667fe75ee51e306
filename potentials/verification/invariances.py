"""What every potential must leave unchanged, whatever it was fitted to.

    translation    all atoms moved by one vector: the same energy and forces
    rotation       structure and cell turned by Q: the same energy, forces turned by Q
    permutation    atoms listed in another order: the same energy, forces in that order
    extensivity    two cells beside each other: twice the energy, the same forces in both (periodic structures)

Global models stand on a grid: translations and rotations change their energies by its discretization error.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from rhopot.potentials.units import Floats
from rhopot.potentials.verification.check import CheckResult, Limits

# Largest accepted differences for models on a grid: energies eV/atom, forces eV/A.
ON_A_GRID = Limits(energy=1e-3, forces=2e-2, virial=np.inf, derivative=np.inf, drift=np.inf)


def check_invariances(atoms: Atoms, limits: Limits, seed: int = 0) -> list[CheckResult]:
    """Compare energy and forces of `atoms`, which carry a calculator, with those of their transformed copies."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(size=3)
    turn = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    translated, rotated = _copy(atoms), _copy(atoms)
    translated.positions += shift
    rotated.set_cell(atoms.cell.array @ turn.T)
    rotated.positions = atoms.positions @ turn.T
    cases = [
        ("translation", translated, lambda forces: forces),
        ("rotation", rotated, lambda forces: forces @ turn),
        ("permutation", _copy(atoms[order]), lambda forces: forces[np.argsort(order)]),
    ]
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces().copy()
    found: list[CheckResult] = []
    for name, changed, back in cases:
        changed.calc = atoms.calc
        found += _compared(name, changed.get_potential_energy(), back(changed.get_forces()), energy, forces, limits)
    if atoms.pbc.any():
        along = int(np.argmax(atoms.pbc))
        doubled = atoms.repeat(tuple(2 if k == along else 1 for k in range(3)))
        doubled.calc = atoms.calc
        both = doubled.get_forces().reshape(2, len(atoms), 3)
        half = 0.5 * doubled.get_potential_energy()
        worst = both[int(np.argmax([np.abs(each - forces).max() for each in both]))]
        found += _compared("extensivity", half, worst, energy, forces, limits)
    return found


def _compared(
    name: str, energy: float, forces: Floats, reference: float, expected: Floats, limits: Limits
) -> list[CheckResult]:
    n_atoms = len(expected)
    return [
        CheckResult(f"{name}: energy", abs(float(energy) - reference) / n_atoms, limits.energy, "eV/atom"),
        CheckResult(f"{name}: forces", float(np.abs(forces - expected).max()), limits.forces, "eV/A"),
    ]


def _copy(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.set_constraint()
    return copy
