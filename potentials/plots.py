"""Pictures of results: parity, learning curves, errors along a selection, matrices, energies, time series, profiles.

Every function draws into a PNG file and returns its path. Figures are made without pyplot, so that no display and no
global state are needed. Labels carry their unit in round brackets.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, ScalarFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox
from scipy.interpolate import PchipInterpolator

INK, ACCENT, SECOND, FAINT = "#1f2933", "#c2410c", "#1d4ed8", "#9aa5b1"
PALETTE = (ACCENT, SECOND, INK, FAINT, "#15803d", "#a21caf", "#b45309", "#0e7490")
STYLES = ("-", "--", ":", "-.")
MANY_POINTS = 300  # beyond this number, points of a scatter plot are drawn small and transparent


def formats() -> frozenset[str]:
    """Endings of file names, without the dot, that a picture can be saved under."""
    return frozenset(FigureCanvasAgg(Figure()).get_supported_filetypes())


def parity(path: str | Path, panels: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "") -> Path:
    """Predicted against reference values, one panel per entry.

    panels: label with unit -> (reference, predicted), arrays of equal size. MAE, RMSE and the number of values
    stand in each panel.
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
        size, alpha = (4, 0.35) if x.size > MANY_POINTS else (20, 0.7)
        axes.scatter(x, y, s=size, color=ACCENT, alpha=alpha, linewidths=0, rasterized=True)
        axes.set(xlabel=f"reference {label}", ylabel=f"predicted {label}", aspect="equal")
        axes.locator_params(nbins=6)
        error, unit = y - x, _unit(label)
        text = f"MAE {np.mean(np.abs(error)):.3g} {unit}\nRMSE {np.sqrt(np.mean(error**2)):.3g} {unit}\n{x.size} values"
        axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=9, color=INK)
    return save_figure(figure, path, title)


def learning_curve(
    path: str | Path, sizes: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str, title: str = ""
) -> Path:
    """Errors against the amount of training data, logarithmic; each curve (label with unit) in a panel of its own."""
    if not curves:
        raise ValueError("curves must hold at least one quantity, got none; give labelled validation data")
    figure = Figure(figsize=(4.2 * len(curves), 3.6), layout="constrained")
    for axes, (label, values) in zip(np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True):
        axes.loglog(sizes, values, marker="o", ms=5, lw=1.2, color=ACCENT)
        axes.set(xlabel=xlabel, ylabel=label)
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(sizes))))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0.5 * min(values), 2.0 * max(values))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        _plain_decades(axes)
    return save_figure(figure, path, title)


