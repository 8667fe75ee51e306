"""Free energies of any variable from the frames of a biased run.

Each frame has a weight, and F(a) = -kT ln sum_frames w delta(a - a_frame) by a weighted histogram or, smoothed with a
Gaussian kernel, a kernel density estimate. Walls belong to the system, as they do in the sum of hills, and are not
undone unless they are named; w contains exp(V_0 / kT) of other static biases V_0. Of a bias that depends on time:

    time    w = exp((V(s, t) - c(t)) / kT), the bias as it acted when the frame was taken [1]
    final   w = exp(V(s, t_end) / kT), as if the whole run had had the final bias [2]
    bias    w = exp(V / kT) with the columns of biases as they are: OPES [3], static biases

    c(t) = kT ln ( integral exp(g V(s,t) / ((g - 1) kT)) ds / integral exp(V(s,t) / ((g - 1) kT)) ds )  [1]

g: bias factor of well-tempered metadynamics; plain: g -> infinity, the second integral is the volume of the grid. All
of them need a bias that changes slowly: leave the beginning of the run out.

    [1] P. Tiwary, M. Parrinello, J. Phys. Chem. B 119, 736 (2015), doi:10.1021/jp504920s
    [2] D. Branduardi, G. Bussi, M. Parrinello, J. Chem. Theory Comput. 8, 2247 (2012), doi:10.1021/ct3002464
    [3] M. Invernizzi, M. Parrinello, J. Phys. Chem. Lett. 11, 2731 (2020), doi:10.1021/acs.jpclett.0c00497
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates, uniform_filter1d
from scipy.special import logsumexp

from rhopot.potentials.free_energy.grid import Grid, Surface, Variable, default_grid, from_zero
from rhopot.potentials.free_energy.hills import Hills, sum_at_points, sum_on_grid
from rhopot.potentials.units import Floats

WEIGHTS = ("time", "final", "bias")
EDGE = 12  # nodes around a grid of splines: the error of their ends falls by a factor 4 a node
FEWEST_BINS, WIDER, HALF = 5, 1.3, 0.5  # of a histogram: bins of a variable, a step of their width, part of the weight
NEAR = 1.5  # bandwidths from a node
MOST_TIMES = 1000  # at which c(t) is computed; linear in the number of hills between
MOST_TERMS = 100_000_000  # frames times hills that are evaluated; more frames are thinned out


@dataclass(frozen=True)
class Frames:
    """Frames of a biased run in the order of time; of several walkers, one walker after the other.

    times: (n,); values: (n, variables); log_weights: (n,), logarithms up to a constant
    """

    variables: tuple[Variable, ...]
    times: Floats
    values: Floats
    log_weights: Floats

    def __len__(self) -> int:
        return len(self.times)

    @property
    def weights(self) -> Floats:
        """Weights (n,), whose sum is one."""
        return np.asarray(np.exp(self.log_weights - logsumexp(self.log_weights)), dtype=np.float64)

    @property
    def effective(self) -> float:
        """Kish's effective number of frames, (sum w)^2 / sum w^2."""
        return float(1.0 / np.sum(self.weights**2))


def tiwary_parrinello(hills: Hills, grid: Grid, thermal: float, most: int = MOST_TIMES) -> tuple[np.ndarray, Floats]:
    """Numbers of hills n and c (eV) of the bias that the first n make; linear between where hills are more than `most`.

    thermal: kT in eV
    """
    counts = np.unique(np.round(np.linspace(0, len(hills), min(len(hills), most) + 1)).astype(int))
    bias, values = np.zeros(grid.shape), [0.0]
    for before, count in itertools.pairwise(counts):
        part = hills.part(slice(before, count))
        bias = bias + sum_on_grid(part, grid, part.weights)
        above = logsumexp(bias / (thermal * (1.0 - 1.0 / hills.biasfactor)))
        below = logsumexp(bias / (thermal * (hills.biasfactor - 1.0)))
        values.append(float(thermal * (above - below)))
    return counts, np.array(values)


