"""Coordination numbers of crystals, of two atoms in closed form, and by counting."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk
from collective_variables_at_hand import values

from rhopot.potentials.collective_variables import Coordination
from rhopot.testing import structures


@pytest.mark.parametrize(
    ("crystal", "length", "number"), [("diamond", 5.43, 4), ("fcc", 3.6, 12), ("bcc", 3.3, 8), ("sc", 2.5, 6)]
)
def test_shells_of_crystals_are_counted(crystal: str, length: float, number: int) -> None:
    atoms = bulk("Si", crystal, a=length)
    nearest = atoms.get_all_distances(mic=True)
    near = min([*nearest[nearest > 0], *(np.linalg.norm(vector) for vector in atoms.cell)])
    cutoff = 1.13 * near  # the second shell of bcc is at 1.155
    found = values(Coordination(["Si"], ["Si"], cutoff, width=0.1 * near), atoms)
    assert found[0] == pytest.approx(number, abs=1e-12)


@pytest.mark.parametrize("distance", [1.0, 2.5, 2.7, 3.0, 3.4, 3.6])
def test_two_atoms_have_the_switching_function(distance: float) -> None:
    t = np.clip((distance - 2.5) / 1.0, 0.0, 1.0)
    atoms = ase.Atoms("LiSi", [(0.0, 0.0, 0.0), (0.0, distance, 0.0)])
    found = values(Coordination(["Li"], ["Si"], 3.5), atoms)
    assert found[0] == pytest.approx(1.0 - 10.0 * t**3 + 15.0 * t**4 - 6.0 * t**5)


def test_only_the_named_elements_count() -> None:
    """By counting distances one by one, with a third element among them."""
    atoms = structures.crystal((1, 1, 1))
    atoms.symbols[4] = "O"
    distances = atoms.get_all_distances(mic=True)
    pairs = [(i, j) for i, j in np.ndindex(distances.shape) if i != j]
    t = np.clip((distances - 2.0) / 0.7, 0.0, 1.0)
    fade = 1.0 - 10.0 * t**3 + 15.0 * t**4 - 6.0 * t**5
    total = sum(fade[i, j] for i, j in pairs if atoms[i].symbol in ("Li", "O") and atoms[j].symbol == "Si")
    n_centers = sum(symbol in ("Li", "O") for symbol in atoms.symbols)
    found = values(Coordination(["Li", "O"], ["Si"], 2.7, width=0.7), atoms)
    assert found[0] == pytest.approx(total / n_centers)
    assert total > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((["Xx"], ["Si"], 3.0), "elements must be chemical symbols, got Xx"),
        ((["Si"], [], 3.0), "elements must be chemical symbols, got none"),
        ((["Si"], ["Si"], 0.0), "cutoff must be a positive length in A, got 0"),
        ((["Si"], ["Si"], 3.0, 3.1), r"width must be a positive length in A up to the cutoff \(3\), got 3.1"),
    ],
)
def test_what_is_refused(words: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Coordination(*words)
