"""Units, signs and index orders: the conventions every other module cites.

Lengths in A, energies in eV, forces in eV/A, stresses in eV/A^3 (tensile positive, as in ASE).

    r_ij   = r_j - r_i + S @ cell              edge from centre i to image S of neighbour j
    F      = -dE/dr
    stress = (dE/dstrain) / V,   virial = -V stress
    Voigt  : ASE xx yy zz yz xz xy,   LAMMPS xx yy zz xy xz yz,   LAMMPS centroid xx yy zz xy xz yz yx zx zy

A potential is a function of its edge vectors. With g = dE/d(r_ij) for every edge,

    F_i += g,   F_j -= g,   virial -= r_ij (x) g

and periodic images need no special case, because r_ij already contains them. An edge's share of the virial belongs
wholly to its neighbour's row: for one-layer models whose energy is a sum over centres this is the partition with
which the heat flux is exact (Fan et al., Phys. Rev. B 92, 094301 (2015), doi:10.1103/PhysRevB.92.094301).
"""

from __future__ import annotations

import ase.units
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEV_PER_EV = 1000.0
# eV/A: force components smaller than this, and their errors, are rounding. Sites of high symmetry have many.
NEGLIGIBLE_FORCE = 1e-4
GPA_PER_EV_PER_CUBIC_ANGSTROM = 1.0 / ase.units.GPa

# Factor by which the periodic edges of a structure may grow before grids over its box are chosen anew: the same in
# training, ASE and LAMMPS, so that a structure has the same energy everywhere.
STRETCH = 1.1
# The same of models that choose nothing for a structure.
UNLIMITED_STRETCH = 1e6

ASE_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
LAMMPS_VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
LAMMPS_CENTROID = (*LAMMPS_VOIGT, (1, 0), (2, 0), (2, 1))


def to_voigt(tensor: Floats, order: tuple[tuple[int, int], ...] = ASE_VOIGT) -> Floats:
    """Components (..., 6 or 9) of tensors (..., 3, 3) in the given order; off-diagonal pairs are averaged for 6."""
    rows, columns = (list(index) for index in zip(*order, strict=True))
    if len(order) == 9:
        return np.asarray(tensor[..., rows, columns])
    return np.asarray(0.5 * (tensor[..., rows, columns] + tensor[..., columns, rows]))


def from_voigt(components: Floats, order: tuple[tuple[int, int], ...] = ASE_VOIGT) -> Floats:
    """Symmetric tensors (..., 3, 3) from six components (..., 6) in the given order."""
    components = np.asarray(components, dtype=np.float64)
    tensor = np.empty((*components.shape[:-1], 3, 3))
    for k, (a, b) in enumerate(order):
        tensor[..., a, b] = tensor[..., b, a] = components[..., k]
    return tensor


def stress_from_virial(virial: Floats, volume: float) -> Floats:
    """Stress in eV/A^3 from the virial in eV; also per atom (..., 3, 3), whose sum over atoms is then the stress."""
    return -np.asarray(virial, dtype=np.float64) / _checked(volume)


def virial_from_stress(stress: Floats, volume: float) -> Floats:
    """Virial in eV from the stress in eV/A^3."""
    return -np.asarray(stress, dtype=np.float64) * _checked(volume)


def _checked(volume: float) -> float:
    if not (np.isfinite(volume) and volume > 0):
        raise ValueError(f"volume must be positive to define a stress, got {volume}; give the structure a cell")
    return volume
