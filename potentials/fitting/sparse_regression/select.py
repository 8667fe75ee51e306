"""Greedy orthogonal least squares: which column next [1; 2, sec. 3.1, 4.1].

With Q the orthonormal basis of the columns chosen so far, r = y - Q Q^T y and a_j = x_j - Q Q^T x_j, choosing column j
lowers the squared residual by

    gain_j = (a_j . r)^2 / (a_j . a_j)

The largest gain is taken, among all columns or among a few drawn at random in every step (feature bagging). A column of
which next to nothing is left (|a_j| < dependence |x_j|) is dependent on those chosen, stays so, and leaves the pool. If
all columns of a draw are dependent, the step draws again. The selection ends when the pool or the residual is empty.

[1] S. Chen, S. A. Billings, W. Luo, Int. J. Control 50, 1873 (1989), doi:10.1080/00207178908953472
[2] X. Brumwell, Wavelet scattering and graph representations for atomic structures (thesis, Michigan State University)
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rhopot.potentials.fitting.sparse_regression.weighted_rows import Booleans, Floats, Integers

# The selection ends when the squared residual is this fraction of the targets': nothing is left to explain.
NOTHING = 1e-12


class Engine(Protocol):
    """Arithmetic of the selection, made of (matrix, targets, weights, limit, dependence).

    matrix: (n, D) rows; targets: (n); weights: (n) of squared residuals; rows of weight 0 are left out
    limit: columns that may be taken
    dependence: fraction of a column's length; a column is dependent where less than this is left of it
    """

    target: float
    """|r|^2 when `settle` was called."""
    residual: float
    """|r|^2."""

    def measure(self, columns: Integers) -> tuple[Floats, Booleans]:
        """Return the gains of some columns, and which of them are not dependent on those taken."""

    def take(self, column: int) -> None:
        """Choose a column."""

    def settle(self) -> None:
        """Measure dependence and what is explained from here on against what is left now."""


def select(
    engine: Engine,
    usable: Booleans,
    first: int | None,
    limit: int,
    n_candidates: int,
    random: np.random.Generator,
) -> Integers:
    """Return the columns in the order in which they are chosen.

    Args:
        engine: the arithmetic, nothing taken yet.
        usable: (D) columns that may be chosen.
        first: a column taken before all others (the constant's), None for none.
        limit: columns to choose at most, `first` included.
        n_candidates: columns drawn in each step; all when it is their number or more.
        random: draws them.
    """
    chosen = [] if first is None else [first]
    for column in chosen:
        engine.take(column)
    engine.settle()
    pool = np.flatnonzero(usable)
    pool = pool[~np.isin(pool, chosen)]
    while len(chosen) < limit and len(pool) and engine.residual > NOTHING * engine.target:
        drawn = pool if n_candidates >= len(pool) else random.choice(pool, n_candidates, replace=False)
        gains, free = engine.measure(drawn)
        gone = drawn[~free]
        if free.any():
            best = int(drawn[np.argmax(np.where(free, gains, -1.0))])
            engine.take(best)
            chosen.append(best)
            gone = np.append(gone, best)
        pool = np.setdiff1d(pool, gone, assume_unique=True)
    return np.array(chosen, dtype=np.int64)
