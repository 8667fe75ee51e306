"""Basins, passes and differences on surfaces whose minima and saddle points are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import dblquad

from rhopot.potentials.free_energy.basins import barriers, barriers_within, differences, find_basins, with_rest
from rhopot.potentials.free_energy.grid import Grid, Variable, make_grid

X, Y = Variable("x"), Variable("y")
PHI = Variable("phi", "radian", (-math.pi, math.pi))


def double_well(nodes: int = 201) -> tuple[Grid, np.ndarray]:
    """F = 5 (x^2 - 1)^2 + 0.5 x + 2 y^2."""
    grid = make_grid([X, Y], [-1.8, -1.5], [1.8, 1.5], [nodes, nodes])
    x, y = np.meshgrid(*grid.axes, indexing="ij")
    return grid, 5.0 * (x**2 - 1.0) ** 2 + 0.5 * x + 2.0 * y**2


def test_two_wells() -> None:
    """Stationary points are the roots of 20 x (x^2 - 1) + 1/2, at y = 0."""
    grid, energy = double_well()
    basins = find_basins(grid, energy, 1.0)
    low, top, high = np.sort(np.roots([20.0, 0.0, -20.0, 0.5]).real)

    def at(x: float) -> float:
        return 5.0 * (x**2 - 1.0) ** 2 + 0.5 * x

    assert len(basins) == 2
    np.testing.assert_allclose([basins.place(node) for node in basins.minima], [[low, 0.0], [high, 0.0]], atol=0.02)
    assert len(basins.passes) == 1
    np.testing.assert_allclose(basins.place(basins.passes[0].node), [top, 0.0], atol=0.02)
    expected = [[at(top) - at(low), at(top) - at(high)]]
    np.testing.assert_allclose(barriers(basins, energy), expected, atol=0.005)
    np.testing.assert_allclose(barriers_within(basins, energy), expected, atol=0.005)


def test_differences_are_ratios_of_integrals() -> None:
    grid, energy = double_well()
    basins = find_basins(grid, energy, 1.0)
    border = float(np.sort(np.roots([20.0, 0.0, -20.0, 0.5]).real)[1])

    def density(y: float, x: float) -> float:
        return math.exp(-(5.0 * (x * x - 1.0) ** 2 + 0.5 * x + 2.0 * y * y) / 0.7)

    left = dblquad(density, -1.8, border, -1.5, 1.5)[0]
    right = dblquad(density, border, 1.8, -1.5, 1.5)[0]
    expected = -0.7 * math.log(right / left)
    np.testing.assert_allclose(differences(basins, energy, 0.7), [0.0, expected], atol=0.002)
    several = np.stack([energy, energy + 3.0])
    np.testing.assert_allclose(differences(basins, several, 0.7)[:, 1], expected, atol=0.002)
    assert barriers(basins, several).shape == (2, 1, 2)


def test_four_wells_and_their_neighbors() -> None:
    """F = 5 (x^2 - 1)^2 + 3 (y^2 - 1)^2: passes of 5 along x, of 3 along y; wells across the hill are no neighbors."""
    grid = make_grid([X, Y], [-1.6, -1.6], [1.6, 1.6], [161, 161])
    x, y = np.meshgrid(*grid.axes, indexing="ij")
    energy = 5.0 * (x**2 - 1.0) ** 2 + 3.0 * (y**2 - 1.0) ** 2 + 1e-3 * x + 1e-4 * y
    basins = find_basins(grid, energy, 0.5)
    assert len(basins) == 4
    found = sorted((each.first, each.second, round(each.energy - energy.min(), 2)) for each in basins.passes)
    assert [each for each in found if each[2] < 7.9] == [(0, 1, 3.0), (0, 2, 5.0), (1, 3, 5.0), (2, 3, 3.0)]
    assert [each.energy for each in basins.passes] == sorted(each.energy for each in basins.passes)


def test_a_period_has_no_border() -> None:
    """F = 1 - cos(3 phi): three wells, each the neighbor of both others, one of them across the border."""
    grid = make_grid([PHI], [-math.pi], [math.pi], [180])
    energy = 1.0 - np.cos(3.0 * grid.axes[0] - 0.3)
    basins = find_basins(grid, energy, 0.5)
    assert len(basins) == 3
    assert {(each.first, each.second) for each in basins.passes} == {(0, 1), (0, 2), (1, 2)}
    np.testing.assert_allclose(barriers(basins, energy), 2.0, atol=0.01)
    across = next(each for each in basins.passes if abs(basins.place(each.node)[0]) > 2.5)
    assert across is not None


def test_shallow_basins_are_merged() -> None:
    """A ripple of 0.2 on the double well: basins of its own unless they must be deeper than that."""
    grid, energy = double_well()
    rough = energy + 0.2 * np.cos(40.0 * np.meshgrid(*grid.axes, indexing="ij")[0])
    assert len(find_basins(grid, rough, 0.001)) > 4
    smooth, rippled = find_basins(grid, energy, 0.5), find_basins(grid, rough, 0.5)
    assert len(rippled) == 2
    places = [[basins.place(node) for node in basins.minima] for basins in (smooth, rippled)]
    np.testing.assert_allclose(places[0], places[1], atol=0.1)
    assert np.mean(smooth.labels == rippled.labels) > 0.95


def test_minimax_through_a_third_basin() -> None:
    """Along a line the outer wells touch only the middle one."""
    grid = make_grid([X], [-3.0], [3.0], [301])
    energy = -np.cos(2.0 * np.pi * grid.axes[0] / 2.0) * 2.0 + 0.1 * grid.axes[0]
    basins = find_basins(grid, energy, 0.5)
    assert {(each.first, each.second) for each in basins.passes} == {(0, 1), (1, 2)}


def test_equal_energies_and_one_basin() -> None:
    grid = make_grid([X], [0.0], [1.0], [11])
    flat = find_basins(grid, np.zeros(11), 0.1)
    assert (len(flat), flat.passes, flat.minima) == (1, (), (0,))
    assert barriers(flat, np.zeros(11)).shape == (0, 2)
    assert barriers_within(flat, np.zeros(11)).shape == (0, 2)


def test_nodes_that_were_not_sampled_separate() -> None:
    grid = make_grid([X], [0.0], [4.0], [5])
    energy = np.array([0.0, 1.0, np.inf, 1.0, 0.5])
    basins = find_basins(grid, energy, 0.1)
    np.testing.assert_array_equal(basins.labels, [0, 0, -1, 1, 1])
    assert basins.passes == ()
    assert differences(basins, energy, 1.0)[1] == pytest.approx(
        -math.log((math.exp(-0.5) + math.exp(-1)) / (1 + math.exp(-1)))
    )


def test_minima_are_known_and_deeper_than_twice_their_error() -> None:
    grid = make_grid([X], [0.0], [6.0], [7])
    energy = np.array([0.0, 3.0, 1.0, 4.0, np.inf, 2.0, 2.5])
    assert find_basins(grid, energy, 1.0).minima == (0, 2, 5)
    known = np.array([True, True, True, True, True, False, True])
    assert find_basins(grid, energy, 1.0, known=known).minima == (0, 2, 6)
    known[6] = False
    found = find_basins(grid, energy, 1.0, known=known)
    assert (found.minima, found.labels[5], found.passes[0].node) == ((0, 2), -1, 1)
    assert find_basins(grid, energy, 1.0, known=~known).minima == (5,)
    error = np.array([0.0, 0.6, 0.7, 0.0, 0.0, 0.0, 0.0])  # 2 sqrt(0.85) = 1.84 < 3 - 1
    assert len(find_basins(grid, energy, 1.0, error=error)) == 3
    assert find_basins(grid, energy, 1.0, error=1.1 * error).minima == (0, 5)


def test_the_rest_goes_to_the_nearest_basin() -> None:
    """Across the border of a period as well; nodes that were not sampled stay without one."""
    grid = make_grid([PHI], [-math.pi], [math.pi], [12])
    known = np.array([np.inf, np.inf, 0.0, 1.0, np.inf, np.inf, np.inf, np.inf, 1.0, 0.5, np.inf, np.inf])
    energy = np.where(np.isfinite(known), known, 9.0)
    energy[6] = np.inf
    basins = with_rest(find_basins(grid, known, 0.1), energy)
    np.testing.assert_array_equal(basins.labels[[0, 1, 4, 5, 6, 7, 10, 11]], [0, 0, 0, 0, -1, 1, 1, 1])
    plane = make_grid([PHI, X], [-math.pi, 0.0], [math.pi, 1.0], [12, 3])
    known = np.repeat(known[:, None], 3, axis=1)
    basins = with_rest(find_basins(plane, known, 0.1), np.repeat(energy[:, None], 3, axis=1))
    np.testing.assert_array_equal(basins.labels[:, 0][[0, 1, 4, 5, 6, 7, 10, 11]], [0, 0, 0, 0, -1, 1, 1, 1])


def test_noise_and_bad_depths_are_refused() -> None:
    grid, energy = double_well(60)
    with pytest.raises(ValueError, match="depth must be positive, got 0"):
        find_basins(grid, energy, 0.0)
    noise = np.random.default_rng(0).random(energy.shape)
    with pytest.raises(ValueError, match="basins must be 20 at most, got"):
        find_basins(grid, noise, 0.01)
