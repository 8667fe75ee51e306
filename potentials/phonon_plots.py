"""Pictures of phonons: bands with the density of states beside them, and functions of temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rhopot.potentials.plots import ACCENT, FAINT, INK, SECOND

COLORS = (INK, ACCENT)
Lines = Sequence[tuple[np.ndarray, np.ndarray]]


def phonon_bands(
    path: str | Path,
    bands: Mapping[str, Lines],
    ticks: Sequence[tuple[float, str]],
    density: Mapping[str, tuple[np.ndarray, np.ndarray]],
    errors: Sequence[tuple[float, float, float]] = (),
    title: str = "",
) -> Path:
    """Frequencies in THz along a path, and their density of states.

    bands: name -> pieces without a jump, each x (n,) and frequencies (n, branches)
    ticks: x and label of special points
    density: name -> frequencies (m,), states per THz and atom (m,); errors: (x, frequency, standard deviation)
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.5, 1))
    for k, (name, pieces) in enumerate(bands.items()):
        style = {"color": COLORS[k % 2], "lw": 1.2, "ls": "-" if k == 0 else "--"}
        for x, frequencies in pieces:
            left.plot(x, frequencies, **style)
        at, states = density[name]
        right.plot(states, at, label=name, **style)
    for tick, _ in ticks:
        left.axvline(tick, color=FAINT, lw=0.6)
    for axes in (left, right):
        axes.axhline(0.0, color=FAINT, lw=0.8, ls=":")
    if errors:
        where, mean, half = np.array(errors).T
        left.errorbar(where, mean, half, fmt=".", ms=3, capsize=2, lw=1, color=SECOND, label="ensemble members")
        left.legend(frameon=False, fontsize=8)
    labels = [label.replace("GAMMA", "Γ") for _, label in ticks]
    left.set_xticks([tick for tick, _ in ticks], labels)
    left.set(ylabel="frequency (THz)", xlim=(ticks[0][0], ticks[-1][0]))
    right.set(xlabel="states\n(1/THz/atom)", xlim=(0.0, None))
    if len(bands) > 1:
        right.legend(frameon=False, fontsize=8)
    return _save(figure, path, title)


def of_temperature(
    path: str | Path,
    temperatures: np.ndarray,
    panels: Mapping[str, tuple[Mapping[str, np.ndarray], np.ndarray | None]],
    title: str = "",
) -> Path:
    """Functions of temperature (K), one panel each.

    panels: label with unit -> curves by name, and the standard deviation of the first one or None
    """
    columns = 3 if len(panels) % 3 == 0 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.8 * columns, 2.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for axes, (label, (curves, deviation)) in zip(grid.flat, panels.items(), strict=False):
        for k, (name, y) in enumerate(curves.items()):
            axes.plot(temperatures, y, color=COLORS[k % 2], ls="-" if k == 0 else "--", lw=1.2, label=name)
        if deviation is not None:
            first = next(iter(curves.values()))
            axes.fill_between(temperatures, first - deviation, first + deviation, color=SECOND, alpha=0.2, lw=0)
        axes.set_ylabel(label)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("temperature (K)")
    if len(next(iter(panels.values()))[0]) > 1:
        grid[0, 0].legend(frameon=False, fontsize=8)
    return _save(figure, path, title)


def _save(figure: Figure, path: str | Path, title: str) -> Path:
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    FigureCanvasAgg(figure)
    figure.savefig(str(path), dpi=150)
    return Path(path)