def epochs(
    path: str | Path,
    numbers: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    title: str = "",
    xlabel: str = "epoch",
) -> Path:
    """Losses and errors over the epochs of a training or the steps of an optimizer, logarithmic.

    panels: label with unit -> curves by name.

    Values that are not positive numbers are left out, and panels that hold no other.
    """
    kept = {
        label: {name: np.where(np.asarray(y) > 0, y, np.nan) for name, y in curves.items() if np.any(np.asarray(y) > 0)}
        for label, curves in panels.items()
    }
    kept = {label: curves for label, curves in kept.items() if curves}
    if not kept:
        raise ValueError("panels must hold at least one positive number, got none; log a loss after each epoch")
    figure = Figure(figsize=(4.2 * len(kept), 3.6), layout="constrained")
    x = np.asarray(numbers)
    for axes, (label, curves) in zip(np.atleast_1d(figure.subplots(1, len(kept))), kept.items(), strict=True):
        _draw(axes, x, curves, label)
        axes.set(xlabel=xlabel, yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _plain_decades(axes)
    return save_figure(figure, path, title)


def bands(
    path: str | Path,
    x: Sequence[float],
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    ylabel: str,
    mark: float | None = None,
    title: str = "",
) -> Path:
    """Means with their deviations over a common x, both axes logarithmic: name -> (mean, deviation).

    mark: an x to be seen as a dotted line.
    """
    figure, axes = single_figure()
    for color, (name, (mean, deviation)) in zip((INK, ACCENT, SECOND), curves.items(), strict=False):
        y, half = np.asarray(mean), np.asarray(deviation)
        axes.loglog(x, y, color=color, lw=1.4, label=name)
        axes.fill_between(x, np.maximum(y - half, 0.5 * y), y + half, color=color, alpha=0.15, lw=0)
    if mark is not None:
        axes.axvline(mark, color=FAINT, lw=0.8, ls=":")
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    _plain_decades(axes)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def energy_path(
    path: str | Path,
    distances: np.ndarray,
    energies: np.ndarray,
    fit: tuple[np.ndarray, np.ndarray] | None = None,
    title: str = "",
    xlabel: str = "distance along the path (Å)",
) -> Path:
    """Energies (eV, from the first image) of the images of a band along it.

    fit: an interpolation; without one, a monotone spline through the images guides the eye.
    """
    figure, axes = single_figure()
    if fit is None:
        dense = np.linspace(distances[0], distances[-1], 200)
        fit = dense, PchipInterpolator(distances, energies)(dense)
    axes.plot(*fit, color=FAINT, lw=1.2)
    axes.plot(distances, energies, "o", color=ACCENT, ms=5)
    axes.axhline(0.0, color=FAINT, lw=0.6, ls=":")
    axes.set(xlabel=xlabel, ylabel="energy from the first image (eV)", title=title)
    return save_figure(figure, path)


def lines(
    path: str | Path, x: np.ndarray, curves: Mapping[str, np.ndarray], xlabel: str, ylabel: str, title: str = ""
) -> Path:
    """Plain lines over a common x, such as a free-energy profile."""
    figure, axes = single_figure()
    _draw(axes, x, curves, ylabel)
    axes.set(xlabel=xlabel, title=title)
    return save_figure(figure, path)


def curves(
    path: str | Path,
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    ylabel: str,
    title: str = "",
) -> Path:
    """Curves with an x of their own each, both axes logarithmic: name -> (x, y); what is not positive is left out."""
    if not points:
        raise ValueError("points must hold at least one curve, got none; give two sizes or more")
    figure, axes = single_figure()
    for k, (name, (x, y)) in enumerate(points.items()):
        color = (ACCENT, SECOND, INK, FAINT)[k % 4]
        shown = np.where(np.asarray(y) > 0, y, np.nan)
        axes.loglog(x, shown, "-" if k < 4 else "--", marker="o", ms=4, lw=1.2, color=color, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    _plain_decades(axes)
    if len(points) > 4:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    else:
        axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path, title)


def pareto_front(
    path: str | Path,
    costs: Sequence[float],
    panels: Mapping[str, Sequence[float]],
    front: Sequence[int],
    chosen: int | None = None,
    budget: float | None = None,
    title: str = "",
) -> Path:
    """Errors (label with unit -> values) against costs (us per atom and step), logarithmic; each in a panel of its own.

    front: points of the front, joined in the first panel, whose error it is made of; chosen: the one with a ring
    budget: highest cost, a dotted line
    """
    if not panels:
        raise ValueError("panels must hold at least one error, got none; give labelled data")
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    x = np.asarray(costs)
    every = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (label, values) in zip(every, panels.items(), strict=True):
        y, line = np.asarray(values), "-" if axes is every[0] else ""
        axes.loglog(x, y, "o", ms=4, color=FAINT, label="trials")
        axes.loglog(x[list(front)], y[list(front)], f"{line}o", ms=4, lw=1.2, color=ACCENT, label="Pareto front")
        if chosen is not None:
            ring = {"ms": 10, "mfc": "none", "mew": 1.4, "color": SECOND, "label": "chosen"}
            axes.loglog(x[chosen], y[chosen], "o", **ring)
        if budget is not None:
            axes.axvline(budget, color=INK, lw=0.8, ls=":", label="budget")
        ends = [*x, *([] if budget is None else [budget])]
        axes.set(xlabel="cost (µs per atom and step)", ylabel=label, xlim=(0.7 * min(ends), 1.4 * max(ends)))
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        _plain_decades(axes)
    every[0].legend(frameon=False, fontsize=8)
    return save_figure(figure, path, title)


def named_front(
    path: str | Path,
    points: Mapping[str, tuple[float, float]],
    front: Sequence[int],
    xlabel: str,
    ylabel: str,
    title: str = "",
) -> Path:
    """Named points (x, y), both axes logarithmic, and the front that some of them make, as a line.

    points: name -> (x, y), the name is written beside the point; front: positions of the points on it, in order of x
    """
    if not points:
        raise ValueError("points must hold at least one point, got none; give a potential")
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    x, y = (np.array(column, dtype=float) for column in zip(*points.values(), strict=True))
    on, off = list(front), [k for k in range(len(points)) if k not in set(front)]
    axes.loglog(x[off], y[off], "o", ms=5, color=INK)
    axes.loglog(x[on], y[on], "-o", ms=5, lw=1.2, color=ACCENT, label="Pareto front")
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0.6 * x.min(), 2.2 * x.max()), ylim=(0.7 * y.min(), 1.3 * y.max()))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    _plain_decades(axes)
    axes.legend(frameon=False, fontsize=9)
    _name_points(figure, axes, list(points), x, y, on)
    return save_figure(figure, path, title)


