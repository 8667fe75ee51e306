"""Errors of reweighted averages: blocks of growing length, and bootstrap over blocks.

A free-energy difference is a function of weighted sums over correlated frames. To first order its deviation is a sum
over frames of influences psi_i, sum psi_i = 0; with the frames in n blocks,

    error^2 = n / (n - 1) sum_blocks (sum_(i in block) psi_i)^2

grows with the length of blocks until they are longer than the correlation time and then is flat [1]. The length is the
shortest that satisfies B^3 > 2 N (s / s_0)^4, with N frames, the error s, and s_0 of blocks of one frame [2]. Weights
fluctuate as the frames do, and count. Examples of psi, weights w with sum 1:

    mean of x:                      psi_i = w_i (x_i - mean)
    F_A - F_B = -kT ln (P_A / P_B): psi_i = -kT w_i (1_A(i) / P_A - 1_B(i) / P_B)

Bootstrap [3] draws blocks of that length with replacement and repeats the whole estimate; the error is the standard
deviation over the samples. What blocks cannot see: a bias that has not converged, states that were never visited.

    [1] H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480
    [2] R. M. Lee et al., Phys. Rev. E 83, 066706 (2011), doi:10.1103/PhysRevE.83.066706
    [3] B. Efron, Ann. Statist. 7, 1 (1979), doi:10.1214/aos/1176344552
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from rhopot.potentials.free_energy.grid import Grid
from rhopot.potentials.free_energy.reweighting import Frames, binned, smooth
from rhopot.potentials.units import Floats

FEWEST = 8  # blocks
SAMPLES = 200  # of the bootstrap


@dataclass(frozen=True)
class BlockErrors:
    """Error against the length of blocks.

    lengths: frames in a block; errors: of each length, in the unit of the quantity
    length: the one that is taken; error: of that length; converged: False where no length is long enough: the error is
        the largest then and likely too small
    """

    lengths: tuple[int, ...]
    errors: tuple[float, ...]
    length: int
    error: float
    converged: bool


def edges_of(count: int, length: int) -> np.ndarray:
    """First frames of blocks of about this length, of which none is shorter than it."""
    blocks = max(1, count // length)
    return np.linspace(0, count, blocks + 1).astype(np.int64)[:-1]


def block_errors(influences: Floats) -> BlockErrors:
    """Errors of the sum of influences (n,) in the order of time.

    Raises:
        ValueError: fewer than 16 frames.
    """
    count = len(influences)
    if count < 2 * FEWEST:
        raise ValueError(
            f"frames must be {2 * FEWEST} or more for errors, got {count}; run longer or record more often"
        )
    centered = influences - influences.mean()
    lengths, errors, length = [], [], 1
    while count // length >= FEWEST:
        sums = np.add.reduceat(centered, edges_of(count, length))
        lengths.append(length)
        errors.append(float(np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2))))
        length *= 2
    if errors[0] == 0.0:
        return BlockErrors(tuple(lengths), tuple(errors), 1, 0.0, True)
    for length, error in zip(lengths, errors, strict=True):
        if length**3 > 2.0 * count * (error / errors[0]) ** 4:
            return BlockErrors(tuple(lengths), tuple(errors), length, error, True)
    error = max(errors)
    return BlockErrors(tuple(lengths), tuple(errors), lengths[errors.index(error)], error, False)


def mean_error(values: Floats, weights: Floats | None = None) -> BlockErrors:
    """Error of the mean of values (n,) with weights (n,), by default equal ones."""
    weights = np.full(len(values), 1.0 / len(values)) if weights is None else weights / weights.sum()
    return block_errors(weights * (values - np.sum(weights * values)))


def difference_error(weights: Floats, in_a: np.ndarray, in_b: np.ndarray, thermal: float) -> BlockErrors:
    """Error (eV) of F_A - F_B; in_a, in_b: (n,), whether frames are in A and in B. ValueError where one is empty."""
    weights = weights / weights.sum()
    a, b = (float(weights[inside].sum()) for inside in (in_a, in_b))
    if a == 0.0 or b == 0.0:
        raise ValueError("both basins must hold frames for an error, got an empty one; run longer")
    return block_errors(-thermal * weights * (in_a / a - in_b / b))


def bootstrap(
    frames: Frames,
    grid: Grid,
    length: int,
    estimate: Callable[[Floats], Floats],
    *,
    bandwidth: Sequence[float] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Floats:
    """Standard deviations of estimate(densities) over samples of blocks of this length.

    estimate: takes densities (m, n_1, ...) of samples and returns numbers (m, ...); the error is NaN where more than a
        tenth of the samples gives no finite number
    """
    bins, weights = grid.bins(frames.values), frames.weights
    edges = edges_of(len(frames), length)
    block = np.searchsorted(edges, np.arange(len(frames)), side="right") - 1
    inside = bins >= 0
    shape = (len(edges), int(np.prod(grid.shape)))
    table = csr_array((weights[inside], (block[inside], bins[inside])), shape=shape)
    drawn = np.random.default_rng(seed).multinomial(len(edges), np.full(len(edges), 1.0 / len(edges)), size=samples)
    whole = binned(bins[inside], weights[inside], grid)
    reference = estimate(smooth(whole[None], grid, bandwidth))
    first, second, finite = (np.zeros(reference.shape[1:]) for _ in range(3))
    for part in np.array_split(drawn, max(1, samples * shape[1] // 4_000_000)):
        density = np.asarray((table.T @ part.T).T).reshape(len(part), *grid.shape)
        with np.errstate(invalid="ignore"):
            away = estimate(smooth(density, grid, bandwidth)) - reference
        usable = np.isfinite(away)
        away = np.where(usable, away, 0.0)
        first, second, finite = first + away.sum(0), second + (away**2).sum(0), finite + usable.sum(0)
    count = np.maximum(finite, 1)
    variance = np.maximum(second / count - (first / count) ** 2, 0.0)
    blocks = max(2, len(edges))
    return np.where(finite >= 0.9 * samples, np.sqrt(variance * blocks / (blocks - 1)), np.nan)
