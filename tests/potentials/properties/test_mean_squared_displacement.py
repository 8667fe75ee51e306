"""Mean squared displacements, held to the sum they stand for and to free flight."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rhopot.potentials.properties.mean_squared_displacement import by_element, mean_squared_displacements, paths_of


def test_equal_to_the_sum_over_all_origins() -> None:
    paths = np.random.default_rng(0).normal(size=(23, 5, 3)).cumsum(axis=0)
    expected = [((paths[k:] - paths[: len(paths) - k]) ** 2).sum(axis=2).mean() for k in range(len(paths))]
    assert mean_squared_displacements(paths) == pytest.approx(expected, abs=1e-10)


def test_free_flight_without_the_common_drift() -> None:
    """Two light atoms fly apart, v t each; a third, heavy one shows that the common motion is that of the mass."""
    velocity, drift = np.array([0.3, 0.0, 0.0]), np.array([1.0, -2.0, 0.5])
    frames = []
    for k in range(10):
        atoms = Atoms("HHU", np.array([k * velocity, -k * velocity, [5.0, 5.0, 5.0]]) + k * drift)
        frames.append(atoms)

    found = by_element(frames)

    assert found["H"] == pytest.approx([(0.3 * k) ** 2 for k in range(10)], abs=1e-10)
    assert found["U"] == pytest.approx(np.zeros(10), abs=1e-10)


def test_a_cell_that_breathes_moves_no_atom() -> None:
    frames = []
    for scale in (1.0, 1.02, 0.99, 1.01):
        frames.append(bulk("Cu", cubic=True).repeat(2))
        frames[-1].set_cell(scale * frames[-1].cell.array, scale_atoms=True)
    assert np.ptp(paths_of(frames), axis=0).max() < 1e-10
