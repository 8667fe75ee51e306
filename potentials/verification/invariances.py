"""What every potential must leave unchanged, whatever it was fitted to.

    translation    all atoms moved by one vector: the same energy and forces
    rotation       structure and cell turned by Q: the same energy, forces turned by Q
    permutation    atoms listed in another order: the same energy, forces in that order
    extensivity    two cells beside each other: twice the energy, the same forces in both (periodic structures)
    locality       two copies of the atoms, farther apart than the potential reaches: twice the energy of one, the same
                   forces in both (potentials whose reach is known)

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


def check_invariances(atoms: Atoms, limits: Limits, *, reach: float | None = None, seed: int = 0) -> list[CheckResult]:
    """Compare energy and forces of `atoms`, which carry a calculator, with those of their transformed copies.

    reach: A, beyond which atoms do not act on each other; None where it is not known
    """
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
        found += _compared("extensivity", half, _farther(both, forces), energy, forces, limits)
    return found if reach is None else found + _locality(atoms, reach, limits)


def _locality(atoms: Atoms, reach: float, limits: Limits) -> list[CheckResult]:
    """The atoms of one cell, cut out, and two such copies whose closest atoms are just beyond each other's reach."""
    alone = _copy(atoms)
    alone.pbc = False
    alone.calc = atoms.calc
    energy, forces = float(alone.get_potential_energy()), alone.get_forces().copy()
    second = alone.copy()
    second.positions += [np.ptp(alone.positions[:, 0]) + 1.001 * reach, 0.0, 0.0]
    pair = alone + second
    pair.calc = atoms.calc
    both = pair.get_forces().reshape(2, len(atoms), 3)
    half = 0.5 * pair.get_potential_energy()
    return _compared("locality", half, _farther(both, forces), energy, forces, limits)


def _farther(both: Floats, forces: Floats) -> Floats:
    """The forces (N, 3) of the copy that is farther from those of the one structure."""
    return np.asarray(both[int(np.argmax([np.abs(each - forces).max() for each in both]))])


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
