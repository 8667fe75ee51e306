"""One analysis: which method, errors and convergence a result has, and what it needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rhopot.potentials.free_energy.analysis import AnalysisSettings, analyze, of_surface
from rhopot.potentials.free_energy.biased_frames import ColvarFile
from rhopot.potentials.free_energy.grid import Surface, Variable, make_grid, thermal_energy
from rhopot.potentials.free_energy.hills import UNITS, Hills
from rhopot.potentials.free_energy.surface import project, surface_of_hills
from rhopot.potentials.plumed_files import PlumedTable

X, Y, PHI = Variable("x", "A"), Variable("y"), Variable("phi", "radian", (-math.pi, math.pi))
KT = thermal_energy(300.0)


def hills(variables: tuple[Variable, ...] = (X, Y), count: int = 400, seed: int = 0) -> Hills:
    """Hills around x = -1 and +1, where y is lower; not those of a simulation."""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(count) < 0.6, -1.0, 1.0)
    centers = np.stack([side + 0.3 * rng.normal(size=count), -side + 0.5 * rng.normal(size=count)], axis=1)
    every = np.concatenate([centers, rng.normal(size=(count, 1))], axis=1)[:, : len(variables)]
    return Hills(variables, np.arange(1.0, count + 1.0), every, np.full(every.shape, 0.25), np.full(count, 0.004), 6.0)


def colvar(count: int = 4000) -> ColvarFile:
    rng = np.random.default_rng(1)
    side = np.repeat(np.where(rng.random(count // 20) < 0.6, -1.0, 1.0), 20)
    columns = [
        np.linspace(0.0, 400.0, count),
        side + 0.3 * rng.normal(size=count),
        -side + 0.5 * rng.normal(size=count),
    ]
    columns += [rng.normal(size=count), np.zeros(count)]
    return ColvarFile(PlumedTable(("time", "x", "y", "z", "b.bias"), np.stack(columns, axis=1)), UNITS["metal"], {})


def test_hills_alone_need_no_temperature() -> None:
    found = analyze(hills(), [], AnalysisSettings())
    assert len(found.basins) == 2
    assert (found.values.differences, found.reweighted, found.errors, found.blocks) == (None, None, None, None)
    assert found.values.barriers.shape == (1, 2)
    assert found.surface.error is None
    assert found.method == "minus the sum of 400 hills of well-tempered metadynamics with bias factor 6"
    assert len(found.times) == len(found.in_time) == 20
    np.testing.assert_allclose(found.in_time[-1].barriers, found.values.barriers)
    np.testing.assert_array_equal(found.times, np.arange(20.0, 401.0, 20.0))


def test_with_a_temperature_there_are_errors() -> None:
    found = analyze(hills(), [], AnalysisSettings(300.0, skip=0.0))
    assert found.frames.startswith("400 frames, ")
    assert "centers of the hills" in found.frames
    assert found.errors is not None
    assert found.errors.differences is not None
    assert found.errors.differences[0] == 0.0
    assert found.errors.differences[1] > 0.0
    assert found.block_quantity == "free energy of basin 2 above 1"
    assert found.surface.error is None
    assert found.second is not None
    assert found.second.error is not None
    assert found.second.error.shape == found.surface.grid.shape
    sums = [float(np.exp(-each.energy / KT).sum()) for each in (found.surface, found.second)]
    assert sums[0] == pytest.approx(sums[1])
    again = analyze(hills(), [], AnalysisSettings(300.0, skip=0.0))
    assert again.errors is not None
    assert again.errors.differences is not None
    np.testing.assert_array_equal(found.errors.differences, again.errors.differences)
    assert analyze(hills(), [], AnalysisSettings(300.0, errors=False)).errors is None


def test_fewer_variables_than_the_hills_are_integrated_over() -> None:
    found = analyze(hills(), [], AnalysisSettings(300.0, ("x",), errors=False))
    whole = analyze(hills(), [], AnalysisSettings(errors=False))
    expected = project(whole.surface, ["x"], KT)
    np.testing.assert_allclose(found.surface.energy, expected.energy, atol=1e-12)
    turned = analyze(hills(), [], AnalysisSettings(300.0, ("y", "x"), errors=False))
    np.testing.assert_allclose(turned.surface.energy, whole.surface.energy.T, atol=1e-12)


def test_a_grid_that_was_asked_for() -> None:
    asked = AnalysisSettings(grid=((-1.5, 1.5, 31), (-2.0, 2.0, 21)))
    found = analyze(hills(), [], asked)
    grid = make_grid([X, Y], [-1.5, -2.0], [1.5, 2.0], [31, 21])
    np.testing.assert_allclose(found.surface.energy, surface_of_hills(hills(), grid).energy)
    one = analyze(hills(), [], AnalysisSettings(300.0, ("y",), grid=((-2.0, 2.0, 21),), errors=False))
    np.testing.assert_allclose(one.surface.grid.axes[0], grid.axes[1])
    with pytest.raises(ValueError, match="grid must be given once for each of x, y, got 1"):
        analyze(hills(), [], AnalysisSettings(grid=((-2.0, 2.0, 21),)))


def test_a_grid_that_does_not_resolve_the_hills_is_noted() -> None:
    """One hill far away makes nodes sparse."""
    many = hills((X,))
    assert analyze(many, [], AnalysisSettings()).notes == ()
    centers = many.centers.copy()
    centers[0] = 1000.0
    found = analyze(replace(many, centers=centers), [], AnalysisSettings())
    assert found.notes[0].startswith("nodes of x are 1 apart, more than the smallest sigma 0.25 of the hills")
    near = analyze(replace(many, centers=centers), [], AnalysisSettings(grid=((-2.0, 2.0, 81),)))
    assert near.notes == ()


def test_three_variables() -> None:
    found = analyze(hills((X, Y, PHI)), [], AnalysisSettings(300.0, errors=False, depth=0.05))
    assert found.surface.energy.ndim == 3
    assert len(found.basins.place(found.basins.minima[0])) == 3


def test_frames_alone() -> None:
    found = analyze(None, [colvar()], AnalysisSettings(300.0, ("x",)))
    assert "weighted histogram of" in found.method
    assert found.reweighted is None
    assert found.errors is not None
    assert found.values.differences is not None
    assert found.errors.differences is not None
    probability = np.mean(colvar().table.column("x")[800:] < 0)
    assert found.values.differences[1] == pytest.approx(KT * math.log(probability / (1 - probability)), rel=0.01)
    exact = KT * math.sqrt(1.0 / (0.24 * 160))  # 160 blocks of 20 equal frames, p (1 - p) = 0.24
    assert found.errors.differences[1] == pytest.approx(exact, rel=0.3)
    estimate = analyze(None, [colvar()], AnalysisSettings(300.0, ("x", "y"), bandwidth=(0.2, 0.2), errors=False))
    assert "kernel density estimate" in estimate.method
    assert len(estimate.basins) == 2


@pytest.mark.parametrize("bandwidth", [None, (0.1,)])
def test_noise_at_the_rim_is_no_basin(bandwidth: tuple[float, ...] | None) -> None:
    """Two excursions, of 40 frames each, make a dip that the error does not tell from none; a state that was visited
    again and again is a basin, also where no frame was between."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=8000)
    often, seldom = x.copy(), x.copy()
    for start in range(100, 8000, 400):
        often[start : start + 40] = 6.0 + 0.1 * rng.normal(size=40)
    for start in (3000, 5000):
        seldom[start : start + 40] = 6.0 + 0.1 * rng.normal(size=40)
    for values, basins in ((often, 2), (seldom, 1)):
        table = PlumedTable(("time", "x"), np.stack([np.arange(8000.0), values], axis=1))
        settings = AnalysisSettings(300.0, ("x",), biases=(), bandwidth=bandwidth)
        found = analyze(None, [ColvarFile(table, UNITS["metal"], {})], settings)
        assert len(found.basins) == basins
        assert (found.basins.labels[np.isfinite(found.surface.energy)] >= 0).all()


