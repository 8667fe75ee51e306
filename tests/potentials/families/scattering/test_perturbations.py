"""Shifts and directions: what they are, and that they depend on seed and structure alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scattering_problem import SMALL, frames

from rhopot.potentials.descriptors.scattering import choose_grid
from rhopot.potentials.families.scattering.perturbations import random_directions, random_shift, random_strains


def test_shifts_move_all_atoms_alike_anywhere_in_the_cell() -> None:
    found = []
    for frame in frames(40):
        shift = random_shift(frame, choose_grid(SMALL, frame.atoms, 1.1), 0)
        assert (shift == shift[0]).all()
        found.append(shift[0] @ np.linalg.inv(frame.atoms.cell.array))
    assert (np.array(found) > 0).all()
    assert (np.array(found) < 1).all()
    assert (np.max(found, axis=0) > 0.9).all()
    assert (np.min(found, axis=0) < 0.1).all()


def test_shifts_along_padded_axes_take_the_box() -> None:
    frame = frames(1)[0]
    atoms = frame.atoms.copy()
    atoms.pbc, atoms.cell = False, np.zeros((3, 3))
    molecule = replace(frame, atoms=atoms)
    assert np.linalg.norm(random_shift(molecule, choose_grid(SMALL, atoms), 0)[0]) > 0.1


@pytest.mark.parametrize("count", [1, 5, 12, 40])
def test_directions_are_orthonormal_and_complete_where_they_can_be(count: int) -> None:
    directions = random_directions(frames(1)[0], count, 0).reshape(-1, 12)
    assert len(directions) == min(count, 12)
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-13)


def test_held_atoms_do_not_move() -> None:
    frame = replace(frames(1)[0], fixed=np.array([True, False, False, True]))
    directions = random_directions(frame, 10, 0)
    assert len(directions) == 6
    assert (directions[:, [0, 3]] == 0).all()
    assert len(random_directions(replace(frame, fixed=np.ones(4, dtype=bool)), 3, 0)) == 0


def test_draws_depend_on_seed_and_structure_and_more_of_them_begin_the_same() -> None:
    one, other = frames(2)
    np.testing.assert_array_equal(random_directions(one, 3, 0), random_directions(replace(one, index=9), 8, 0)[:3])
    assert not np.allclose(random_directions(one, 3, 0), random_directions(one, 3, 1))
    assert not np.allclose(random_directions(one, 3, 0), random_directions(other, 3, 0))


def test_few_directions_stand_for_all_components() -> None:
    """The mean of (v . u)^2 over directions is v . v / 3 N."""
    v = np.random.default_rng(3).standard_normal(12)
    along = [random_directions(frame, 2, 0).reshape(2, 12) @ v for frame in frames(400)]
    assert np.mean(np.square(along)) == pytest.approx(v @ v / 12, rel=0.15)


def test_strains_are_symmetric_and_six_at_most() -> None:
    strains = random_strains(frames(1)[0], 9, 0)
    assert strains.shape == (6, 3, 3)
    np.testing.assert_array_equal(strains, strains.transpose(0, 2, 1))
    np.testing.assert_array_equal(strains[:2], random_strains(frames(1)[0], 2, 0))
