"""Pictures of collective variables: how two sets of structures are distributed along them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rhopot.potentials.plots import ACCENT, SECOND, save_figure

Floats = NDArray[np.float64]
BINS = 40


def separation(
    path: str | Path, panels: Mapping[str, tuple[Floats, Floats]], labels: tuple[str, str], title: str = ""
) -> Path:
    """Draw histograms of the values of two sets of structures and their means, a panel for each variable.

    panels: name -> values (n,) and (m,) of both sets; labels: names of the sets.
    """
    if not panels:
        raise ValueError("panels must hold at least one variable, got none; fit one first")
    figure = Figure(figsize=(4.6 * len(panels), 3.4), layout="constrained")
    grid = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (name, values) in zip(grid, panels.items(), strict=True):
        both = np.concatenate(values)
        pad = 0.05 * float(np.ptp(both)) or 0.5
        edges = np.linspace(both.min() - pad, both.max() + pad, BINS + 1)
        for of_set, label, color in zip(values, labels, (SECOND, ACCENT), strict=True):
            weights, name_of_set = np.full(len(of_set), 1.0 / len(of_set)), f"{label} ({len(of_set)})"
            axes.hist(of_set, bins=edges, weights=weights, color=color, alpha=0.6, label=name_of_set)
            axes.axvline(float(np.mean(of_set)), color=color, lw=1.2, ls="--", label=f"mean of {label}")
        axes.set(xlabel=name, ylabel="share of the structures")
        axes.legend(fontsize=8, frameon=False)
    return save_figure(figure, path, title)
