"""Two atoms in one place are refused by models of every family, also when they come there on the way."""

from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import pytest
import trained_models

from rhopot.export import RhopotCalculator


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_atoms_that_come_to_one_place(trained_model: Callable[[str], Path], family: str) -> None:
    """On another atom, and on the image of one: 1e-10 A off, as rounding leaves it."""
    atoms = toy.crystal((2, 1, 1))
    atoms.calc = RhopotCalculator(trained_model(family), skin=3.0)
    start = atoms.positions.copy()
    start[1] = start[0] + [0.3, 0.0, 0.0]
    for place in (start[0], start[0] + atoms.cell[0] - [1e-10, 0.0, 0.0]):
        atoms.positions[:] = start
        atoms.get_potential_energy()
        atoms.positions[1] = place
        with pytest.raises(ValueError, match=r"positions must be distinct, got atoms . and . in one place; remove one"):
            atoms.get_potential_energy()