def matrix(path: str | Path, values: Sequence[Sequence[float]], names: Sequence[str], title: str = "") -> Path:
    """Square matrix of numbers between 0 and about 1 as a heat map, each number in its field; names of the rows."""
    numbers = np.asarray(values, dtype=float)
    side = 1.4 + 0.62 * len(names)
    longest = max((len(name) for name in names), default=0)
    figure = Figure(figsize=(side + 0.08 * longest, side), layout="compressed")
    axes = figure.subplots()
    axes.imshow(numbers, cmap="Oranges", vmin=0.0, vmax=1.0)
    labels = [f"{k + 1}" for k in range(len(names))]
    axes.set_xticks(range(len(names)), labels)
    axes.set_yticks(range(len(names)), [f"{name}  {k}" for k, name in zip(labels, names, strict=True)], fontsize=9)
    for (row, column), number in np.ndenumerate(numbers):
        ink = "white" if number > 0.6 else INK
        axes.text(column, row, f"{number:.2g}", ha="center", va="center", fontsize=8, color=ink)
    return save_figure(figure, path, title)


def time_series(
    path: str | Path, time: np.ndarray, panels: Mapping[str, Mapping[str, np.ndarray]], title: str = ""
) -> Path:
    """Panels above each other over a common time (ps): label with unit -> curves by name."""
    figure = Figure(figsize=(5.6, 1.0 + 1.9 * len(panels)), layout="constrained")
    rows = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True))
    for axes, (label, curves) in zip(rows, panels.items(), strict=True):
        _draw(axes, time, curves, label)
    rows[-1].set_xlabel("time (ps)")
    figure.align_ylabels()
    return save_figure(figure, path, title)


def fitted_displacements(
    path: str | Path, series: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray, Any]], title: str
) -> Path:
    """Mean squared displacements (Å²) over times (ps), broad where a line was fitted.

    series: (element, run) -> (times, values, fit); an element has a style of line, a run, from the first to the last, a
    color. fit: an object with `coefficient` (cm²/s), `intercept` (Å²), `first` and `last` (ps)
    """
    figure, axes = single_figure()
    styles = dict(zip(dict.fromkeys(element for element, _ in series), itertools.cycle(STYLES), strict=False))
    runs = list(dict.fromkeys(run for _, run in series))
    colors = dict(zip(runs, colormaps["plasma"](np.linspace(0.0, 0.85, len(runs))), strict=True))
    for (element, run), (time, values, fit) in series.items():
        style, color, shown = styles[element], colors[run], time <= 2.0 * fit.last
        axes.plot(time[shown], values[shown], lw=1.2, ls=style, color=color, label=f"{element}, {run}")
        ends = np.array([fit.first, fit.last])
        axes.plot(ends, fit.intercept + 6e4 * fit.coefficient * ends, lw=4.0, color=color, alpha=0.3)
    axes.set(xlabel="time (ps)", ylabel="mean squared displacement (Å²)")
    if len(series) > 6:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    else:
        axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path, title)


