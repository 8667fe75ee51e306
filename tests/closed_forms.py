"""Potentials whose properties are known by hand, or that ASE and LAMMPS both have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff, TersoffParameters

from rhopot.potentials.lammps.pair_style import ELEMENTS, PairStyle

SIGMA, EPSILON = 2.5, 0.4  # A, eV
BOND = 2.0 ** (1.0 / 6.0) * SIGMA
SPRING = 72.0 * EPSILON / BOND**2  # eV/A^2, second derivative at the minimum
# Silicon, J. Tersoff, Phys. Rev. B 38, 9902 (1988), in the order of ASE and of LAMMPS.
TERSOFF = "3 1 0 100390 16.217 -0.59825 0.78734 1.1e-6 1.73222 471.18 2.85 0.15 2.4799 1830.8"


def lennard_jones() -> LennardJones:
    """Cut off between the first and the second neighbors of an fcc crystal: springs between nearest neighbors."""
    return LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=1.3 * BOND)


def fcc(scale: float = 1.0) -> Atoms:
    """The fcc crystal of `lennard_jones` at rest, primitive cell, its lattice constant times `scale`."""
    return bulk("Cu", "fcc", a=scale * np.sqrt(2.0) * BOND)


class Corrugated(Calculator):
    """Atoms, each alone, on 0.1 eV (1 - cos 2 pi x) with a deeper minimum at x = 1, by 0.05 eV."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Energy and forces along x."""
        super().calculate(atoms, properties, system_changes)
        x = atoms.positions[:, 0]
        well = 0.05 * np.exp(-(((x - 1.0) / 0.2) ** 2))
        forces = np.zeros((len(atoms), 3))
        forces[:, 0] = -0.2 * np.pi * np.sin(2.0 * np.pi * x) - well * 2.0 * (x - 1.0) / 0.04
        self.results = {"energy": float((0.1 - 0.1 * np.cos(2.0 * np.pi * x) - well).sum()), "forces": forces}


def tersoff() -> Tersoff:
    """Silicon in ASE."""
    return Tersoff({("Si", "Si", "Si"): TersoffParameters.from_list([float(word) for word in TERSOFF.split()])})


def tersoff_style(folder: Path) -> PairStyle:
    """Silicon in LAMMPS; its parameters go to a file in `folder`."""
    file = folder / "Si.tersoff"
    file.write_text(f"Si Si Si {TERSOFF}\n", encoding="utf-8")
    return PairStyle("tersoff", (f"* * {file} {ELEMENTS}",))


def tersoff_words(folder: Path) -> list[str]:
    """Options of a property command with silicon in both engines."""
    pair = tersoff_style(folder)
    return ["--calculator", "closed_forms:tersoff", "--pair-style", pair.style, "--pair-coeff", *pair.coefficients]
