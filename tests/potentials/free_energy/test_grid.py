"""Grids over open and periodic variables: nodes, bins, nearest images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rhopot.potentials.free_energy.grid import Variable, default_grid, make_grid, thermal_energy

ANGLE = Variable("phi", "radian", (-math.pi, math.pi))
OPEN = Variable("d", "A")


def test_a_period_has_no_node_twice() -> None:
    grid = make_grid([ANGLE, OPEN], [-math.pi, 1.0], [math.pi, 2.0], [8, 5])
    assert (grid.shape, grid.wraps) == ((8, 5), (True, False))
    np.testing.assert_allclose(grid.axes[0], -math.pi + math.pi / 4 * np.arange(8))
    np.testing.assert_allclose(grid.axes[1], [1.0, 1.25, 1.5, 1.75, 2.0])
    np.testing.assert_allclose(grid.nodes[:6, 1], [1.0, 1.25, 1.5, 1.75, 2.0, 1.0])
    part = make_grid([ANGLE], [-1.0], [1.0], [5])
    assert part.wraps == (False,)


def test_bins_are_around_nodes_and_wrap() -> None:
    grid = make_grid([ANGLE, OPEN], [-math.pi, 1.0], [math.pi, 2.0], [8, 5])
    values = np.array([[-math.pi, 1.0], [math.pi - 0.01, 1.1], [3 * math.pi + 0.01, 1.13], [0.0, 2.2], [0.0, 0.88]])
    np.testing.assert_array_equal(grid.bins(values), [0, 0, 1, -1, 4 * 5])


def test_differences_are_to_the_nearest_image() -> None:
    np.testing.assert_allclose(ANGLE.difference(np.array([3.0]), np.array([-3.0])), 6.0 - 2 * math.pi)
    np.testing.assert_allclose(OPEN.difference(np.array([3.0]), np.array([-3.0])), 6.0)
    np.testing.assert_allclose(ANGLE.wrap(np.array([math.pi, -4.0])), [-math.pi, 2 * math.pi - 4.0])


def test_default_grids_cover_what_was_visited() -> None:
    values = np.array([[0.0, 1.0], [0.5, 3.0]])
    grid = default_grid([ANGLE, OPEN], values, np.array([0.1, 0.1]))
    assert (grid.axes[0][0], grid.wraps) == (-math.pi, (True, False))
    assert (grid.axes[1][0], grid.axes[1][-1]) == (1.0, 3.0)
    assert grid.shape == (63, 25)
    with pytest.raises(ValueError, match="d must have more than one value, got 1 throughout"):
        default_grid([OPEN], np.ones((3, 1)), np.array([0.1]))


def test_labels_carry_units() -> None:
    assert [ANGLE.label, OPEN.label, Variable("n").label] == ["phi (radian)", "d (Å)", "n"]


def test_thermal_energy() -> None:
    assert thermal_energy(300.0) == pytest.approx(0.0258520, abs=1e-6)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        thermal_energy(0.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([OPEN], [2.0], [1.0], [5]), "grid of d must be lo,hi,n with lo < hi"),
        (([OPEN], [1.0], [2.0], [2]), "n of 3 or more, got 1,2,2"),
        (([ANGLE], [-math.pi], [2 * math.pi], [9]), "grid of phi must be within its period"),
        (([OPEN] * 4, [0.0] * 4, [1.0] * 4, [5] * 4), "variables must be 1 to 3, got 4"),
    ],
)
def test_bad_grids_are_refused(
    arguments: tuple[list[Variable], list[float], list[float], list[int]], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_grid(*arguments)