def weights_in_time(
    hills: Hills,
    offsets: tuple[np.ndarray, Floats],
    thermal: float,
    times: Floats,
    points: Floats,
    bias: Floats | None = None,
) -> Floats:
    """(V(s, t) - c(t)) / kT of frames (n,) at times (n,) and points (n, variables of the hills).

    A hill acts on frames later than its own time. offsets: numbers of hills and c, of `tiwary_parrinello`; bias: V of
    each frame in eV as the run wrote it, else the hills'
    """
    before = np.searchsorted(hills.times, times, side="left")
    if bias is None:
        bias = sum_at_points(hills, points, hills.weights, before)
    return np.asarray((bias - np.interp(before, *offsets)) / thermal, dtype=np.float64)


def weights_of_final(hills: Hills, thermal: float, points: Floats) -> Floats:
    """V(s, t_end) / kT of frames at points (n, variables of the hills)."""
    return bias_at(hills, points) / thermal


def bias_at(hills: Hills, points: Floats) -> Floats:
    """V(s, t_end) (eV) at points (n, variables): cubic splines on a fine grid where that is cheaper than the sum."""
    grid = default_grid(hills.variables, hills.centers, hills.spacing)
    coarse = any(step > 1.5 * fine for step, fine in zip(grid.spacing, hills.spacing, strict=True))
    if coarse or len(points) < grid.shape[0] ** len(grid.shape):
        return sum_at_points(hills, points, hills.weights)
    wider, places, inside = [], [], np.ones(len(points), dtype=bool)
    for k, (variable, axis, step) in enumerate(zip(grid.variables, grid.axes, grid.spacing, strict=True)):
        position = (variable.wrap(points[:, k]) - axis[0]) / step
        if not grid.wraps[k]:
            inside &= (position >= 0.0) & (position <= len(axis) - 1)
        wider.append(axis[0] + step * np.arange(-EDGE, len(axis) + EDGE))
        places.append(position + EDGE)
    nodes = sum_on_grid(hills, Grid(grid.variables, tuple(wider), (False,) * len(wider)), hills.weights)
    bias = map_coordinates(nodes, places, order=3, mode="nearest")
    bias[~inside] = sum_at_points(hills, points[~inside], hills.weights)
    return np.asarray(bias, dtype=np.float64)