def test_one_basin_has_blocks_too() -> None:
    found = analyze(None, [colvar()], AnalysisSettings(300.0, ("z",), bandwidth=(0.3,)))
    assert len(found.basins) == 1
    assert found.block_quantity == "mean of z"
    assert found.blocks is not None
    assert found.blocks.error == pytest.approx(1.0 / math.sqrt(3200), rel=0.3)


def test_surfaces_of_other_programs() -> None:
    grid = make_grid([X], [-1.5], [1.5], [61])
    surface = Surface(grid, (grid.axes[0] ** 2 - 1.0) ** 2)
    found = of_surface(surface, AnalysisSettings(300.0))
    assert len(found.basins) == 2
    np.testing.assert_allclose(found.values.barriers, [[1.0, 1.0]], atol=0.01)
    assert of_surface(surface, AnalysisSettings()).values.differences is None


@pytest.mark.parametrize(
    ("of_hills", "files", "settings", "sentence"),
    [
        (True, True, {}, "temperature must be given for weights of frames, got none; add --temperature"),
        (True, False, {"variables": ("x",)}, "temperature must be given for a free energy of fewer variables"),
        (False, True, {"temperature": 300.0}, "variables must be given for frames without hills, got none"),
        (
            True,
            False,
            {"temperature": 300.0, "variables": ("z",)},
            "variable must be one of x, y without a COLVAR file",
        ),
        (True, True, {"temperature": 300.0, "variables": ("w",)}, "column must be one of time, x, y"),
        (True, False, {"temperature": -1.0}, "temperature must be positive, got -1"),
        (
            False,
            True,
            {"temperature": 300.0, "variables": ("x",), "bandwidth": (0.1, 0.1)},
            "bandwidth must be given once",
        ),
        (False, True, {"temperature": 300.0, "variables": ("x",), "bandwidth": (0.0,)}, "bandwidth must be positive"),
    ],
)
def test_what_is_missing_is_said(of_hills: bool, files: bool, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        analyze(hills() if of_hills else None, [colvar()] if files else [], AnalysisSettings(**settings))


def test_runs_that_are_too_short() -> None:
    with pytest.raises(ValueError, match="hills must be 10 or more for a free energy, got 5"):
        analyze(hills(count=5), [], AnalysisSettings())
    with pytest.raises(ValueError, match="frames must be 16 or more for errors"):
        analyze(hills(count=15), [], AnalysisSettings(300.0))
    with pytest.raises(ValueError, match="frames must be 20 or more at some node, got fewer, 16 in all"):
        analyze(None, [colvar(20)], AnalysisSettings(300.0, ("x", "y"), errors=False))
