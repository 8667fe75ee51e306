"""Pictures of free energies: along a variable with its error band, in a plane, and how they converged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from rhopot.potentials.free_energy.grid import Surface
from rhopot.potentials.free_energy.result import FreeEnergy
from rhopot.potentials.plots import ACCENT, FAINT, INK, PALETTE, save_figure, single_figure

MOST_LEVELS = 20  # higher places stay white
FEWEST_LEVELS = 6
MOST_CURVES = 4  # of basins and of barriers, as many as there are colors
NEAR_EDGE = 0.9  # part of an axis from which on a number stands before its place
SHORTEST = 5  # nodes of a stretch of a line with a band


def draw_surface(
    path: Path, found: FreeEnergy, unit: tuple[str, float], thermal: float | None, title: str = ""
) -> Path | None:
    """One variable: a line, that of reweighted frames with a band of one standard deviation; two: contours.

    Contours stand every kT where kT is known.

    unit: name and size in eV of the unit of energy; thermal: kT in eV. Surfaces of three variables are not drawn: None
    """
    count = len(found.surface.grid.variables)
    if count == 3:
        return None
    figure, axes = single_figure()
    figure.set_layout_engine("constrained", w_pad=0.1)
    name, size = unit
    if count == 1:
        _line(axes, found, size)
        axes.set_ylabel(f"free energy ({name})")
    else:
        _contours(figure, axes, found, unit, thermal)
    return save_figure(figure, path, title)


def _line(axes: Axes, found: FreeEnergy, size: float) -> None:
    surface, of_frames = found.surface, found.of_frames
    x = _closed_axis(surface)
    energy = _closed(surface, surface.energy) / size
    name = "sum of hills" if found.second is not None else "free energy"
    axes.plot(x, np.where(np.isfinite(energy), energy, np.nan), lw=1.4, color=INK, label=name)
    if of_frames is not None:
        values = _closed(surface, of_frames.energy) / size
        half = np.zeros(len(x)) if of_frames.error is None else _closed(surface, of_frames.error) / size
        runs = _runs(np.isfinite(values) & np.isfinite(half))
        for k, run in enumerate(runs):
            first = k == 0
            if found.second is not None:
                axes.plot(x[run], values[run], lw=0.7, color=ACCENT, label="reweighted frames" if first else None)
            if of_frames.error is not None:
                low, high = values[run] - half[run], values[run] + half[run]
                label = "one standard deviation" if first else None
                axes.fill_between(x[run], low, high, color=ACCENT, alpha=0.25, lw=0, label=label)
        if runs:
            axes.legend(frameon=False, fontsize=8, loc="best")
    flat = surface.energy.ravel() / size
    for k, node in enumerate(found.basins.minima):
        place = (found.basins.place(node)[0], float(flat[node]))
        axes.plot(*place, "o", ms=5, color=INK)
        axes.annotate(
            f"{k + 1}",
            place,
            (0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            color=INK,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    for each in found.basins.passes:
        axes.plot(found.basins.place(each.node)[0], each.energy / size, "x", ms=6, color=INK)
    axes.set_xlabel(surface.grid.variables[0].label)
    axes.margins(x=0.02, y=0.12)
    _ticks_of_pi(axes.xaxis, surface, 0)


def _ticks_of_pi(axis: Axis, surface: Surface, k: int) -> None:
    """Ticks at multiples of pi / 2 where variable k is an angle in radian and its whole period is shown."""
    limits = surface.grid.variables[k].limits
    if limits is None or not surface.grid.wraps[k] or not math.isclose(limits[1] - limits[0], 2.0 * math.pi):
        return
    halves = range(math.ceil(2.0 * limits[0] / math.pi - 1e-6), math.floor(2.0 * limits[1] / math.pi + 1e-6) + 1)
    names = {0: "0", 1: "π/2", 2: "π", 3: "3π/2", 4: "2π"}
    axis.set_ticks(
        [0.5 * math.pi * half for half in halves],
        [("−" if half < 0 else "") + names.get(abs(half), f"{abs(half)}π/2") for half in halves],
    )


def _runs(usable: np.ndarray) -> list[slice]:
    """Stretches of at least five neighboring nodes of which all are usable."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], usable.astype(int), [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= SHORTEST]


def _closed_axis(surface: Surface) -> np.ndarray:
    """Nodes of one variable; of a whole period, with the first node's image at the end."""
    axis = surface.grid.axes[0]
    return np.append(axis, axis[-1] + surface.grid.spacing[0]) if surface.grid.wraps[0] else axis


