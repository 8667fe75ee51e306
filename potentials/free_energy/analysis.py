"""The free energy of a biased run: surface, basins, barriers, their errors and their convergence.

Values are those of the hills where there are hills of the variables asked for, else of the reweighted frames. Errors
are those of reweighted frames: of COLVAR where it is given, else of the centers of the hills. Blocks are as long as the
error of the differences of basins needs; errors of everything else are bootstrapped with blocks of that length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import logsumexp

from rhopot.potentials.free_energy.basins import Basins, barriers, barriers_within, differences, find_basins, with_rest
from rhopot.potentials.free_energy.biased_frames import BiasedFrames, ColvarFile, weigh
from rhopot.potentials.free_energy.block_errors import BlockErrors, bootstrap, difference_error, mean_error
from rhopot.potentials.free_energy.grid import Grid, Surface, Variable, default_grid, make_grid, thermal_energy
from rhopot.potentials.free_energy.hills import Hills
from rhopot.potentials.free_energy.reweighting import (
    Frames,
    frames_behind,
    frames_of_hills,
    reweighted_surface,
    spacing_of_bins,
)
from rhopot.potentials.free_energy.surface import LAST, project, surfaces_in_time
from rhopot.potentials.units import Floats

DEPTH = 0.025  # eV, of the shallowest basin where no temperature is known; kT elsewhere
TIMES = 20  # at which convergence is looked at
FEWEST_HILLS = 10
FEWEST_FRAMES = 20  # effective ones, of a node that belongs to a basin


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


@dataclass(frozen=True)
class Measured:
    """Numbers of the basins, eV: differences (basins,) from the lowest, barriers (passes, 2) there and back."""

    differences: Floats | None
    barriers: Floats


@dataclass(frozen=True)
class FreeEnergy:
    """A free energy and what follows from it; energies in eV.

    values: by the method that made the surface; reweighted: by weighted frames, where the surface is that of hills
    errors: standard deviations by bootstrap; blocks: error against the length of blocks, of `block_quantity`
    times: of convergence (t,); in_time: the numbers at each
    method, frames: how values and errors were made, in words
    """

    surface: Surface
    basins: Basins
    values: Measured
    reweighted: Measured | None
    errors: Measured | None
    blocks: BlockErrors | None
    block_quantity: str
    times: Floats
    in_time: tuple[Measured, ...]
    method: str
    frames: str
    notes: tuple[str, ...] = field(default=())


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
    values = Measured(
        differences(basins, surface.energy, thermal) if thermal else None, barriers(basins, surface.energy)
    )
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
        _measured(basins, surface.energy, thermal),
        None,
        None,
        None,
        "",
        times,
        tuple(_within(basins, each.energy, thermal) for each in surfaces),
        method,
        "",
        hills.notes,
    )
    if weighted is None or thermal is None:
        return made
    again = reweighted_surface(weighted.frames, surface.grid, thermal, settings.bandwidth)
    made = replace(made, reweighted=_measured(basins, again.energy, thermal))
    return _with_errors(made, weighted, thermal, settings)


def _of_frames(weighted: BiasedFrames, thermal: float, settings: AnalysisSettings) -> FreeEnergy:
    """Values and errors of the frames."""
    frames = weighted.frames
    if settings.grid:
        grid = _asked(frames.variables, settings)
    else:
        grid = default_grid(frames.variables, frames.values, spacing_of_bins(frames, settings.bandwidth))
    surface = reweighted_surface(frames, grid, thermal, settings.bandwidth)
    known = frames_behind(frames, grid, settings.bandwidth) >= FEWEST_FRAMES
    if not known.any():
        raise ValueError(
            f"frames must be {FEWEST_FRAMES} or more at some node, got fewer; run longer, or take wider bins by "
            "--grid or --bandwidth"
        )
    sure = find_basins(grid, np.where(known, surface.energy, np.inf), _depth(settings, thermal))
    basins = with_rest(sure, surface.energy)
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
            in_time.append(_measured(basins, energy, thermal))
    estimate = "histogram" if settings.bandwidth is None else "kernel density estimate"
    made = FreeEnergy(
        surface,
        basins,
        _measured(basins, surface.energy, thermal),
        None,
        None,
        None,
        "",
        np.array(times),
        tuple(in_time),
        f"weighted {estimate} of {len(frames)} frames",
        "",
    )
    return _with_errors(made, weighted, thermal, settings)


def _measured(basins: Basins, energy: Floats, thermal: float | None) -> Measured:
    return Measured(differences(basins, energy, thermal) if thermal else None, barriers(basins, energy))


def _within(basins: Basins, energy: Floats, thermal: float | None) -> Measured:
    """The same of an earlier surface, with the minima and passes that it had."""
    return Measured(differences(basins, energy, thermal) if thermal else None, barriers_within(basins, energy))


def _with_errors(made: FreeEnergy, weighted: BiasedFrames, thermal: float, settings: AnalysisSettings) -> FreeEnergy:
    """The result with errors by blocks, where they are asked for."""
    frames, basins, grid = weighted.frames, made.basins, made.surface.grid
    notes = [*made.notes, *weighted.notes]
    outside = int((grid.bins(frames.values) < 0).sum())
    if outside:
        notes.append(f"{outside} of {len(frames)} frames lie outside of the grid and do not count")
    text = f"{len(frames)} frames, {frames.effective:.0f} effective, weights {weighted.weights}"
    made = replace(made, frames=text, notes=tuple(dict.fromkeys(notes)))
    if not settings.errors:
        return made
    blocks, quantity = _blocks(frames, basins, thermal)
    n_nodes = basins.labels.size

    def estimate(densities: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            energy = -thermal * np.log(densities)
        flat = energy.reshape(len(energy), -1)
        normal = flat + thermal * logsumexp(-flat / thermal, axis=1, keepdims=True)
        parts = [normal, differences(basins, energy, thermal), barriers(basins, energy).reshape(len(energy), -1)]
        return np.concatenate(parts, axis=1)

    found = bootstrap(frames, grid, blocks.length, estimate, bandwidth=settings.bandwidth, seed=settings.seed)
    of_nodes, of_basins, of_passes = np.split(found, [n_nodes, n_nodes + len(basins)])
    if not blocks.converged:
        notes.append("the error still grows with the length of blocks: the run is short, errors are likely too small")
    return replace(
        made,
        surface=replace(made.surface, error=of_nodes.reshape(grid.shape)),
        errors=Measured(of_basins, of_passes.reshape(-1, 2)),
        blocks=blocks,
        block_quantity=quantity,
        notes=tuple(dict.fromkeys(notes)),
    )


def _blocks(frames: Frames, basins: Basins, thermal: float) -> tuple[BlockErrors, str]:
    """Error against the length of blocks, of the difference that needs the longest, and of what it is the error."""
    bins = basins.grid.bins(frames.values)
    labels = np.where(bins >= 0, basins.labels.ravel()[bins], -1)
    weights = frames.weights
    found = [
        (difference_error(weights, labels == k, labels == 0, thermal), f"free energy of basin {k + 1}")
        for k in range(1, len(basins))
        if (labels == k).any() and (labels == 0).any()
    ]
    if found:
        return max(found, key=lambda each: (each[0].length, each[0].error))
    variable = frames.variables[0]
    away = variable.difference(frames.values[:, 0], basins.grid.nodes[[basins.minima[0]], 0])
    return mean_error(away, weights), f"mean of {variable.label}"
