"""Weights of frames: c(t) against its integrals, the final bias, histograms, kernels, and marginals that are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from biased_runs import KT, BiasedRun, difference, largest_error, of_y, well

from rhopot.potentials.free_energy.analysis import AnalysisSettings, analyze
from rhopot.potentials.free_energy.biased_frames import ColvarFile
from rhopot.potentials.free_energy.grid import Variable, make_grid
from rhopot.potentials.free_energy.hills import UNITS, Hills, merge_hills, plumed_hills, sum_at_points
from rhopot.potentials.free_energy.reweighting import (
    Frames,
    bias_at,
    frames_behind,
    frames_of_hills,
    grid_of_frames,
    reweighted_surface,
    spacing_of_bins,
    tiwary_parrinello,
    weights_in_time,
)
from rhopot.potentials.plumed_files import read_table

X, PHI = Variable("x"), Variable("phi", "radian", (-math.pi, math.pi))
RNG = np.random.default_rng(8)


def some(biasfactor: float, variables: tuple[Variable, ...] = (X,), count: int = 30) -> Hills:
    size = (count, len(variables))
    return Hills(
        variables,
        np.arange(1.0, count + 1.0),
        RNG.uniform(-2.0, 2.0, size),
        np.full(size, 0.4),
        RNG.uniform(0.01, 0.05, count),
        biasfactor,
    )


def equal_frames(values: np.ndarray, variable: Variable = X) -> Frames:
    return Frames((variable,), np.arange(float(len(values))), values[:, None], np.zeros(len(values)))


@pytest.mark.parametrize("biasfactor", [5.0, math.inf])
def test_offsets_are_the_integrals(biasfactor: float) -> None:
    hills, thermal = some(biasfactor), 0.03
    grid = make_grid([X], [-3.0], [3.0], [121])
    counts, c = tiwary_parrinello(hills, grid, thermal)
    np.testing.assert_array_equal(counts, np.arange(31))
    assert c[0] == 0.0
    for count in (1, 17, 30):
        bias = sum_at_points(hills.part(slice(0, count)), grid.nodes, hills.weights[:count])
        above = np.exp(bias / thermal * (1.0 if math.isinf(biasfactor) else biasfactor / (biasfactor - 1.0)))
        below = np.exp(bias / thermal * (0.0 if math.isinf(biasfactor) else 1.0 / (biasfactor - 1.0)))
        assert c[count] == pytest.approx(thermal * math.log(above.sum() / below.sum()), rel=1e-12)
    some_counts, some_c = tiwary_parrinello(hills, grid, thermal, most=10)
    np.testing.assert_allclose(some_c, c[some_counts], rtol=1e-12)


def test_weights_in_time() -> None:
    """A frame sees the hills before it, and c of as many."""
    hills, thermal = some(5.0), 0.03
    grid = make_grid([X], [-3.0], [3.0], [121])
    offsets = tiwary_parrinello(hills, grid, thermal)
    times, points = np.array([0.5, 3.0, 3.5, 99.0]), RNG.uniform(-1.0, 1.0, (4, 1))
    found = weights_in_time(hills, offsets, thermal, times, points)
    for value, count, point in zip(found, (0, 2, 3, 30), points, strict=True):
        part = hills.part(slice(0, count))
        bias = sum_at_points(part, point[None], part.weights)[0]
        assert value == pytest.approx((bias - offsets[1][count]) / thermal, abs=1e-12)
    given = weights_in_time(hills, offsets, thermal, times, points, np.full(4, 0.1))
    np.testing.assert_allclose(given, (0.1 - offsets[1][[0, 2, 3, 30]]) / thermal)


@pytest.mark.parametrize("variables", [(X,), (PHI,), (X, PHI)])
def test_splines_give_the_final_bias(variables: tuple[Variable, ...]) -> None:
    hills = some(5.0, variables)
    points = RNG.uniform(-3.1, 3.1, (30_000, len(variables)))
    exact = sum_at_points(hills, points, hills.weights)
    np.testing.assert_allclose(bias_at(hills, points), exact, atol=5e-4 * exact.max())
    np.testing.assert_allclose(bias_at(hills, points[:10]), exact[:10], rtol=1e-12)


def test_histograms_and_kernels_of_a_normal_distribution() -> None:
    """F = kT x^2 / 2; a kernel of width b gives that of the variance 1 + b^2."""
    frames = equal_frames(np.random.default_rng(0).normal(size=400_000))
    grid = make_grid([X], [-2.0], [2.0], [41])
    x = grid.axes[0]
    np.testing.assert_allclose(reweighted_surface(frames, grid, 0.5).energy, 0.25 * x**2, atol=0.03)
    kernel = reweighted_surface(frames, make_grid([X], [-4.0], [4.0], [81]), 0.5, [0.5]).energy[20:61]
    np.testing.assert_allclose(kernel, 0.25 * x**2 / 1.25, atol=0.01)
    assert frames.effective == pytest.approx(400_000)


def test_kernels_go_round_a_period() -> None:
    frames = equal_frames(np.array([-3.1, 3.1]), PHI)
    grid = make_grid([PHI], [-math.pi], [math.pi], [90])
    density = np.exp(-reweighted_surface(frames, grid, 1.0, [0.3]).energy)
    np.testing.assert_allclose(density[1:], density[:0:-1], rtol=1e-10)
    assert density[0] == pytest.approx(1.0, rel=0.02)


def test_weights_undo_a_known_bias() -> None:
    """Samples of exp(-(x^2 / 2 - V) / kT) with V = x / 2 have the free energy x^2 / 2 after weighting with exp(V)."""
    x = np.random.default_rng(2).normal(-0.5, 1.0, 400_000)  # x^2 / 2 + x / 2 is lowest at -1/2
    frames = Frames((X,), np.arange(400_000.0), x[:, None], 0.5 * x)
    grid = make_grid([X], [-1.5], [1.5], [31])
    found = reweighted_surface(frames, grid, 1.0).energy
    np.testing.assert_allclose(found - found[15], 0.5 * grid.axes[0] ** 2, atol=0.05)
    with pytest.raises(ValueError, match="frames must lie on the grid, got none"):
        reweighted_surface(equal_frames(np.array([9.0])), grid, 1.0)


def test_effective_numbers_of_frames() -> None:
    grid = make_grid([X], [0.0], [10.0], [11])
    frames = Frames((X,), np.arange(3.0), np.array([[2.0], [2.1], [5.0]]), np.log([1.0, 3.0, 1.0]))
    found = frames_behind(frames, grid)
    np.testing.assert_allclose(found[[0, 2, 5]], [0.0, 16.0 / 10.0, 1.0])
    near = frames_behind(frames, grid, [1.0])  # within two nodes
    np.testing.assert_allclose(near, np.array([1.6, 1.6, 1.6, 25 / 11, 25 / 11, 1, 1, 1, 0, 0, 0]))
    assert frames.effective == pytest.approx(25.0 / 11.0)
    np.testing.assert_allclose(spacing_of_bins(frames, [0.6]), [0.2])
    normal = equal_frames(np.random.default_rng(0).normal(size=8000))
    np.testing.assert_allclose(spacing_of_bins(normal), 8000 ** (-1 / 3), rtol=0.03)


def test_few_frames_get_wide_bins() -> None:
    """100 frames of a periodic variable do not fill 40 bins with 20 each; many keep narrow ones."""
    values = np.random.default_rng(0).normal(size=(20_000, 1))
    for count, low, high in ((100, 5, 25), (20_000, 40, 400)):
        frames = equal_frames(values[:count, 0], PHI)
        grid = grid_of_frames(frames, None, 20.0)
        known = frames_behind(frames, grid) >= 20.0
        assert low <= grid.shape[0] <= high
        assert known[grid.bins(frames.values)].mean() >= 0.5
    kernels = grid_of_frames(equal_frames(values[:100, 0], PHI), [0.3], 20.0)
    np.testing.assert_allclose(kernels.spacing, 0.1, rtol=0.02)


def test_centers_of_hills_are_frames() -> None:
    hills, thermal = some(5.0), 0.03
    grid = make_grid([X], [-3.0], [3.0], [121])
    frames = frames_of_hills(hills, grid, thermal)
    offsets = tiwary_parrinello(hills, grid, thermal)
    np.testing.assert_allclose(
        frames.log_weights, weights_in_time(hills, offsets, thermal, hills.times, hills.centers), atol=1e-10
    )
    final = frames_of_hills(hills, grid, thermal, "final")
    np.testing.assert_allclose(
        final.log_weights, sum_at_points(hills, hills.centers, hills.weights) / thermal, rtol=1e-10
    )


def read_back(run: BiasedRun, folder: Path) -> tuple[Hills, list[ColvarFile]]:
    run.write(folder)
    hills = merge_hills([plumed_hills(read_table(file)) for file in sorted(folder.glob("HILLS.*"))])
    return hills, [ColvarFile(read_table(file), UNITS["plumed"], {}) for file in sorted(folder.glob("COLVAR.*"))]


@pytest.mark.slow
def test_reweighting_gives_the_other_variable(tempered: BiasedRun, tmp_path: Path) -> None:
    """F(y) by quadrature, for both kinds of weights; equal weights, as a control, do not give it."""
    hills, files = read_back(tempered, tmp_path)
    for weights, limit in (("time", 0.1), ("final", 0.15)):
        settings = AnalysisSettings(300.0, ("y",), bandwidth=(0.08,), weights=weights, errors=False)
        found = analyze(hills, files, settings).surface
        y = found.grid.axes[0]
        assert largest_error(found.energy / KT, of_y(y), np.abs(y) < 1.6) < limit
    wrong = analyze(None, files, AnalysisSettings(300.0, ("y",), bandwidth=(0.08,), biases=(), errors=False)).surface
    y = wrong.grid.axes[0]
    assert largest_error(wrong.energy / KT, of_y(y), np.abs(y) < 1.6) > 0.5


@pytest.mark.slow
def test_reweighting_gives_the_biased_variable(tempered: BiasedRun, tmp_path: Path) -> None:
    """The same free energy as that of the hills; the difference of the wells within three of its errors."""
    hills, files = read_back(tempered, tmp_path)
    found = analyze(hills, files, AnalysisSettings(300.0))
    assert found.reweighted is not None
    assert found.reweighted.differences is not None
    assert found.errors is not None
    assert found.errors.differences is not None
    assert found.blocks is not None
    assert found.blocks.converged
    error = found.errors.differences[1] / KT
    assert 0.01 < error < 0.1
    assert abs(found.reweighted.differences[1] / KT - difference()) < 3.0 * error
    again = analyze(None, files, AnalysisSettings(300.0, ("s",), bandwidth=(0.03,), weights="bias"))
    assert again.reweighted is None
    frames = analyze(hills, files, AnalysisSettings(300.0, bandwidth=(0.03,), grid=((-1.5, 1.5, 151),)))
    assert frames.second is not None
    assert frames.second.error is not None
    x = frames.surface.grid.axes[0]
    inside = np.abs(x) < 1.2
    assert largest_error(frames.surface.energy / KT, well(x), inside) < 0.15
    assert float(np.nanmax(frames.second.error[inside])) / KT < 0.15
