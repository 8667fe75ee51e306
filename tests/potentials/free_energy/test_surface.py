"""Free energies of hills: averages in time, projections, and convergence to a free energy that is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from biased_runs import KT, BiasedRun, largest_error, metadynamics, well
from scipy.integrate import quad

from rhopot.potentials.free_energy.grid import Surface, Variable, default_grid, make_grid
from rhopot.potentials.free_energy.hills import Hills, merge_hills, plumed_hills
from rhopot.potentials.free_energy.surface import project, surface_of_hills, surfaces_in_time
from rhopot.potentials.plumed_files import read_table

X, PHI = Variable("x"), Variable("phi", "radian", (-math.pi, math.pi))
ENDS = [1 / 16, 1 / 4, 1.0]


def few(biasfactor: float = math.inf) -> Hills:
    rng = np.random.default_rng(3)
    return Hills(
        (X,), np.arange(1.0, 9.0), rng.normal(size=(8, 1)), np.full((8, 1), 0.3), rng.uniform(1, 2, 8), biasfactor
    )


def test_well_tempered_is_the_sum_of_all() -> None:
    hills = few(4.0)
    grid = make_grid([X], [-2.0], [2.0], [21])
    x = grid.axes[0]
    expected = -sum(
        h * np.exp(-0.5 * ((x - c) / 0.3) ** 2) for h, c in zip(hills.heights, hills.centers[:, 0], strict=True)
    )
    np.testing.assert_allclose(surface_of_hills(hills, grid).energy, expected - expected.min(), atol=1e-12)


def test_plain_is_averaged_over_the_end() -> None:
    """The average over the last part is that of the sums in the middle of each interval between hills."""
    hills = few()
    grid = make_grid([X], [-2.0], [2.0], [21])
    x = grid.axes[0]
    each = hills.heights[:, None] * np.exp(-0.5 * ((x - hills.centers) / 0.3) ** 2)
    sums = np.concatenate([np.zeros((1, 21)), np.cumsum(each, axis=0)])
    middles = 0.5 * (sums[1:] + sums[:-1])
    for last, expected in ((0.5, -middles[4:].mean(axis=0)), (1.0, -middles.mean(axis=0)), (0.0, -sums[-1])):
        found = surface_of_hills(hills, grid, last=last).energy
        np.testing.assert_allclose(found, expected - expected.min(), atol=1e-12)
    default = surface_of_hills(hills, grid).energy
    np.testing.assert_array_equal(default, surface_of_hills(hills, grid, last=0.5).energy)


def test_surfaces_in_time_are_those_of_the_first_hills() -> None:
    for hills in (few(), few(4.0)):
        grid = make_grid([X], [-2.0], [2.0], [21])
        times, surfaces = surfaces_in_time(hills, grid, [0.5, 0.75, 1.0])
        np.testing.assert_array_equal(times, [4.0, 6.0, 8.0])
        for count, surface in zip((4, 6, 8), surfaces, strict=True):
            alone = surface_of_hills(hills.part(slice(0, count)), grid).energy
            np.testing.assert_allclose(surface.energy, alone, atol=1e-12)


def test_bad_fractions_are_refused() -> None:
    grid = make_grid([X], [-2.0], [2.0], [21])
    with pytest.raises(ValueError, match="last must be a fraction between 0 and 1, got 2"):
        surface_of_hills(few(), grid, last=2.0)
    with pytest.raises(ValueError, match="hills must be enough for 1 times, got 8"):
        surfaces_in_time(few(), grid, [0.01])


def test_projections_integrate_the_others() -> None:
    """F(x, phi) = x^2 + (1 + x) cos(phi), kT = 0.5: against quadrature; and the order of the variables."""
    grid = make_grid([X, PHI], [-1.0, -math.pi], [1.0, math.pi], [11, 60])
    x, phi = np.meshgrid(*grid.axes, indexing="ij")
    surface = Surface(grid, x**2 + (1 + x) * np.cos(phi))
    found = project(surface, ["x"], 0.5)
    exact = [
        -0.5 * math.log(quad(lambda p: math.exp(-(s**2 + (1 + s) * math.cos(p)) / 0.5), -math.pi, math.pi)[0])  # noqa: B023
        for s in grid.axes[0]
    ]
    np.testing.assert_allclose(found.energy, np.array(exact) - min(exact), atol=1e-10)
    turned = project(surface, ["phi", "x"], 0.5)
    assert turned.grid.wraps == (True, False)
    np.testing.assert_array_equal(turned.energy, (surface.energy - surface.energy.min()).T)
    with pytest.raises(ValueError, match="variable must be one of x, phi, got 'y'"):
        project(surface, ["y"], 0.5)


def in_three() -> Surface:
    grid = make_grid([X, Variable("y"), Variable("z")], [0.0] * 3, [1.0] * 3, [3, 4, 5])
    return Surface(grid, np.random.default_rng(0).random((3, 4, 5)))


def test_projections_of_three_variables_in_any_order() -> None:
    surface = in_three()
    one = project(surface, ["z", "x"], 0.3)
    other = project(surface, ["x", "z"], 0.3)
    assert one.energy.shape == (5, 3)
    np.testing.assert_allclose(one.energy, other.energy.T)
    twice = project(one, ["z"], 0.3)
    np.testing.assert_allclose(project(surface, ["z"], 0.3).energy, twice.energy, atol=1e-12)


def read_back(run: BiasedRun, folder: Path) -> Hills:
    run.write(folder)
    return merge_hills([plumed_hills(read_table(file)) for file in sorted(folder.glob("HILLS.*"))])


@pytest.mark.slow
def test_well_tempered_metadynamics_finds_the_double_well(tempered: BiasedRun, tmp_path: Path) -> None:
    """Within 0.1 kT over both wells and the barrier of 5 kT between them, and better the longer it runs."""
    hills = read_back(tempered, tmp_path)
    grid = default_grid(hills.variables, hills.centers, hills.spacing)
    x = grid.axes[0]
    _, surfaces = surfaces_in_time(hills, grid, ENDS)
    errors = [largest_error(surface.energy / KT, well(x), np.abs(x) < 1.2) for surface in surfaces]
    assert errors[2] < 0.1
    assert errors[0] > errors[1] > errors[2]
    unscaled = replace(hills, heights=hills.weights)  # a control: heights of the bias do not give the free energy
    wrong = surface_of_hills(unscaled, grid).energy
    assert largest_error(wrong / KT, well(x), np.abs(x) < 1.2) > 0.3


@pytest.mark.slow
def test_plain_metadynamics_finds_it_on_average(tmp_path: Path) -> None:
    hills = read_back(metadynamics(24000, height=0.004, biasfactor=math.inf), tmp_path)
    grid = default_grid(hills.variables, hills.centers, hills.spacing)
    x = grid.axes[0]
    _, surfaces = surfaces_in_time(hills, grid, [1 / 4, 1 / 2, 1.0])
    errors = [largest_error(surface.energy / KT, well(x), np.abs(x) < 1.2) for surface in surfaces]
    assert errors[2] < 0.1
    assert errors[0] > errors[1] > errors[2]
    at_the_end = surface_of_hills(hills, grid, last=0.0).energy
    assert largest_error(at_the_end / KT, well(x), np.abs(x) < 1.2) > errors[2]
