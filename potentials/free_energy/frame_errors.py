"""Errors of a free energy and of its basins and barriers from weighted frames, by blocks and bootstrap.

Blocks are as long as the difference of basins needs that decorrelates last, of all pairs of basins.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from rhopot.potentials.free_energy.basins import MOST_BASINS, Basins, barriers, differences
from rhopot.potentials.free_energy.biased_frames import BiasedFrames
from rhopot.potentials.free_energy.block_errors import BlockErrors, bootstrap, difference_error, mean_error
from rhopot.potentials.free_energy.grid import Grid
from rhopot.potentials.free_energy.result import FreeEnergy, Measured
from rhopot.potentials.free_energy.reweighting import Frames
from rhopot.potentials.units import Floats

APART = 3.0  # errors between two estimates of one number


def with_errors(
    made: FreeEnergy,
    weighted: BiasedFrames,
    thermal: float,
    *,
    errors: bool,
    bandwidth: Sequence[float] | None = None,
    seed: int = 0,
) -> FreeEnergy:
    """The result with the description of its frames, notes and, where they are asked for, errors. thermal: kT in eV"""
    frames, basins, grid = weighted.frames, made.basins, made.surface.grid
    notes = [*made.notes, *weighted.notes]
    outside = int((grid.bins(frames.values) < 0).sum())
    if outside:
        notes.append(f"{outside} of {len(frames)} frames lie outside of the grid and do not count")
    text = f"{len(frames)} frames, {frames.effective:.0f} effective, weights {weighted.weights}"
    made = replace(made, frames=text, notes=tuple(dict.fromkeys(notes)))
    if not errors:
        return made
    blocks, quantity = blocks_of(frames, basins, thermal)
    n_nodes = basins.labels.size

    def estimate(densities: Floats) -> Floats:
        energy = _energies(densities, thermal)
        parts = [_normalized(energy, thermal), differences(basins, energy, thermal)]
        return np.concatenate([*parts, barriers(basins, energy).reshape(len(energy), -1)], axis=1)

    found = bootstrap(frames, grid, blocks.length, estimate, bandwidth=bandwidth, seed=seed)
    of_nodes, of_basins, of_passes = np.split(found, [n_nodes, n_nodes + len(basins)])
    if not blocks.converged:
        notes.append("the error still grows with the length of blocks: the run is short, errors are likely too small")
    deviations = Measured(of_basins, of_passes.reshape(-1, 2))
    made = _where_sampled(made, deviations)
    notes += _disagreement(made, deviations)
    node_errors = of_nodes.reshape(grid.shape)
    if made.second is None:
        made = replace(made, surface=replace(made.surface, error=node_errors))
    else:
        made = replace(made, second=replace(made.second, error=node_errors))
    return replace(
        made,
        errors=deviations,
        blocks=blocks,
        block_quantity=quantity,
        notes=tuple(dict.fromkeys(notes)),
    )


def _where_sampled(made: FreeEnergy, errors: Measured) -> FreeEnergy:
    """The result without numbers of frames that have no error: too few frames were there."""

    def kept(numbers: Measured) -> Measured:
        parts = [
            None if values is None or deviations is None else np.where(np.isfinite(deviations), values, np.nan)
            for values, deviations in (
                (numbers.differences, errors.differences),
                (numbers.barriers, errors.barriers),
            )
        ]
        return Measured(parts[0], np.zeros((0, 2)) if parts[1] is None else parts[1])

    if made.reweighted is None:
        return replace(made, values=kept(made.values))
    return replace(made, reweighted=kept(made.reweighted))


def _disagreement(made: FreeEnergy, errors: Measured) -> list[str]:
    """A note where the hills and the reweighted frames differ by more than three errors."""
    if made.reweighted is None:
        return []
    far = []
    values, again = made.values.differences, made.reweighted.differences
    if values is not None and again is not None and errors.differences is not None:
        apart = np.abs(values - again) > APART * errors.differences
        far += [f"basin {k + 1}" for k in np.flatnonzero(apart) if k > 0]
    higher = (np.abs(made.values.barriers - made.reweighted.barriers) > APART * errors.barriers).any(axis=1)
    far += [
        f"barrier {made.basins.passes[k].first + 1} to {made.basins.passes[k].second + 1}"
        for k in np.flatnonzero(higher)
    ]
    if not far:
        return []
    return [
        f"the sum of hills and the reweighted frames differ by more than {APART:g} errors ({', '.join(far)}): the run "
        "has not converged"
    ]


def errors_of_nodes(
    frames: Frames,
    grid: Grid,
    thermal: float,
    length: int,
    *,
    bandwidth: Sequence[float] | None = None,
    seed: int = 0,
) -> Floats:
    """Standard deviations (n_1, ...) of -kT ln of the normalized density in eV; NaN where few blocks were."""

    def estimate(densities: Floats) -> Floats:
        return _normalized(_energies(densities, thermal), thermal)

    return bootstrap(frames, grid, length, estimate, bandwidth=bandwidth, seed=seed).reshape(grid.shape)


def _energies(densities: Floats, thermal: float) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(-thermal * np.log(densities), dtype=np.float64)


def _normalized(energy: Floats, thermal: float) -> Floats:
    """Energies (m, nodes) whose densities have the sum one."""
    flat = energy.reshape(len(energy), -1)
    return np.asarray(flat + thermal * logsumexp(-flat / thermal, axis=1, keepdims=True), dtype=np.float64)


def blocks_of(frames: Frames, basins: Basins, thermal: float, *, pairs: bool = True) -> tuple[BlockErrors, str]:
    """Error against the length of blocks of the difference of basins that is the worst, and which that is.

    The worst: one that has not converged, else the one that needs the longest blocks. Of one basin: of the mean of the
    first variable. pairs: all pairs of basins, else each with the first
    """
    bins = basins.grid.bins(frames.values)
    labels = np.where(bins >= 0, basins.labels.ravel()[bins], -1)
    weights = frames.weights
    visited = [k for k in range(min(len(basins), MOST_BASINS)) if weights[labels == k].sum() > 0.0]
    found = [
        (difference_error(weights, labels == b, labels == a, thermal), f"free energy of basin {b + 1} above {a + 1}")
        for a, b in itertools.combinations(visited, 2)
        if pairs or a == visited[0]
    ]
    if found:
        return max(found, key=lambda each: (not each[0].converged, each[0].length, each[0].error))
    variable = frames.variables[0]
    away = variable.difference(frames.values[:, 0], basins.grid.nodes[[basins.minima[0]], 0])
    return mean_error(away, weights), f"mean of {variable.label}"
