"""Errors of time averages: blocking of correlated data.

    H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480

Neighboring values are averaged in pairs again and again; the standard error of the blocks' mean, sqrt(var / (n - 1)),
grows until blocks are longer than the correlation time and then stays. The level is chosen by B^3 > 2 N (s/s_0)^4, with
the length B of a block, N values, and the errors s of the level and s_0 of single values (R. M. Lee et al., Phys. Rev.
E 83, 066706 (2011), doi:10.1103/PhysRevE.83.066706).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rhopot.potentials.units import Floats

FEWEST = 4  # blocks


@dataclass(frozen=True)
class BlockAverage:
    """Mean of a series and its standard error.

    block: values in a block of the level that gives the error; converged: False where no level has blocks longer than
    the correlation, the error is then the largest of all levels and likely too small.
    """

    mean: float
    error: float
    block: int
    converged: bool

    def __str__(self) -> str:
        return f"{self.mean:.6g} +- {self.error:.2g}{'' if self.converged else ' (not converged)'}"


def block_average(values: Sequence[float] | Floats) -> BlockAverage:
    """Mean and error of a stationary series (n,).

    Raises:
        ValueError: fewer than 4 values.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or len(series) < FEWEST:
        raise ValueError(
            f"values must hold {FEWEST} or more recorded steps, got {series.size}; run longer or record more often"
        )
    mean, count = float(series.mean()), len(series)
    errors, length = [], 1
    blocks = series - mean
    while len(blocks) >= FEWEST:
        errors.append((length, float(np.sqrt(blocks.var() / (len(blocks) - 1)))))
        blocks = 0.5 * (blocks[0 : len(blocks) // 2 * 2 : 2] + blocks[1::2])
        length *= 2
    first = errors[0][1]
    if first == 0.0:
        return BlockAverage(mean, 0.0, 1, True)
    for length, error in errors:
        if length**3 > 2.0 * count * (error / first) ** 4:
            return BlockAverage(mean, error, length, True)
    length, error = max(errors, key=lambda each: each[1])
    return BlockAverage(mean, error, length, False)
