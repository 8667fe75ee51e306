"""Where a crystal of an unknown lattice constant begins: curves with one minimum, two, or none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.first_lattice import SCALES, first_lattice
from rhopot.potentials.structures.prototypes import prototype

GUESS = 3.9  # A
STEP = GUESS * (SCALES[1] - SCALES[0])


class Curve(Calculator):
    """A crystal whose energy is a function of its lattice constant alone."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, energy: Callable[[float], float]) -> None:
        super().__init__()
        self.energy = energy

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        energy = len(atoms) * self.energy(lattice(atoms))
        self.results = {"energy": energy, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def lattice(atoms: Atoms) -> float:
    """Lattice constant (A) of a body-centered cell of one atom."""
    return float((2.0 * atoms.get_volume()) ** (1 / 3))


def two_wells(a: float) -> float:
    """A crystal of 3.16 A, and a deeper well at 4.5 A."""
    return float(-np.exp(-(((a - 3.16) / 0.2) ** 2)) - 2.0 * np.exp(-(((a - 4.5) / 0.3) ** 2)))


def grade(atoms: Atoms) -> float:
    """Training data of 3.0 to 3.3 A."""
    return abs(lattice(atoms) - 3.15) / 0.15


def first(energy: Callable[[float], float], grade: Callable[[Atoms], float] | None = None) -> float:
    found = first_lattice(bulk("Mo", a=GUESS), AseEngine(Curve(energy)), grade)
    assert found.bound == (lattice(found.atoms) != pytest.approx(GUESS, rel=1e-12))
    return lattice(found.atoms)


def test_the_minimum_within_the_training_data_is_taken_before_a_deeper_one() -> None:
    """As of a good model of molybdenum, which from the guess ran into a well outside of its data."""
    assert first(two_wells, grade) == pytest.approx(3.16, abs=STEP)
    assert first(two_wells) == pytest.approx(4.5, abs=STEP)


def test_outside_of_the_training_data_the_nearest_minimum_is_taken() -> None:
    assert first(two_wells, lambda atoms: 10.0 * (1.0 + grade(atoms))) == pytest.approx(3.16, abs=STEP)


def test_within_the_training_data_the_deepest_minimum_is_taken() -> None:
    assert first(two_wells, lambda atoms: 0.1 * grade(atoms)) == pytest.approx(4.5, abs=STEP)


@pytest.mark.parametrize("energy", [lambda a: 1.0 / a, lambda a: 0.0, lambda a: np.nan])
def test_without_a_minimum_the_guess_stays(energy: Callable[[float], float]) -> None:
    assert first(energy) == pytest.approx(GUESS, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "symbol", "known"),
    [("bcc", "Mo", 3.16), ("bcc", "W", 3.165), ("bcc", "Li", 3.5), ("diamond", "Si", 5.4)],
)
def test_known_crystals_are_within_the_series(name: str, symbol: str, known: float) -> None:
    """Also where radii are far off: of the guess of tungsten, the crystal is at 0.77."""
    scale = (Atoms(bulk(symbol, name, a=known)).get_volume() / prototype(name, [symbol]).get_volume()) ** (1 / 3)
    assert SCALES[0] < scale < SCALES[-1]
