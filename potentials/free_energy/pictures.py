"""Pictures of free energies: along a variable with its error band, in a plane, and how they converged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rhopot.potentials.free_energy.grid import Surface
from rhopot.potentials.free_energy.result import FreeEnergy
from rhopot.potentials.plots import ACCENT, FAINT, INK, PALETTE, save_figure, single_figure

MOST_LEVELS = 20  # higher places stay white
FEWEST_LEVELS = 6
SHORTEST = 3  # nodes of a stretch of a line with a band


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
    axes.plot(
        x,
        np.where(np.isfinite(energy), energy, np.nan),
        lw=1.4,
        color=INK,
        label="sum of hills" if found.second else "free energy",
    )
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
        axes.plot(*place, "o", ms=5, color=ACCENT)
        axes.annotate(f"{k + 1}", place, (0, -11), textcoords="offset points", ha="center", fontsize=9, color=ACCENT)
    for each in found.basins.passes:
        axes.plot(found.basins.place(each.node)[0], each.energy / size, "x", ms=6, color=ACCENT)
    axes.set_xlabel(surface.grid.variables[0].label)
    axes.margins(x=0.02, y=0.12)


def _runs(usable: np.ndarray) -> list[slice]:
    """Stretches of at least three neighboring nodes of which all are usable."""
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
    bar.set_label(f"free energy ({name}), a line every {step / size:.3g}")
    for k, node in enumerate(found.basins.minima):
        at_x, at_y = found.basins.place(node)
        axes.plot(at_x, at_y, "o", ms=4, color="white")
        axes.annotate(f"{k + 1}", (at_x, at_y), (5, 5), textcoords="offset points", color="white")
    for each in found.basins.passes:
        axes.plot(*found.basins.place(each.node), "x", ms=6, color="white")
    axes.set(xlabel=surface.grid.variables[0].label, ylabel=surface.grid.variables[1].label)


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
    every = iter(np.atleast_1d(figure.subplots(1, panels)))
    if curves:
        axes = next(every)
        for k, (label, values) in enumerate(curves.items()):
            axes.plot(found.times, values, "o-", ms=3, lw=1.2, color=PALETTE[k % len(PALETTE)], label=label)
        axes.set(xlabel=time, ylabel=f"free energy ({name})")
        axes.legend(frameon=False, fontsize=8)
    if found.blocks is not None:
        axes = next(every)
        of_mean = found.block_quantity.startswith("mean")
        errors = np.array(found.blocks.errors) / (1.0 if of_mean else size)
        axes.semilogx(found.blocks.lengths, errors, "o-", ms=4, lw=1.2, color=INK)
        axes.axvline(found.blocks.length, color=FAINT, lw=1.0, ls=":")
        axes.set(xlabel="frames in a block", ylabel=f"error of {found.block_quantity}{'' if of_mean else f' ({name})'}")
        axes.set_ylim(bottom=0.0)
    return save_figure(figure, path, title)


def _curves(found: FreeEnergy, size: float) -> Mapping[str, np.ndarray]:
    """Numbers at the times of convergence by name, NaN where they are not finite."""
    curves = {}
    for k in range(1, len(found.basins)):
        values = [each.differences[k] for each in found.in_time if each.differences is not None]
        curves[f"basin {k + 1} above 1"] = np.array(values, dtype=np.float64)
    for k, one in enumerate(found.basins.passes):
        heights = [each.barriers[k, 0] for each in found.in_time]
        curves[f"barrier {one.first + 1} to {one.second + 1}"] = np.array(heights, dtype=np.float64)
    return {
        label: np.where(np.isfinite(values), values, np.nan) / size for label, values in curves.items() if len(values)
    }
