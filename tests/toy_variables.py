"""Collective variables and potentials in closed form, for tests of metadynamics: no files, no models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from rhopot.export.metadynamics_files import Columns

TWO_PI = 2.0 * np.pi


@dataclass(frozen=True)
class Component:
    """Component `axis` of the position of the first atom, in A."""

    axis: int = 0
    tag: str = ""

    @property
    def columns(self) -> Columns:
        """One variable without a period."""
        return Columns(("x",), ("A",), (None,), self.tag)

    def evaluate(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, derivatives by positions and by strain."""
        gradients, strains = np.zeros((1, len(atoms), 3)), np.zeros((1, 3, 3))
        gradients[0, 0, self.axis] = 1.0
        strains[0, :, self.axis] = atoms.positions[0]
        return atoms.positions[:1, self.axis].copy(), gradients, strains


@dataclass(frozen=True)
class DistanceAndAngle:
    """Distance from atom 0 to atom 1 in A, and its azimuth (-pi to pi)."""

    tag: str = "0a1b2c3d"

    @property
    def columns(self) -> Columns:
        """Two variables, the second periodic."""
        return Columns(("d", "phi"), ("A", "radian"), (None, TWO_PI), self.tag)

    def evaluate(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, derivatives by positions and by strain."""
        r = atoms.positions[1] - atoms.positions[0]
        across = r[0] ** 2 + r[1] ** 2
        derivatives = np.array([r / np.linalg.norm(r), [-r[1] / across, r[0] / across, 0.0]])
        gradients = np.zeros((2, len(atoms), 3))
        gradients[:, 1], gradients[:, 0] = derivatives, -derivatives
        values = np.array([np.linalg.norm(r), np.arctan2(r[1], r[0])])
        return values, gradients, np.einsum("a,kb->kab", r, derivatives)


class DoubleWell(Calculator):
    """`height` ((x/a)^2 - 1)^2 of every atom along x, springs of `k` eV/A^2 along y and z."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "forces_uncertainty"]

    def __init__(self, height: float = 0.1, a: float = 1.0, k: float = 2.0) -> None:
        super().__init__()
        self.height, self.a, self.k = height, a, k

    def calculate(
        self, atoms: Atoms | None = None, properties: object = (), system_changes: object = all_changes
    ) -> None:
        """Energy, forces, and an uncertainty that grows with the distance from the origin."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        x, rest = self.atoms.positions[:, 0] / self.a, self.atoms.positions[:, 1:]
        energy = self.height * ((x**2 - 1.0) ** 2).sum() + 0.5 * self.k * (rest**2).sum()
        forces = np.concatenate([(-4.0 * self.height * x * (x**2 - 1.0) / self.a)[:, None], -self.k * rest], axis=1)
        self.results = {"energy": energy, "forces": forces, "forces_uncertainty": np.abs(self.atoms.positions[:, 0])}