def arrhenius(path: str | Path, points: Mapping[str, tuple[Any, Any, Any, Any]], title: str) -> Path:
    """Diffusion coefficients (cm²/s) over 1000/T, logarithmic: name -> (temperatures, values, errors, line(T))."""
    figure, axes = single_figure()
    for k, (name, (kelvins, values, errors, line)) in enumerate(points.items()):
        color, t = (ACCENT, SECOND, INK, FAINT)[k % 4], np.asarray(kelvins)
        axes.errorbar(1000.0 / t, values, yerr=errors, fmt="o", ms=5, capsize=3, color=color, label=name)
        dense = np.linspace(1000.0 / t.max(), 1000.0 / t.min(), 50)
        axes.plot(dense, line(1000.0 / dense), lw=1.2, color=color)
    axes.set(xlabel="1000 / temperature (1/K)", ylabel="diffusion coefficient (cm²/s)", yscale="log")
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path, title)


def _draw(axes: Axes, x: np.ndarray, curves: Mapping[str, np.ndarray], label: str) -> None:
    for k, (name, y) in enumerate(curves.items()):
        known = np.isfinite(y)
        color, style = (ACCENT, SECOND, INK, FAINT)[k % 4], STYLES[k // 4 % 4]
        axes.plot(x[known], np.asarray(y)[known], style, lw=1.2, color=color, label=name)
    axes.set_ylabel(label)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)


def _name_points(
    figure: Figure, axes: Axes, names: Sequence[str], x: np.ndarray, y: np.ndarray, front: Sequence[int]
) -> None:
    """Write each name where it meets no other name, no point and, if possible, not the line through `front`."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    pixels = axes.transData.transform(np.column_stack([x, y]))
    line = pixels[list(front)]
    steps = np.linspace(0.0, 1.0, 50)[:, None, None]
    along = (line[:-1] + steps * (line[1:] - line[:-1])).reshape(-1, 2)
    marks = [Bbox.from_bounds(px - 6, py - 6, 12, 12) for px, py in pixels]
    taken: list[Bbox] = []
    for k in np.argsort(x, kind="stable"):
        places: list[tuple[int, int, Annotation, Bbox]] = []
        for dx, dy in ((8, 0), (0, 9), (0, -9), (-8, 0), (7, 7), (7, -7), (-7, 7), (-7, -7), (0, 20), (0, -20)):
            sides = ("left", "center", "right")[1 - np.sign(dx)], ("bottom", "center", "top")[1 - np.sign(dy)]
            label = axes.annotate(
                names[k], (x[k], y[k]), (dx, dy), textcoords="offset points", fontsize=8, color=INK,
                ha=sides[0], va=sides[1],
            )  # fmt: skip
            box = label.get_window_extent()
            others = [mark for j, mark in enumerate(marks) if j != k]
            cost = 100 * sum(box.overlaps(other) for other in taken + others)
            cost += 300 * (not (axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1))
            cost += 300 * (not (axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1))
            cost += int(box.count_contains(along))
            places.append((cost, len(places), label, box))
        best = min(places, key=lambda place: place[:2])
        for place in places:
            if place is not best:
                place[2].remove()
        taken.append(best[3])


def _plain_decades(axes: Axes) -> None:
    """Label a logarithmic y axis in plain numbers, with room for two of them at least."""
    low, high = axes.get_ylim()
    widened = max(1.0, (2.0 * low / high) ** 0.5)
    axes.set_ylim(low / widened, high * widened)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.grid(color=FAINT, alpha=0.3, lw=0.6)


def single_figure() -> tuple[Figure, Axes]:
    """Make a figure with one panel."""
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    return figure, figure.subplots()


def _unit(label: str) -> str:
    return label[label.rfind("(") + 1 : label.rfind(")")] if "(" in label else ""


def save_figure(figure: Figure, path: str | Path, title: str = "") -> Path:
    """Write a figure into a PNG file and return its path."""
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    FigureCanvasAgg(figure)
    figure.savefig(str(path), dpi=150)
    return Path(path)
