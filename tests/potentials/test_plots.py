"""Pictures: every kind is drawn, holds ink, and refuses to be empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from rhopot.potentials import plots, property_plots

X = np.linspace(0.0, 2.0, 9)
Y = X**2 - X

DRAWINGS: dict[str, Callable[[Path], Path]] = {
    "parity": lambda path: plots.parity(
        path, {"energy (eV)": (X, Y), "force (eV/Å)": (np.tile(X, 50), np.tile(Y, 50))}
    ),
    "parity of one value": lambda path: plots.parity(path, {"energy (eV)": (X[:1], X[:1])}),
    "learning curve": lambda path: plots.learning_curve(path, [10, 20], {"MAE (meV)": [3.0, 2.0]}, "frames", "title"),
    "epochs": lambda path: plots.epochs(
        path,
        [1, 2, 3],
        {"loss": {"train": [3.0, 2.0, 1.9], "validation": [np.nan, 2.5, 2.4]}, "none": {"train": [0.0] * 3}},
    ),
    "epochs in one decade": lambda path: plots.epochs(path, [1, 2], {"loss": {"train": [6.1, 6.2]}}),
    "energy and volume": lambda path: property_plots.energy_volume(path, X + 10, Y, np.polyfit(X + 10, Y, 2).tolist()),
    "path": lambda path: plots.energy_path(path, X, Y),
    "path with a curve": lambda path: plots.energy_path(path, X, Y, (X, Y), "title"),
    "lines": lambda path: plots.lines(path, X, {"a": Y, "b": -Y}, "x", "y"),
    "curves": lambda path: plots.curves(path, {"a": ([1, 10], [1.0, 0.1]), "b": ([2, 9], [0.0, 0.3])}, "F", "GFRE"),
    "six curves": lambda path: plots.curves(path, {f"{k}": ([1, 10], [1.0 + k, 0.1]) for k in range(6)}, "F", "GFRE"),
    "named front": lambda path: plots.named_front(path, {"a": (1, 3.0), "b": (2, 1.0), "c": (3, 2)}, [0, 1], "x", "y"),
    "matrix": lambda path: plots.matrix(path, [[0.0, 0.7], [0.2, 0.0]], ["a b", "c"], "title"),
    "errors along runs": lambda path: property_plots.errors_along_runs(
        path, {"a": (X, Y + 2), "b": (X, Y + 3)}, {"a": (X[:1], Y[:1] + 2)}, 2.5, "title"
    ),
    "time series": lambda path: plots.time_series(path, X, {"energy (eV)": {"a": Y}, "T (K)": {"b": X}}, "title"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_picture_holds_ink(name: str, tmp_path: Path) -> None:
    path = DRAWINGS[name](tmp_path / "picture.png")
    assert path == tmp_path / "picture.png"
    pixels = imread(path)[..., :3]
    assert min(pixels.shape[:2]) > 300
    shown = (pixels < 0.9).any(axis=-1).mean()
    assert 0.005 < shown < 0.5


def test_errors_of_runs_share_their_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of 0.655 eV/A stands above a run at 0.62."""
    drawn: list[Figure] = []
    monkeypatch.setattr(property_plots, "save_figure", lambda figure, path, title: drawn.append(figure))
    runs = {"run": (X, 0.62 + 0.01 * Y), "stopped": (X[:1], np.array([0.655]))}
    property_plots.errors_along_runs(tmp_path / "picture.png", runs, {})
    first, second = (axes.get_ylim() for axes in drawn[0].axes)
    assert first == second


def test_epochs_without_a_positive_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="panels must hold at least one positive number, got none"):
        plots.epochs(tmp_path / "picture.png", [1], {"loss": {"train": [np.nan]}})


@pytest.mark.parametrize("draw", [lambda p: plots.parity(p, {}), lambda p: plots.learning_curve(p, [1], {}, "x")])
def test_nothing_to_draw_is_said(draw: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold at least one quantity, got none"):
        draw(tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []


def test_names_of_points_lie_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of crowded points meet neither each other nor the edge of the axes."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path, title="": drawn.append(figure) or Path(path))
    points = {f"potential {k}": (10.0 + 0.4 * k, 50.0 - k) for k in range(6)}
    plots.named_front(tmp_path / "picture.png", points, [0, 5], "x", "y")
    (axes,) = drawn[0].axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == sorted(points)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_a_front_without_points_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="points must hold at least one point, got none; give a potential"):
        plots.named_front(tmp_path / "picture.png", {}, [], "x", "y")


def test_each_run_has_its_own_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five temperatures; elements have a style of line each."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path, title="": drawn.append(figure) or Path(path))
    fit = SimpleNamespace(coefficient=1e-5, intercept=0.1, first=0.5, last=1.0)
    runs = [f"{kelvin} K" for kelvin in (600, 800, 1000, 1200, 1600)]
    plots.fitted_displacements(
        tmp_path / "msd.png", {(element, run): (X, Y, fit) for run in runs for element in ("Li", "Si")}, "title"
    )
    curves = {line.get_label(): line for line in drawn[0].axes[0].lines if not str(line.get_label()).startswith("_")}
    assert len({to_hex(line.get_color()) for line in curves.values()}) == len(runs)
    assert {(name[:2], line.get_linestyle()) for name, line in curves.items()} == {("Li", "-"), ("Si", "--")}


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (1628.04, 13.6, "1628 ± 14"),
        (82.746, 0.5612, "82.75 ± 0.56"),
        (1.0, 0.0, "1.00 ± 0.00"),
        (9.0, 120.0, "9 ± 120"),
    ],
)
def test_a_number_with_its_error(mean: float, error: float, text: str) -> None:
    assert property_plots.with_error(mean, error) == text
