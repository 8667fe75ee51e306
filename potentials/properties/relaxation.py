"""A structure at the nearest minimum of its energy, or of its enthalpy under pressure, and what there is to say of it.

    H = E + p V        p: the pressure that is asked for, compressive positive; V: the volume of the cell

The optimizer stops where the norm of the largest force (ASE) or of all forces (LAMMPS) is below `fmax` and, of a cell
that relaxes, the stress times the volume per atom as well. Near a minimum of stiffness k the energy is then too high
by at most fmax^2 / (2 k) for each degree of freedom: energies agree far better than positions, which are fmax / k off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.geometry import find_mic
from ase.spacegroup.symmetrize import refine_symmetry

from rhopot.potentials.lammps.relaxation import CellRelaxation
from rhopot.potentials.properties.engine import Engine, History
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats

SYMMETRY = 0.01  # A, within which atoms count as equivalent: what optimizers leave, and files round


@dataclass(frozen=True)
class Relaxation:
    """A relaxed structure with its results, and energies (eV) and largest force components (eV/A) of the steps."""

    atoms: Atoms
    energies: Floats
    forces: Floats

    @property
    def energy(self) -> float:
        """Energy in eV/atom."""
        return float(self.atoms.get_potential_energy() / len(self.atoms))

    @property
    def pressure(self) -> float:
        """Pressure in GPa, compressive positive."""
        return float(-self.atoms.get_stress()[:3].mean() * GPA_PER_EV_PER_CUBIC_ANGSTROM)

    @property
    def largest_force(self) -> float:
        """Norm of the largest force in eV/A."""
        return float(np.linalg.norm(self.atoms.get_forces(), axis=1).max())

    def enthalpy(self, pressure: float) -> float:
        """Enthalpy in eV/atom under a pressure in GPa."""
        volume = self.atoms.get_volume() / len(self.atoms)
        return self.energy + pressure * volume / GPA_PER_EV_PER_CUBIC_ANGSTROM

    def cell(self) -> Floats:
        """Lengths in A and angles in degrees (6,)."""
        return np.asarray(self.atoms.cell.cellpar())


def relax(
    atoms: Atoms,
    engine: Engine,
    *,
    cell: CellRelaxation,
    fmax: float,
    pressure: float = 0.0,
    keep_symmetry: bool = False,
) -> Relaxation:
    """Relax a structure; see `Engine.relaxed`.

    Raises:
        ValueError: a pressure without a cell that relaxes, a cell that relaxes where the structure has open sides, what
            is left of the forces where they do not get below `fmax` (eV/A).
    """
    if not fmax > 0.0:
        raise ValueError(f"fmax must be a positive number, got {fmax}; 1e-3 to 1e-5 eV/A are usual")
    if cell != "fixed" and not all(atoms.pbc):
        raise ValueError(f"cell must be fixed for a structure with open sides, got {cell}; give --cell fixed")
    if cell == "fixed" and pressure != 0.0:
        raise ValueError(f"pressure must be 0 for a fixed cell, got {pressure} GPa; give --cell full or isotropic")
    if keep_symmetry and not all(atoms.pbc):
        raise ValueError("keep_symmetry must be off for a structure with open sides; leave out --keep-symmetry")
    history = History()
    start = symmetrized(atoms) if keep_symmetry else atoms
    found = engine.relaxed(start, cell=cell, fmax=fmax, pressure=pressure, keep_symmetry=keep_symmetry, history=history)
    return Relaxation(found, np.array(history.energies), np.array(history.forces))


def symmetrized(atoms: Atoms, within: float = SYMMETRY) -> Atoms:
    """Return a copy of a crystal that has the symmetry exactly which it has within a distance (A)."""
    copy = atoms.copy()
    refine_symmetry(copy, within)
    return copy


def space_group(atoms: Atoms, within: float = SYMMETRY) -> str:
    """Return symbol and number of the space group of a crystal, found by spglib within a distance (A).

    A structure with open sides has none: `-`.
    """
    if not all(atoms.pbc):
        return "-"
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return spglib.get_spacegroup(cell, symprec=within) or "-"


def largest_distance(first: Atoms, second: Atoms) -> float:
    """Return the largest distance in A between the same atoms of two structures, up to a common translation.

    Fractional coordinates are compared, in the cell of `first`: a change of the cell moves no atom. A structure without
    periodic directions is rotated onto the other as well: an optimizer may turn it, which changes no energy.
    """
    if not any(first.pbc) and len(first) > 1:
        turned = second.copy()
        minimize_rotation_and_translation(first, turned)
        return float(np.linalg.norm(turned.positions - first.positions, axis=1).max())
    if not all(first.pbc):
        apart = second.positions - first.positions
        return float(np.linalg.norm(apart - apart.mean(axis=0), axis=1).max())
    fractions = second.get_scaled_positions(wrap=False) - first.get_scaled_positions(wrap=False)
    # The first atom is the origin until images are chosen: a mean over atoms at the border would mix images.
    moved, _ = find_mic((fractions - fractions[0]) @ first.cell.array, first.cell, first.pbc)
    return float(np.linalg.norm(moved - moved.mean(axis=0), axis=1).max())
