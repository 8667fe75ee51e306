"""Pictures of results: parity, learning curve, energy against volume, energy along a path, profiles.

Every function draws into a PNG file and returns its path. Figures are made without pyplot, so that no display and no
global state are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, ACCENT, FAINT = "#1f2933", "#c2410c", "#9aa5b1"


def parity(path: str | Path, panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    """Predicted against reference values, one panel per entry.

    panels: label with unit -> (reference, predicted), arrays of equal size. The RMSE stands in each panel.
    """
    if not panels:
        raise ValueError("panels must hold at least one quantity, got none; evaluate energies or forces first")
    figure = Figure(figsize=(4.2 * len(panels), 4.0), layout="constrained")
    for axes, (label, (reference, predicted)) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        x, y = np.ravel(reference), np.ravel(predicted)
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        pad = 0.03 * (high - low) or 1.0
        axes.plot([low - pad, high + pad], [low - pad, high + pad], color=FAINT, lw=1, zorder=0)
        axes.scatter(x, y, s=6, color=ACCENT, alpha=0.5, linewidths=0)
        axes.set(xlabel=f"reference {label}", ylabel=f"predicted {label}", aspect="equal")
        axes.set_title(f"RMSE {np.sqrt(np.mean((x - y) ** 2)):.3g} {_unit(label)}".rstrip(), fontsize=10, color=INK)
    return _save(figure, path)


def learning_curve(
    path: str | Path, sizes: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str, ylabel: str
) -> Path:
    """Error against the amount of training data (or against a fit parameter), both axes logarithmic."""
    figure, axes = _single()
    for label, values in curves.items():
        axes.loglog(sizes, values, marker="o", ms=4, lw=1.2, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(frameon=False, fontsize=9)
    return _save(figure, path)


def energy_volume(
    path: str | Path, volumes: np.ndarray, energies: np.ndarray, parabola: Sequence[float], title: str = ""
) -> Path:
    """Energy per atom (eV) against volume per atom (A^3), with the fitted parabola (numpy.polyfit coefficients)."""
    figure, axes = _single()
    dense = np.linspace(volumes.min(), volumes.max(), 200)
    axes.plot(dense, np.polyval(np.asarray(parabola), dense), color=FAINT, lw=1.2)
    axes.plot(volumes, energies, "o", color=ACCENT, ms=4)
    axes.set(xlabel="volume (A$^3$/atom)", ylabel="energy (eV/atom)", title=title)
    axes.ticklabel_format(useOffset=False)
    return _save(figure, path)


def energy_path(
    path: str | Path,
    distances: np.ndarray,
    energies: np.ndarray,
    fit: tuple[np.ndarray, np.ndarray] | None = None,
    title: str = "",
) -> Path:
    """Energies (eV) of the images of a band against the distance (A) along it, with an interpolation when given."""
    figure, axes = _single()
    if fit is not None:
        axes.plot(*fit, color=FAINT, lw=1.2)
    axes.plot(distances, energies, "o", color=ACCENT, ms=5)
    axes.set(xlabel="distance along the path (A)", ylabel="energy (eV)", title=title)
    return _save(figure, path)


def lines(
    path: str | Path, x: np.ndarray, curves: Mapping[str, np.ndarray], xlabel: str, ylabel: str, title: str = ""
) -> Path:
    """Plain lines over a common x: time series, free-energy profiles."""
    figure, axes = _single()
    for label, y in curves.items():
        axes.plot(x, y, lw=1.2, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    return _save(figure, path)


def _single() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    return figure, figure.subplots()


def _unit(label: str) -> str:
    return label[label.rfind("(") + 1 : label.rfind(")")] if "(" in label else ""


def _save(figure: Figure, path: str | Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(str(path), dpi=150)
    return Path(path)
