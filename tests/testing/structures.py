"""Small structures of lithium and silicon with every periodicity, on which the contracts compare numbers."""

from __future__ import annotations

import ase
import numpy as np
from ase.build import bulk


def crystal(repeat: tuple[int, int, int] = (2, 2, 2), seed: int = 1, rattle: float = 0.1) -> ase.Atoms:
    """Cubic Li-Si on a diamond lattice, displaced by some `rattle` A."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * repeat
    atoms.symbols[::3] = "Li"
    atoms.positions += rattle * rng.standard_normal(atoms.positions.shape)
    return atoms


def skewed(seed: int = 2) -> ase.Atoms:
    """A triclinic cell with three different angles and edges."""
    rng = np.random.default_rng(seed)
    atoms = crystal((2, 1, 1), seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.06 * rng.standard_normal((3, 3))), scale_atoms=True)
    return atoms


def tiny(seed: int = 3) -> ase.Atoms:
    """Two atoms in a skewed cell whose heights are smaller than the cutoff."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=5.2)
    atoms.symbols[1] = "Li"
    atoms.positions += 0.1 * rng.standard_normal((2, 3))
    return atoms


def slab(seed: int = 4) -> ase.Atoms:
    """Periodic in the plane only."""
    atoms = crystal((2, 2, 1), seed)
    atoms.cell[2, 2] += 8.0
    atoms.positions[:, 2] += 4.0
    atoms.pbc = (True, True, False)
    return atoms


def cluster(seed: int = 5) -> ase.Atoms:
    """Atoms in one end of a long box without periodicity: some ranks along x get none."""
    atoms = crystal((1, 1, 1), seed)
    atoms.pbc = False
    atoms.positions += 3.0
    atoms.set_cell([40.0, 12.0, 12.0])
    return atoms


def tiny_ordered() -> ase.Atoms:
    """`tiny` in the frame LAMMPS wants."""
    atoms = tiny()
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    return atoms
