"""Fragments that flew apart, and cells of odd sizes: the right energy, or one sentence, from every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import numpy as np
import pytest
import trained_models

from rhopot.export import RhopotCalculator


def dimer(distance: float) -> ase.Atoms:
    return ase.Atoms("LiSi", [[0, 0, 0], [0, 0, distance]])


# In 64ths of an A, so that moves by whole lengths are exact.
TRIMER = ase.Atoms("LiSi2", [[0, 0, 0], [0, 0, 2.5], [2.25, 0, 1.0]])
TETRAMER = ase.Atoms("Si2Li2", [[0, 0, 0], [2.375, 0, 0], [1.1875, 2.25, 0], [1.1875, -1.25, 2.1875]])


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_far_atoms_are_isolated_atoms(family: str, trained_model: Callable[[str], Path]) -> None:
    calc = RhopotCalculator(trained_model(family))
    alone = sum(calc.get_property("energy", ase.Atoms(symbol)) for symbol in ("Li", "Si"))
    for distance in (50.0, 6e5, 1e9, 1e100):
        assert calc.get_property("energy", dimer(distance)) == pytest.approx(alone, abs=1e-12)
        np.testing.assert_array_equal(calc.get_forces(dimer(distance)), 0.0)
    for distance in (np.nan, np.inf, 1e200):
        with pytest.raises(ValueError, match="positions must be finite"):
            calc.get_property("energy", dimer(distance))


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_fragments_far_apart_are_each_as_alone(family: str, trained_model: Callable[[str], Path]) -> None:
    """Energies add up, and the forces within each fragment, which are not small, stay what they were."""
    calc = RhopotCalculator(trained_model(family))
    energy = sum(calc.get_property("energy", fragment) for fragment in (TRIMER, TETRAMER))
    forces = [calc.get_forces(fragment) for fragment in (TRIMER, TETRAMER)]
    assert min(np.abs(one).max() for one in forces) > 0.05
    free = sum(calc.get_property("energy", ase.Atoms(symbol)) for symbol in (TRIMER + TETRAMER).symbols)
    assert abs(energy - free) > 0.2, "their atoms interact"
    for axis, distance in ((0, 50.0), (1, 6e5), (2, 1e9)):
        moved = TETRAMER.copy()
        moved.positions[:, axis] += distance
        apart = TRIMER + moved
        assert calc.get_property("energy", apart) == pytest.approx(energy, abs=1e-11)
        np.testing.assert_allclose(calc.get_forces(apart), np.concatenate(forces), rtol=0, atol=1e-11)


def test_far_atoms_do_not_fill_the_memory_with_a_grid(trained_model: Callable[[str], Path]) -> None:
    calc = RhopotCalculator(trained_model("scattering"))
    for distance in (2e5, 1e9, 1e100):
        with pytest.raises(
            ValueError, match=r"the box of a structure must be at most 2e\+06 A\^3 for model '.*' of kind"
        ):
            calc.get_property("energy", dimer(distance))
    huge = dimer(2.4)
    huge.set_cell([1e9, 1e9, 1e9])
    huge.pbc = True
    with pytest.raises(ValueError, match="got 1e\\+27; bring its atoms together"):
        calc.get_property("energy", huge)


@pytest.mark.filterwarnings("ignore:.*was prepared again")
@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_cells_that_are_none(family: str, trained_model: Callable[[str], Path]) -> None:
    """Each follows an ordinary structure, whose neighbours or grids are kept."""
    calc = RhopotCalculator(trained_model(family))
    for lengths, sentence in (
        ([1e-3, 1e-3, 1e-3], "must be in A, got"),
        ([1e-9, 5.0, 5.0], "must be in A, got"),
        ([np.nan, 5.0, 5.0], "must be finite"),
        ([5.0, np.inf, 5.0], "must be finite"),
        ([5.0, 5.0, 0.0], "(must span|must have independent vectors along) .*periodic"),
    ):
        atoms = dimer(2.4)
        atoms.pbc = True
        atoms.set_cell([5.0, 5.0, 5.0])
        calc.get_property("energy", atoms)
        atoms.cell[:] = np.diag(lengths)
        with pytest.raises(ValueError, match=sentence):
            calc.get_property("energy", atoms)


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_vectors_of_open_directions_mean_nothing(family: str, trained_model: Callable[[str], Path]) -> None:
    """Not even where they change between two steps, or lie in the plane of the others."""
    calc = RhopotCalculator(trained_model(family))
    atoms = ase.Atoms("LiSi", [[0, 0, 0], [0, 0, 2.4]], cell=[5.0, 5.0, 9.0], pbc=(True, True, False))
    energy = calc.get_property("energy", atoms)
    for vector in ([0, 0, 0], [5, 0, 0], [0, 0, 1e-9], [np.nan, 0, 0], [0, 0, 1e300]):
        atoms.cell[2] = vector
        assert calc.get_property("energy", atoms) == pytest.approx(energy, abs=1e-10)
