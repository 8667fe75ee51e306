"""The free energy of a biased run: surface, basins, barriers, their errors and their convergence.

Values are those of the hills where there are hills of the variables asked for, else of the reweighted frames. Errors
are those of reweighted frames: of COLVAR where it is given, else of the centers of the hills. Blocks are as long as the
error of the differences of basins needs; errors of everything else are bootstrapped with blocks of that length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from rhopot.potentials.free_energy.basins import MOST_BASINS, Basins, find_basins, with_rest
from rhopot.potentials.free_energy.biased_frames import BiasedFrames, ColvarFile, weigh
from rhopot.potentials.free_energy.frame_errors import blocks_of, errors_of_nodes, with_errors
from rhopot.potentials.free_energy.grid import Grid, Surface, Variable, default_grid, make_grid, thermal_energy
from rhopot.potentials.free_energy.hills import Hills
from rhopot.potentials.free_energy.result import FreeEnergy, measured, measured_within
from rhopot.potentials.free_energy.reweighting import (
    Frames,
    frames_behind,
    frames_of_hills,
    grid_of_frames,
    reweighted_surface,
)
from rhopot.potentials.free_energy.surface import LAST, project, surfaces_in_time

DEPTH = 0.025  # eV, of the shallowest basin where no temperature is known; kT elsewhere
TIMES = 20  # at which convergence is looked at
FEWEST_HILLS = 10
FEWEST_FRAMES = 20  # effective ones, of a node that may be a minimum
RARE = 0.75  # kT, error of a node that few blocks have visited: one visit seen allows for 4.7 (95%), 2 x 0.75 kT below


@dataclass(frozen=True)
class AnalysisSettings:
    """How a run is analyzed.

    temperature: K; variables: of the free energy, by default those of the hills; grid: (lo, hi, n) of each variable
    weights, biases, skip: see `biased_frames.weigh`; bandwidth: of each variable, of a kernel density estimate
    depth: eV, of the shallowest basin; last: see `surface.surfaces_in_time`; errors: whether they are computed
    """

    temperature: float | None = None
    variables: tuple[str, ...] = ()
    grid: tuple[tuple[float, float, int], ...] = ()
    weights: str = "time"
    biases: tuple[str, ...] | None = None
    skip: float = 0.2
    bandwidth: tuple[float, ...] | None = None
    depth: float | None = None
    last: float | None = None
    errors: bool = True
    seed: int = 0


def analyze(hills: Hills | None, files: Sequence[ColvarFile], settings: AnalysisSettings) -> FreeEnergy:
    """Free energy of a biased run from its hills, the frames of its walkers, or both.

    Raises:
        ValueError: neither is given, the temperature is missing where it is needed, names are unknown, or the run is
            too short.
    """
    thermal = thermal_energy(settings.temperature) if settings.temperature is not None else None
    names = settings.variables or (tuple(each.name for each in hills.variables) if hills is not None else ())
    if not names:
        raise ValueError("variables must be given for frames without hills, got none; name them by --variable")
    own = tuple(each.name for each in hills.variables) if hills is not None else ()
    by_hills = set(names) <= set(own)
    for needed, why in (
        (bool(files), "weights of frames"),
        (by_hills and len(names) < len(own), "a free energy of fewer variables than the hills have"),
        (not by_hills, "reweighting"),
    ):
        if needed and thermal is None:
            raise ValueError(f"temperature must be given for {why}, got none; add --temperature")
    if settings.bandwidth is not None and len(settings.bandwidth) != len(names):
        raise ValueError(f"bandwidth must be given once for each of {', '.join(names)}, got {len(settings.bandwidth)}")
    if settings.bandwidth is not None and min(settings.bandwidth) <= 0.0:
        raise ValueError(f"bandwidth must be positive, got {min(settings.bandwidth):g}")
    if not by_hills and not files:
        raise ValueError(f"variable must be one of {', '.join(own)} without a COLVAR file, got {', '.join(names)}")
    weighted = _frames(hills, files, names, thermal, settings) if thermal is not None else None
    if hills is not None and by_hills:
        return _of_hills(hills, names, weighted, thermal, settings)
    assert weighted is not None
    assert thermal is not None
    return _of_frames(weighted, thermal, settings)


def of_surface(surface: Surface, settings: AnalysisSettings) -> FreeEnergy:
    """Basins and barriers of a free energy that a program has computed; without errors and convergence."""
    thermal = thermal_energy(settings.temperature) if settings.temperature is not None else None
    basins = find_basins(surface.grid, surface.energy, _depth(settings, thermal))
    values = measured(basins, surface.energy, thermal)
    return FreeEnergy(surface, basins, values, None, None, None, "", np.zeros(0), (), "as the file has it", "")


def _frames(
    hills: Hills | None, files: Sequence[ColvarFile], names: Sequence[str], thermal: float, settings: AnalysisSettings
) -> BiasedFrames | None:
    """Weighted frames of the variables; None where errors are not asked for and nothing else needs them."""
    whole = default_grid(hills.variables, hills.centers, hills.spacing) if hills is not None else None
    if files:
        return weigh(
            files,
            names,
            thermal,
            hills=hills,
            grid=whole,
            weights=settings.weights,
            biases=settings.biases,
            skip=settings.skip,
        )
    if hills is None or whole is None or not settings.errors:
        return None
    found = frames_of_hills(hills, whole, thermal, settings.weights if settings.weights == "final" else "time")
    first = hills.times[0] + settings.skip * (hills.times[-1] - hills.times[0])
    places = [[each.name for each in hills.variables].index(name) for name in names]
    kept = found.times >= first
    frames = Frames(
        tuple(hills.variables[k] for k in places),
        found.times[kept],
        found.values[kept][:, places],
        found.log_weights[kept],
    )
    which = "V(s, t_end)" if settings.weights == "final" else "V(s, t) - c(t)"
    return BiasedFrames(frames, f"centers of the hills with exp(V / kT), V: {which} of the hills")


def _depth(settings: AnalysisSettings, thermal: float | None) -> float:
    """Depth (eV) of the shallowest basin."""
    if settings.depth is not None:
        return settings.depth
    return DEPTH if thermal is None else thermal


def _asked(variables: Sequence[Variable], settings: AnalysisSettings) -> Grid:
    """The grid of the settings."""
    names = ", ".join(each.name for each in variables)
    if len(settings.grid) != len(variables):
        raise ValueError(f"grid must be given once for each of {names}, got {len(settings.grid)}")
    lows, highs, counts = zip(*settings.grid, strict=True)
    return make_grid(variables, lows, highs, counts)


def _of_hills(
    hills: Hills,
    names: Sequence[str],
    weighted: BiasedFrames | None,
    thermal: float | None,
    settings: AnalysisSettings,
) -> FreeEnergy:
    """Values of the hills, errors of the frames."""
    if len(hills) < FEWEST_HILLS:
        raise ValueError(f"hills must be {FEWEST_HILLS} or more for a free energy, got {len(hills)}; run longer")
    own = [each.name for each in hills.variables]
    places = [own.index(name) for name in names]
    whole = default_grid(hills.variables, hills.centers, hills.spacing)
    if settings.grid:
        asked = _asked([hills.variables[k] for k in places], settings)
        axes, wraps = list(whole.axes), list(whole.wraps)
        for at, k in enumerate(places):
            axes[k], wraps[k] = asked.axes[at], asked.wraps[at]
        whole = Grid(whole.variables, tuple(axes), tuple(wraps))
    finest = hills.sigmas.min(axis=0)
    coarse = [
        f"nodes of {each.name} are {step:.3g} apart, more than the smallest sigma {sigma:.3g} of the hills: the sum "
        "between them is not known; give a finer grid, or one over a part of the hills (--grid)"
        for each, step, sigma in zip(whole.variables, whole.spacing, finest, strict=True)
        if step > sigma
    ]
    count = min(TIMES, len(hills) // 2)
    times, surfaces = surfaces_in_time(hills, whole, [(k + 1) / count for k in range(count)], settings.last)
    if list(names) != own:
        surfaces = [project(each, names, float(thermal or 0.0)) for each in surfaces]
    surface = surfaces[-1]
    basins = find_basins(surface.grid, surface.energy, _depth(settings, thermal))
    last = settings.last if settings.last is not None else 0.0 if hills.tempered else LAST
    kind = f"well-tempered metadynamics with bias factor {hills.biasfactor:g}" if hills.tempered else "metadynamics"
    average = f", average over the last {100 * last:g}% of the run" if last else ""
    method = f"minus the sum of {len(hills)} hills of {kind}{average}"
    made = FreeEnergy(
        surface,
        basins,
        measured(basins, surface.energy, thermal),
        None,
        None,
        None,
        "",
        times,
        tuple(measured_within(basins, each.energy, thermal) for each in surfaces),
        method,
        "",
        (*hills.notes, *coarse),
    )
    if weighted is None or thermal is None:
        return made
    again = reweighted_surface(weighted.frames, surface.grid, thermal, settings.bandwidth)
    shift = logsumexp(-again.energy / thermal) - logsumexp(-surface.energy / thermal)
    made = replace(
        made,
        reweighted=measured(basins, again.energy, thermal),
        second=replace(again, energy=again.energy + thermal * float(shift)),
    )
    return with_errors(
        made, weighted, thermal, errors=settings.errors, bandwidth=settings.bandwidth, seed=settings.seed
    )


def _of_frames(weighted: BiasedFrames, thermal: float, settings: AnalysisSettings) -> FreeEnergy:
    """Values and errors of the frames."""
    frames = weighted.frames
    if settings.grid:
        grid = _asked(frames.variables, settings)
    else:
        grid = grid_of_frames(frames, settings.bandwidth, FEWEST_FRAMES)
    surface = reweighted_surface(frames, grid, thermal, settings.bandwidth)
    known = frames_behind(frames, grid, settings.bandwidth) >= FEWEST_FRAMES
    if not known.any():
        raise ValueError(
            f"effective frames must be {FEWEST_FRAMES} or more at some node, got fewer, {frames.effective:.0f} in all; "
            "run longer, or take wider bins by --grid or --bandwidth"
        )
    basins = _basins_of_frames(frames, surface, known, thermal, settings)
    first, last = float(frames.times.min()), float(frames.times.max())
    times, in_time = [], []
    for k in range(TIMES):
        time = first + (k + 1) / TIMES * (last - first)
        seen = frames.times <= time
        part = replace(
            frames, times=frames.times[seen], values=frames.values[seen], log_weights=frames.log_weights[seen]
        )
        if (grid.bins(part.values) >= 0).any():
            energy = reweighted_surface(part, grid, thermal, settings.bandwidth).energy
            times.append(time)
            in_time.append(measured(basins, energy, thermal))
    estimate = "histogram" if settings.bandwidth is None else "kernel density estimate"
    made = FreeEnergy(
        surface,
        basins,
        measured(basins, surface.energy, thermal),
        None,
        None,
        None,
        "",
        np.array(times),
        tuple(in_time),
        f"weighted {estimate} of {len(frames)} frames",
        "",
    )
    return with_errors(
        made, weighted, thermal, errors=settings.errors, bandwidth=settings.bandwidth, seed=settings.seed
    )


def _basins_of_frames(
    frames: Frames, surface: Surface, known: np.ndarray, thermal: float, settings: AnalysisSettings
) -> Basins:
    """Basins whose minima are at known nodes (n_1, ...) and whose depth is above two of its errors, where they are
    computed. All nodes with frames belong to one of them."""
    grid, energy, depth = surface.grid, surface.energy, _depth(settings, thermal)
    basins = with_rest(
        find_basins(grid, energy, depth, known=known, most=None if settings.errors else MOST_BASINS), energy
    )
    if not settings.errors:
        return basins
    length = blocks_of(frames, basins, thermal, pairs=False)[0].length
    error = errors_of_nodes(frames, grid, thermal, length, bandwidth=settings.bandwidth, seed=settings.seed)
    sure = np.isfinite(error)
    error = np.where(sure, error, RARE * thermal)
    return with_rest(
        find_basins(grid, energy, depth, known=known & (sure | ~(known & sure).any()), error=error), energy
    )
