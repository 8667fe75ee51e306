"""Choosing sparse points and features with scikit-matter: farthest points, leverage scores (CUR), or at random.

Rows are the candidates. Farthest-point sampling starts at the row farthest from the mean, so it needs no random
number; CUR takes the rows of largest leverage sum_k U_ik^2 over the leading singular vectors, computed once [1, 2].
Copies of one environment (symmetry makes many) would all have the same leverage, so equal rows count once. The result
is the same for the same rows and seed.

Cost: O(rows * columns) per farthest point: a few seconds for 14,000 rows, 250 columns and 1000 picks.

[1] M. W. Mahoney, P. Drineas, PNAS 106, 697 (2009), doi:10.1073/pnas.0803205106
[2] G. Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), doi:10.1063/1.5024611
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.least_squares.least_squares_settings import Method

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Rows that agree to this many decimals (of rows of unit norm) are copies of one another.
DECIMALS = 7
# Leading singular vectors that make a leverage score.
LEVERAGE_VECTORS = 60


def select_rows(rows: Floats, count: int, method: Method, seed: int) -> Integers:
    """Return sorted indices of at most `count` distinct rows (n, f); fewer when fewer are distinct."""
    candidates = distinct_rows(rows)
    if count >= len(candidates):
        return candidates
    chosen = _pick(rows[candidates], count, method, seed)
    return np.sort(candidates[chosen])


def select_columns(rows: Floats, count: int, method: Method, seed: int) -> Integers:
    """Return sorted indices of `count` columns (features) of `rows` (n, f)."""
    if not 1 <= count <= rows.shape[1]:
        raise ValueError(f"n_features must lie between 1 and the descriptor's {rows.shape[1]}, got {count}; lower it")
    if count == rows.shape[1]:
        return np.arange(count)
    return np.sort(_pick(np.ascontiguousarray(rows.T), count, method, seed))


def distinct_rows(rows: Floats) -> Integers:
    """Return sorted indices of the first of each set of equal rows, relative to the largest row's norm."""
    largest = float(np.sqrt(np.einsum("nf,nf->n", rows, rows).max(initial=0.0)))
    if largest == 0.0:
        return np.zeros(min(len(rows), 1), dtype=np.int64)
    rounded = np.round(rows / largest, DECIMALS) + 0.0
    keys = np.ascontiguousarray(rounded).view(np.dtype((np.void, rounded.shape[1] * rounded.itemsize))).ravel()
    return np.sort(np.unique(keys, return_index=True)[1]).astype(np.int64)


def _pick(rows: Floats, count: int, method: Method, seed: int) -> Integers:
    """Return `count` of the rows in the order they were chosen."""
    from skmatter.sample_selection import CUR, FPS

    if method == "random":
        return np.random.default_rng(seed).permutation(len(rows))[:count]
    if method == "fps":
        start = int(np.argmax(((rows - rows.mean(axis=0)) ** 2).sum(axis=1)))
        selector = FPS(n_to_select=count, initialize=start)
    else:
        vectors = max(1, min(LEVERAGE_VECTORS, *(size - 1 for size in rows.shape)))
        selector = CUR(n_to_select=count, recompute_every=0, k=vectors, random_state=seed)
    return np.asarray(selector.fit(rows).selected_idx_, dtype=np.int64)
