"""Pictures of properties: energies and moduli against volume, elastic constants, phonons, errors along runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rhopot.potentials.plots import ACCENT, FAINT, INK, PALETTE, SECOND, save_figure, single_figure

COLORS = (INK, ACCENT)
MOST_RUNS = 8
Lines = Sequence[tuple[np.ndarray, np.ndarray]]


def energy_volume(
    path: str | Path, volumes: np.ndarray, energies: np.ndarray, parabola: Sequence[float], title: str = ""
) -> Path:
    """Energy per atom (eV) against volume per atom (Å³), with the fitted parabola (numpy.polyfit coefficients)."""
    figure, axes = single_figure()
    dense = np.linspace(volumes.min(), volumes.max(), 200)
    curve = np.polyval(np.asarray(parabola), dense)
    lowest = float(curve.min())
    axes.plot(dense, 1000 * (curve - lowest), color=FAINT, lw=1.2, label="parabola")
    axes.plot(volumes, 1000 * (energies - lowest), "o", color=ACCENT, ms=4, label="strained cells")
    axes.set(xlabel="volume (Å³/atom)", ylabel="energy above the minimum (meV/atom)", title=title)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def volume_curves(path: str | Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "") -> Path:
    """Energies (eV/atom) above the lowest of each curve against the volume (Å³/atom): by name, (volumes, energies)."""
    figure, axes = single_figure()
    for k, (name, (volumes, energies)) in enumerate(curves.items()):
        axes.plot(volumes, 1000 * energies, "o-", ms=3, lw=1.2, color=PALETTE[k % len(PALETTE)], label=name)
    axes.set(xlabel="volume (Å³/atom)", ylabel="energy above the minimum (meV/atom)", title=title)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def equations_of_state(
    path: str | Path,
    energies: Mapping[str, tuple[np.ndarray, np.ndarray]],
    moduli: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str = "",
) -> Path:
    """Energies (eV/atom) and bulk moduli (GPa) against the volume (Å³/atom): by phase, (volumes, values)."""
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    lowest = min(float(values.min()) for _, values in energies.values())
    for k, name in enumerate(energies):
        color = PALETTE[k % len(PALETTE)]
        volumes, values = energies[name]
        left.plot(volumes, values - lowest, "o-", ms=3, lw=1.2, color=color, label=name)
        right.plot(*moduli[name], "o-", ms=3, lw=1.2, color=color, label=name)
    left.set(xlabel="volume (Å³/atom)", ylabel="energy above the lowest (eV/atom)")
    right.set(xlabel="volume (Å³/atom)", ylabel="bulk modulus -V dP/dV (GPa)")
    left.legend(frameon=False, fontsize=9)
    return save_figure(figure, path, title)


def against_size(path: str | Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = "") -> Path:
    """Formation energies (eV) of defects against the inverse number of sites: name -> (1/N, energies)."""
    figure, axes = single_figure()
    for k, (name, (inverse, energies)) in enumerate(curves.items()):
        axes.plot(inverse, energies, "o-", ms=4, lw=1.2, color=PALETTE[k % len(PALETTE)], label=name)
    axes.set(xlabel="1 / sites of the supercell", ylabel="formation energy (eV)", title=title)
    axes.set_xlim(left=0.0)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def bars(
    path: str | Path,
    labels: Sequence[str],
    values: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]],
    ylabel: str,
    title: str = "",
) -> Path:
    """Groups of bars, one for each label, with error bars: name -> values, errors in the order of the labels."""
    figure, axes = single_figure()
    width = 0.8 / len(values)
    for k, (name, heights) in enumerate(values.items()):
        x = np.arange(len(labels)) + (k - 0.5 * (len(values) - 1)) * width
        axes.bar(x, heights, width, yerr=errors[name], capsize=2, color=PALETTE[k % len(PALETTE)], label=name)
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylabel=ylabel, title=title)
    if len(values) > 1:
        axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


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
    return save_figure(figure, path, title)


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
    return save_figure(figure, path, title)


def errors_along_runs(
    path: str | Path,
    runs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    chosen: Mapping[str, tuple[np.ndarray, np.ndarray]],
    threshold: float | None = None,
    title: str = "",
) -> Path:
    """Largest predicted force errors (eV/Å) of the frames of runs, one panel for each of at most `MOST_RUNS`.

    All panels have one range of errors.
    runs: name -> (numbers of frames, errors); chosen: the same of those that are marked; threshold: a dotted line
    """
    shown = dict(sorted(runs.items(), key=lambda item: -len(chosen.get(item[0], ((),))[0]))[:MOST_RUNS])
    shown = {name: values for name, values in runs.items() if name in shown}
    figure = Figure(figsize=(6.0, 1.0 + 1.9 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, sharey=True)[:, 0]
    for axes, (name, (frames, errors)) in zip(panels, shown.items(), strict=True):
        finite = np.isfinite(errors) & (errors > 0.0)
        style = ".-" if len(frames) < 100 else "-"
        axes.semilogy(frames[finite], errors[finite], style, color=FAINT, lw=1.0, ms=3)
        if name in chosen:
            axes.semilogy(*chosen[name], "o", color=ACCENT, ms=4, label="chosen")
        if threshold is not None:
            axes.axhline(threshold, color=INK, lw=0.8, ls=":")
        axes.set_title(name, fontsize=8, color=INK, loc="left")
        axes.set(xlabel="frame" if name == list(shown)[-1] else "")
    figure.supylabel("largest predicted force error (eV/Å)", fontsize=9)
    return save_figure(figure, path, title)


def with_error(mean: float, error: float) -> str:
    """A number and its error in plain decimals, to two digits of the error: `1628 ± 14`, `82.75 ± 0.56`."""
    decimals = max(0, 1 - int(np.floor(np.log10(error)))) if error > 0.0 else 2
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def coexistence(
    path: str | Path,
    times: np.ndarray,
    temperatures: np.ndarray,
    slabs: np.ndarray,
    averaged: tuple[float, float, float],
    title: str = "",
) -> Path:
    """Temperature (K) over time (ps), and the solid fraction of slabs along z (times, slabs).

    averaged: time at which the average begins, the average, and its standard error.
    """
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    first, mean, error = averaged
    above.plot(times, temperatures, color=FAINT, lw=0.8)
    above.plot([first, times[-1]], [mean, mean], color=ACCENT, lw=1.6, label=f"{with_error(mean, error)} K")
    above.set_ylabel("temperature (K)")
    above.legend(frameon=False, fontsize=9)
    edges = np.concatenate([times, [2.0 * times[-1] - times[-2]]]), np.linspace(0.0, 1.0, slabs.shape[1] + 1)
    mesh = below.pcolormesh(*edges, slabs.T, vmin=0.0, vmax=1.0, cmap="cividis")
    below.set(xlabel="time (ps)", ylabel="z / cell")
    figure.colorbar(mesh, ax=below, label="solid fraction")
    return save_figure(figure, path, title)
