"""Forces and stress from energies alone: the reference every derivative is held against.

Five-point central differences, dE/dx = [E(-2h) - 8 E(-h) + 8 E(h) - E(2h)] / 12 h + O(h^4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms

_OFFSETS = np.array([-2.0, -1.0, 1.0, 2.0])
_WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0


def derivative(energy: Callable[[float], float], step: float) -> float:
    """dE/dx at x = 0 of the function `energy`(x)."""
    return float(sum(weight * energy(offset * step) for weight, offset in zip(_WEIGHTS, _OFFSETS, strict=True)) / step)


def numerical_forces(atoms: Atoms, rows: Sequence[int] | np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Forces (len(rows), 3) in eV/A on the atoms `rows`, from displacements by `step` (A)."""
    return np.array([[-derivative(_moved(atoms, int(row), c), step) for c in range(3)] for row in rows])


def numerical_stress(atoms: Atoms, step: float = 1e-4) -> np.ndarray:
    """Stress (3, 3) in eV/A^3, tensile positive: dE/dstrain / V with symmetric strains of size `step`."""
    stress = np.empty((3, 3))
    for a in range(3):
        for b in range(a, 3):
            stress[a, b] = stress[b, a] = derivative(_strained(atoms, a, b), step) / atoms.get_volume()
    return stress


def _moved(atoms: Atoms, row: int, component: int) -> Callable[[float], float]:
    def energy(displacement: float) -> float:
        copy = atoms.copy()
        copy.calc = atoms.calc
        copy.positions[row, component] += displacement
        return float(copy.get_potential_energy())

    return energy


def _strained(atoms: Atoms, a: int, b: int) -> Callable[[float], float]:
    def energy(strain: float) -> float:
        copy = atoms.copy()
        copy.calc = atoms.calc
        deformation = np.eye(3)
        deformation[a, b] += 0.5 * strain
        deformation[b, a] += 0.5 * strain
        copy.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        return float(copy.get_potential_energy())

    return energy
