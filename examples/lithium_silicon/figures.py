"""The figures of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from structures import RELAXATION, TITLES

from rhopot.potentials.units import MEV_PER_EV

SHOWN = ("full", "forces", "SOAP/GAP")  # of the models, where they are there
COLORS = ("C0", "C1", "C2", "C3", "C4")


def selection(curves: Sequence[Mapping[str, np.ndarray]], title: str, path: Path) -> None:
    """Errors against the number of columns: training, validation and every part, mean and deviation over folds."""
    figure = Figure(figsize=(5.6, 4.0), layout="constrained")
    axes = figure.subplots()
    names = [
        "training",
        "validation",
        RELAXATION,
        *[part for part in TITLES if part in curves[0] and part != RELAXATION],
    ]
    for color, name in zip(("C3", "C2", "C0", "C1", "C4", "C5"), names, strict=False):
        length = min(len(each[name]) for each in curves)
        logs = np.log([np.maximum(each[name][:length], 1e-6) * MEV_PER_EV for each in curves])
        mean, deviation = logs.mean(axis=0), logs.std(axis=0)
        columns = np.arange(1, length + 1)
        label = {RELAXATION: "unseen paths"}.get(name, TITLES.get(name, name).lower())
        axes.plot(columns, np.exp(mean), color=color, lw=1.4, label=label)
        axes.fill_between(columns, np.exp(mean - deviation), np.exp(mean + deviation), color=color, alpha=0.15, lw=0)
    axes.set(xscale="log", yscale="log", xlabel="columns M in a member", ylabel="energy RMSE (meV/atom)", title=title)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def energy_volume(curves: Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]], path: Path) -> None:
    """Energies against volume from the lowest DFT point, one panel per path."""
    figure = Figure(figsize=(3.4 * len(curves), 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(curves)))
    for axes, (name, (volumes, found)) in zip(panels, curves.items(), strict=True):
        zero = found["DFT"].min()
        axes.plot(volumes, found["DFT"][0] - zero, "ko", ms=4, label="DFT")
        for color, model in zip(COLORS, [m for m in SHOWN if m in found], strict=False):
            mean, deviation = found[model].mean(axis=0) - zero, found[model].std(axis=0)
            axes.errorbar(volumes, mean, deviation, color=color, lw=1.2, capsize=2, label=model)
        axes.set(xlabel="volume (A$^3$/atom)", title=name)
        axes.set_ylim(-0.1, float((found["DFT"][0] - zero).max()) * 1.4 + 0.05)
    panels[0].set_ylabel("energy (eV/atom)")
    panels[0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def migration(profiles: Mapping[str, Mapping[str, np.ndarray]], path: Path) -> None:
    """Energies along the lithium migration paths from their first image, one panel per path."""
    figure = Figure(figsize=(3.4 * len(profiles), 3.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(profiles)))
    for axes, (name, found) in zip(panels, profiles.items(), strict=True):
        images = np.arange(found["DFT"].shape[1])
        axes.plot(images, found["DFT"][0], "ko-", ms=4, lw=1, label="DFT")
        for color, model in zip(COLORS, [m for m in SHOWN if m in found], strict=False):
            mean, deviation = found[model].mean(axis=0), found[model].std(axis=0)
            axes.errorbar(images, mean, deviation, color=color, lw=1.2, capsize=2, label=model)
        axes.set(xlabel="image", title=name)
    panels[0].set_ylabel("energy from the first image (eV)")
    panels[0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
