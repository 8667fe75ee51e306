"""Pictures of functions around an atom: learned filters of distance and angle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rhopot.potentials.plots import FAINT, INK, save_figure

Floats = NDArray[np.float64]


def filters(
    path: str | Path, rows: Mapping[str, Floats], distances: Floats, cosines: Floats, numbers: Mapping[str, list[int]]
) -> Path:
    """Functions of distance and angle as colored disks, a row of panels for each entry.

    The atom is in the middle of a disk, the neighbor that angles are measured from just above, and the color at a place
    is the value there, red above 0 and blue below; a disk is symmetric to its vertical axis. Every panel has its own
    scale.

    rows: name -> functions (n, R, C) at distances (R), in A, and cosines (C) from -1 to 1; numbers: name -> number that
    stands above each panel.
    """
    if not rows or not all(len(values) for values in rows.values()):
        raise ValueError("rows must hold at least one function each, got none; name a layer that has filters")
    columns = max(len(values) for values in rows.values())
    figure = Figure(figsize=(1.0 + 1.15 * columns, 0.5 + 1.35 * len(rows)), layout="constrained")
    grid = np.reshape(figure.subplots(len(rows), columns), (len(rows), columns))
    angle = np.arccos(np.clip(cosines, -1.0, 1.0))
    around = np.concatenate([-angle, angle[::-1]])
    x, y = distances[:, None] * np.sin(around), distances[:, None] * np.cos(around)
    for of_row, (name, values) in zip(grid, rows.items(), strict=True):
        for axes in of_row:
            axes.set_axis_off()
        for axes, value, number in zip(of_row, values, numbers[name], strict=False):
            both = np.concatenate([value, value[:, ::-1]], axis=1)
            most = float(np.abs(value).max()) or 1.0
            axes.pcolormesh(x, y, both, cmap="RdBu_r", vmin=-most, vmax=most, shading="gouraud", rasterized=True)
            axes.plot([0.0], [0.0], marker="o", ms=2, color=INK)
            axes.plot(distances[-1] * np.sin(around), distances[-1] * np.cos(around), color=FAINT, lw=0.6)
            axes.set_aspect("equal")
            axes.set_title(f"{number}", fontsize=7, color=INK, pad=2)
        of_row[0].text(
            -0.12, 0.5, name, transform=of_row[0].transAxes, rotation=90, ha="right", va="center", fontsize=9, color=INK
        )
    return save_figure(figure, path, f"filters up to {distances[-1]:g} Å around an atom, a neighbor above it")