def frames_of_hills(hills: Hills, grid: Grid, thermal: float, weights: str = "time") -> Frames:
    """The centers of the hills as frames: where the run was when it added each. Thinned where there are very many."""
    every = max(1, -(-(len(hills) ** 2) // MOST_TERMS))
    chosen = np.arange(len(hills)) if hills.walkers is None else np.argsort(hills.walkers, kind="stable")
    chosen = chosen[::every]
    points = hills.centers[chosen]
    if weights == "final":
        logs = weights_of_final(hills, thermal, points)
    else:
        bias = sum_at_points(hills, points, hills.weights, chosen)
        counts, c = tiwary_parrinello(hills, grid, thermal)
        logs = (bias - np.interp(chosen, counts, c)) / thermal
    return Frames(hills.variables, hills.times[chosen], points, logs)


def spacing_of_bins(frames: Frames, bandwidth: Sequence[float] | None = None) -> Floats:
    """Width (variables,) of bins: a third of a kernel's standard deviation, or s n^(-1 / (2 + d)) of a histogram.

    s: weighted standard deviation, n: effective number of frames, d: number of variables. That is about a third of the
    width that is best for a normal distribution (D. W. Scott, Biometrika 66, 605 (1979), doi:10.1093/biomet/66.3.605):
    free energies have several narrow wells.
    """
    if bandwidth is not None:
        return np.asarray(bandwidth, dtype=np.float64) / 3.0
    weights = frames.weights
    deviation = np.sqrt(weights @ (frames.values - weights @ frames.values) ** 2)
    return np.asarray(deviation * frames.effective ** (-1.0 / (2 + frames.values.shape[1])), dtype=np.float64)


def grid_of_frames(frames: Frames, bandwidth: Sequence[float] | None, enough: float) -> Grid:
    """The default grid of a histogram or kernel density estimate.

    Bins of a histogram are widened until those with `enough` effective frames hold half of the weight, or until there
    are 5 of each variable.
    """
    spacing = spacing_of_bins(frames, bandwidth)
    grid = default_grid(frames.variables, frames.values, spacing)
    while bandwidth is None and max(grid.shape) > FEWEST_BINS:
        known = frames_behind(frames, grid).ravel() >= enough
        if frames.weights[known[grid.bins(frames.values)]].sum() >= HALF:
            break
        spacing = WIDER * np.maximum(spacing, grid.spacing)
        grid = default_grid(frames.variables, frames.values, spacing, FEWEST_BINS)
    return grid


def smooth(density: Floats, grid: Grid, bandwidth: Sequence[float] | None) -> Floats:
    """Densities (..., n_1, ...) of bins convolved with Gaussians of these standard deviations; open ends mirror."""
    if bandwidth is None:
        return density
    first = density.ndim - len(grid.shape)
    for k, (width, step, wraps) in enumerate(zip(bandwidth, grid.spacing, grid.wraps, strict=True)):
        mode = "wrap" if wraps else "reflect"
        density = gaussian_filter1d(density, width / step, axis=first + k, mode=mode, truncate=4.0)
    return density


def reweighted_surface(frames: Frames, grid: Grid, thermal: float, bandwidth: Sequence[float] | None = None) -> Surface:
    """Free energy (eV) of the frames' variables; frames outside of the grid do not count.

    bandwidth: of each variable, the standard deviation of the kernel; by default a histogram with bins around the nodes

    Raises:
        ValueError: no frame lies on the grid.
    """
    bins = grid.bins(frames.values)
    inside = bins >= 0
    if not inside.any():
        raise ValueError("frames must lie on the grid, got none there; widen the grid")
    weights = np.exp(frames.log_weights[inside] - frames.log_weights[inside].max())
    density = binned(bins[inside], weights, grid)
    return Surface(grid, energy_of(smooth(density, grid, bandwidth), thermal))


def binned(bins: np.ndarray, weights: Floats, grid: Grid) -> Floats:
    """Sums of weights (n,) at the nodes (n_1, ...) with flat indices `bins` (n,)."""
    sums = np.bincount(bins, weights, minlength=int(np.prod(grid.shape)))
    return np.asarray(sums, dtype=np.float64).reshape(grid.shape)


def frames_behind(frames: Frames, grid: Grid, bandwidth: Sequence[float] | None = None) -> Floats:
    """Effective number of frames (n_1, ...), (sum w)^2 / sum w^2, in each node's bin or within 1.5 bandwidths of it."""
    bins = grid.bins(frames.values)
    inside, weights = bins >= 0, frames.weights
    first, second = (binned(bins[inside], weights[inside] ** power, grid) for power in (1, 2))
    if bandwidth is not None:
        for k, (width, step, wraps) in enumerate(zip(bandwidth, grid.spacing, grid.wraps, strict=True)):
            size = 2 * round(NEAR * width / step) + 1
            mode = "wrap" if wraps else "constant"
            first, second = (size * uniform_filter1d(sums, size, axis=k, mode=mode) for sums in (first, second))
    empty = second <= 1e-14 * second.max()
    return np.divide(first**2, second, out=np.zeros(grid.shape), where=~empty)


def energy_of(density: Floats, thermal: float) -> Floats:
    """-kT ln of a density, minimum zero, infinite where it is zero."""
    with np.errstate(divide="ignore"):
        return from_zero(-thermal * np.log(density))
