"""Pictures as axes: stretches with a band, ticks of angles, labels, numbers within the picture, few curves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rhopot.potentials.free_energy import pictures
from rhopot.potentials.free_energy.basins import Basins, find_basins
from rhopot.potentials.free_energy.block_errors import BlockErrors
from rhopot.potentials.free_energy.grid import Grid, Surface, Variable, make_grid
from rhopot.potentials.free_energy.pictures import draw_convergence, draw_surface
from rhopot.potentials.free_energy.result import FreeEnergy, Measured, measured

PHI = Variable("phi", "radian", (-math.pi, math.pi))
EV = ("eV", 1.0)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved."""
    saved: list[Figure] = []

    def save(figure: Figure, path: Path, title: str = "") -> Path:
        figure.canvas.draw()
        saved.append(figure)
        return path

    monkeypatch.setattr(pictures, "save_figure", save)
    return saved


def result(grid: Grid, energy: np.ndarray, **fields: Any) -> FreeEnergy:
    basins: Basins = find_basins(grid, energy, 0.01)
    made = FreeEnergy(
        Surface(grid, energy),
        basins,
        measured(basins, energy, 0.025),
        None,
        None,
        None,
        "",
        np.zeros(0),
        (),
        "hills",
        "frames",
    )
    return replace(made, **fields)


def test_bands_stand_where_errors_are_known(figures: list[Figure]) -> None:
    """The reweighted line with its band is drawn over stretches of five nodes or more; the axis of an angle in pi."""
    grid = make_grid([PHI], [-math.pi], [math.pi], [40])
    energy = 0.2 * (1.0 - np.cos(grid.axes[0]))
    error = np.full(40, np.nan)
    error[[3, 4, 8, 9, 10, 11, 12, *range(20, 30)]] = 0.01
    draw_surface(Path("x"), result(grid, energy, second=Surface(grid, energy + 0.1, error)), EV, 0.025)
    (axes,) = figures[0].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "sum of hills",
        "reweighted frames",
        "one standard deviation",
    ]
    assert len(axes.collections) == 2
    lines = [line for line in axes.lines if line.get_linewidth() == 0.7]
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata()), energy[8:13] + 0.1)
    assert len(np.asarray(lines[1].get_xdata())) == 10
    assert [text.get_text() for text in axes.get_xticklabels()] == ["−π", "−π/2", "0", "π/2", "π"]
    assert axes.get_xlabel() == "phi (radian)"


def test_a_plane_and_its_numbers(figures: list[Figure]) -> None:
    """A minimum in the upper right corner has its number inside of it."""
    grid = make_grid([Variable("x", "A"), PHI], [0.0, -math.pi], [1.0, math.pi], [21, 24])
    x, y = np.meshgrid(*grid.axes, indexing="ij")
    energy = 1.0 - np.exp(-((x - 1.0) ** 2 + (y - 2.88) ** 2)) - 0.5 * np.exp(-8 * (x**2 + (y + 1.0) ** 2))
    draw_surface(Path("x"), result(grid, energy), EV, 0.025)
    axes, bar = figures[0].axes
    assert bar.get_ylabel() == "free energy (eV), contours every $k_B T$"
    inside = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0 < box.x1 <= inside.x1
        assert inside.y0 <= box.y0 < box.y1 <= inside.y1
    assert axes.get_yticklabels()[0].get_text() == "−π"


def test_convergence_has_few_curves(figures: list[Figure]) -> None:
    """Eight basins: four of them and the four lowest barriers, each of a color; the legend is outside of the panel."""
    grid = make_grid([Variable("x")], [0.0], [8.0], [401])
    energy = 0.1 * (1.0 - np.cos(2.0 * math.pi * grid.axes[0])) + 0.001 * grid.axes[0]
    made = result(grid, energy)
    assert len(made.basins) > 7
    blocks = BlockErrors((1, 2, 4), (0.1, 0.2, 0.2), 2, 0.2, True)
    in_time = tuple(Measured(made.values.differences, made.values.barriers) for _ in range(3))
    what = "free energy of basin 3 above 2"
    found = replace(made, times=np.arange(3.0), in_time=in_time, blocks=blocks, block_quantity=what)
    draw_convergence(Path("x"), found, EV, "time (ps)")
    left, right = figures[0].axes
    assert len(left.lines) == 8
    assert len({line.get_color() for line in left.lines}) == 8
    assert left.get_legend().get_window_extent().y1 < left.get_window_extent().y0
    assert right.get_title() == what
    assert right.get_ylabel() == "error (eV)"