def _closed(surface: Surface, values: np.ndarray) -> np.ndarray:
    """Values at those nodes."""
    return np.append(values, values[0]) if surface.grid.wraps[0] else values


def _contours(figure: Figure, axes: Axes, found: FreeEnergy, unit: tuple[str, float], thermal: float | None) -> None:
    surface, (name, size) = found.surface, unit
    finite = np.isfinite(surface.energy)
    top = float(surface.energy[finite].max())
    step = thermal if thermal is not None else top / 12.0
    levels = step * np.arange(1 + np.clip(np.ceil(top / step), FEWEST_LEVELS, MOST_LEVELS)) / size
    x, y = surface.grid.axes
    masked = np.ma.masked_where(~finite, surface.energy / size)
    drawn = axes.contourf(x, y, masked.T, levels=levels, cmap="viridis")
    axes.contour(x, y, masked.T, levels=levels, colors="white", linewidths=0.3)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label(f"free energy ({name}), contours every {'$k_B T$' if thermal is not None else f'{step / size:.3g}'}")
    for k, node in enumerate(found.basins.minima):
        axes.plot(*found.basins.place(node), "o", ms=4, color="white", mec=INK, mew=0.5, clip_on=False)
        _number_within(axes, f"{k + 1}", found.basins.place(node), surface)
    for each in found.basins.passes:
        axes.plot(*found.basins.place(each.node), "x", ms=6, color="white")
    _ticks_of_pi(axes.xaxis, surface, 0)
    _ticks_of_pi(axes.yaxis, surface, 1)
    axes.set(xlabel=surface.grid.variables[0].label, ylabel=surface.grid.variables[1].label)


def _number_within(axes: Axes, text: str, place: tuple[float, ...], surface: Surface) -> None:
    """A number beside a place, on the side that lies within the picture."""
    sides = [
        (value - axis[0]) / (axis[-1] - axis[0]) > NEAR_EDGE
        for value, axis in zip(place, surface.grid.axes, strict=True)
    ]
    axes.annotate(
        text,
        (place[0], place[1]),
        (-5.0 if sides[0] else 5.0, -5.0 if sides[1] else 5.0),
        textcoords="offset points",
        ha="right" if sides[0] else "left",
        va="top" if sides[1] else "bottom",
        color="white",
        path_effects=[withStroke(linewidth=2, foreground=INK)],
    )


def draw_convergence(path: Path, found: FreeEnergy, unit: tuple[str, float], time: str, title: str = "") -> Path | None:
    """Differences of basins and barriers against time, and the error against the length of blocks; None without either.

    time: label of the axis
    """
    name, size = unit
    curves = _curves(found, size)
    panels = int(bool(curves)) + int(found.blocks is not None)
    if panels == 0:
        return None
    figure = Figure(figsize=(5.0 * panels, 3.8), layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.1)
    every = iter(np.atleast_1d(figure.subplots(1, panels)))
    if curves:
        axes = next(every)
        for (label, values), color in zip(curves.items(), PALETTE, strict=False):
            style = "o-" if label.startswith("basin") else "s--"
            axes.plot(found.times, values, style, ms=3, lw=1.2, color=color, label=label)
        axes.set(xlabel=time, ylabel=f"free energy ({name})")
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    if found.blocks is not None:
        axes = next(every)
        of_mean = found.block_quantity.startswith("mean")
        errors = np.array(found.blocks.errors) / (1.0 if of_mean else size)
        axes.semilogx(found.blocks.lengths, errors, "o-", ms=4, lw=1.2, color=INK)
        axes.set_title(found.block_quantity, fontsize=10)
        axes.axvline(found.blocks.length, color=FAINT, lw=1.0, ls=":")
        axes.set(xlabel="frames in a block", ylabel="error" if of_mean else f"error ({name})")
        axes.set_ylim(bottom=0.0)
    return save_figure(figure, path, title)


def _curves(found: FreeEnergy, size: float) -> Mapping[str, np.ndarray]:
    """Numbers at the times of convergence by name, NaN where they are not finite: first basins and lowest barriers."""
    curves = {}
    for k in range(1, min(len(found.basins), MOST_CURVES + 1)):
        values = [each.differences[k] for each in found.in_time if each.differences is not None]
        curves[f"basin {k + 1} above 1"] = np.array(values, dtype=np.float64)
    for k, one in enumerate(found.basins.passes[:MOST_CURVES]):
        heights = [each.barriers[k, 0] for each in found.in_time]
        curves[f"barrier {one.first + 1} to {one.second + 1}"] = np.array(heights, dtype=np.float64)
    return {
        label: np.where(np.isfinite(values), values, np.nan) / size for label, values in curves.items() if len(values)
    }
