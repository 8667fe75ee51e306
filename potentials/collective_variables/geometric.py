"""Distance, angle, dihedral angle and projection of given atoms: collective variables that read no edges.

    distance    |x_2 - x_1|                                                              A
    projection  (x_2 - x_1) . n,  n the unit vector along a direction                    A
    angle       between x_1 - x_2 and x_3 - x_2, in [0, pi]                              radian
    dihedral    of the planes (1, 2, 3) and (2, 3, 4), in [-pi, pi), period 2 pi         radian
                atan2(|b2| b1 . (b2 x b3), (b1 x b2) . (b2 x b3)),  b_k = x_(k+1) - x_k

The sign of a dihedral is that of IUPAC, as in PLUMED (TORSION). Angles are formed with atan2 of cross and dot products,
which is exact near 0 and pi too. Where a derivative does not exist (atoms in one place, three atoms on a line) it is
zero instead.

In : positions (k, 3) in A, each the image nearest to the one before it. Out: (1,).

Reference: A. Blondel, M. Karplus, J. Comput. Chem. 17, 1132 (1996) (dihedral without division by sines).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.collective_variables.collective_variable import FULL_TURN, CollectiveVariable, Description
from rhopot.potentials.collective_variables.norms import length


def angle_of(sine: Tensor, cosine: Tensor) -> Tensor:
    """Return atan2 of numbers proportional to sine and cosine; 0 with derivative zero where both are zero."""
    undefined = (sine == 0) & (cosine == 0)
    return torch.atan2(sine, torch.where(undefined, torch.ones_like(cosine), cosine))


def given_atoms(atoms: Sequence[int], count: int, subject: str) -> tuple[int, ...]:
    """Return the atoms' numbers, checked.

    Raises:
        ValueError: another count, numbers below 1, or one atom twice.
    """
    numbers = tuple(int(atom) for atom in atoms)
    if len(numbers) != count or min(numbers, default=0) < 1 or len(set(numbers)) < count:
        raise ValueError(
            f"atoms of {subject} must be {count} distinct numbers from 1, got {' '.join(map(str, numbers)) or 'none'}; "
            "give LAMMPS' atom IDs (in ASE the index plus 1)"
        )
    return numbers


class Distance(CollectiveVariable):
    """Distance of two atoms in A.

    Args:
        atoms: their numbers, from 1.
        name: of the variable.
    """

    def __init__(self, atoms: Sequence[int], name: str = "distance") -> None:
        numbers = given_atoms(atoms, 2, "a distance")
        settings = {"variable": "distance", "atoms": list(numbers)}
        super().__init__(Description(names=(name,), units=("A",), atoms=numbers, settings=settings))

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the distance (1,) in A."""
        return length(positions[1:] - positions[:1])


class Projection(CollectiveVariable):
    """Component of the vector from one atom to another along a direction, in A.

    It is not invariant under rotations: the direction is fixed in space.

    Args:
        atoms: their numbers, from 1.
        direction: (3,) of any length but zero.
        name: of the variable.

    Raises:
        ValueError: a direction of length zero.
    """

    direction: Tensor

    def __init__(self, atoms: Sequence[int], direction: Sequence[float], name: str = "projection") -> None:
        numbers, unit = given_atoms(atoms, 2, "a projection"), unit_vector(direction)
        settings = {"variable": "projection", "atoms": list(numbers), "direction": unit.tolist()}
        super().__init__(Description(names=(name,), units=("A",), atoms=numbers, settings=settings))
        self.register_buffer("direction", torch.from_numpy(unit))

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the projection (1,) in A."""
        return ((positions[1:] - positions[:1]) * self.direction).sum(dim=1)


class Angle(CollectiveVariable):
    """Angle at the second of three atoms, in [0, pi].

    Args:
        atoms: their numbers, from 1.
        name: of the variable.
    """

    def __init__(self, atoms: Sequence[int], name: str = "angle") -> None:
        numbers = given_atoms(atoms, 3, "an angle")
        settings = {"variable": "angle", "atoms": list(numbers)}
        super().__init__(Description(names=(name,), units=("radian",), atoms=numbers, settings=settings))

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the angle (1,) in radian."""
        first, last = positions[0:1] - positions[1:2], positions[2:3] - positions[1:2]
        return angle_of(length(torch.linalg.cross(first, last)), (first * last).sum(dim=1))


class Dihedral(CollectiveVariable):
    """Dihedral angle of four atoms in [-pi, pi), with a period of 2 pi.

    Args:
        atoms: their numbers, from 1.
        name: of the variable.
    """

    def __init__(self, atoms: Sequence[int], name: str = "dihedral") -> None:
        numbers = given_atoms(atoms, 4, "a dihedral")
        settings = {"variable": "dihedral", "atoms": list(numbers)}
        super().__init__(
            Description(names=(name,), units=("radian",), periods=(FULL_TURN,), atoms=numbers, settings=settings)
        )
        self.turn: float = FULL_TURN

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the dihedral (1,) in radian."""
        bonds = positions[1:] - positions[:-1]
        first, middle, last = bonds[0:1], bonds[1:2], bonds[2:3]
        normal = torch.linalg.cross(middle, last)
        sine = length(middle) * (first * normal).sum(dim=1)
        cosine = (torch.linalg.cross(first, middle) * normal).sum(dim=1)
        angle = angle_of(sine, cosine)
        return torch.where(angle >= 0.5 * self.turn, angle - self.turn, angle)


def unit_vector(direction: Sequence[float]) -> np.ndarray:
    """Return the unit vector (3,) along a direction.

    Raises:
        ValueError: not three finite numbers, or all of them zero.
    """
    vector = np.asarray(direction, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise ValueError(
            f"direction must be three numbers, not all zero, got {list(direction)}; for instance 0 0 1 for z"
        )
    return np.asarray(vector / np.linalg.norm(vector))
