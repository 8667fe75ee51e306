"""Small regression problems with correlated features, and the slow, obvious selection that the fast ones must equal."""

from __future__ import annotations

import numpy as np

from rhopot.potentials.fitting.sparse_regression import WeightedRows, make_rows


def correlated(n: int = 120, d: int = 40, n_groups: int = 12, seed: int = 0, noise: float = 0.05) -> WeightedRows:
    """Features with means, different sizes and correlations; targets of six of them, with noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 8))
    x = hidden @ rng.standard_normal((8, d)) + 0.4 * rng.standard_normal((n, d)) + rng.normal(3.0, 1.0, d)
    x *= 10.0 ** rng.uniform(-3, 3, d)
    spread = x.std(axis=0)
    y = (x[:, :6] / spread[:6]) @ rng.standard_normal(6) + noise * rng.standard_normal(n) - 4.0
    return make_rows(x, y, [f"path-{k}" for k in rng.permutation(n) % n_groups])


def design(rows: WeightedRows) -> np.ndarray:
    """Feature columns and the constant's, (n, d + 1)."""
    return np.column_stack([rows.features, rows.constant.astype(float)])


def squared_residual(a: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Weighted squared residual of least squares on the columns of a."""
    root = np.sqrt(weights)
    size = np.linalg.norm(a * root[:, None], axis=0)
    w = np.linalg.lstsq(a * root[:, None] / size, y * root, rcond=None)[0]
    return float(np.sum((root * y - (a * root[:, None] / size) @ w) ** 2))


def brute_force(rows: WeightedRows, weights: np.ndarray, count: int, first_constant: bool) -> list[int]:
    """Columns in the order in which a full refit with each remaining one explains most; d stands for the constant."""
    a = design(rows)
    chosen = [a.shape[1] - 1] if first_constant else []
    while len(chosen) < count:
        left = [j for j in range(a.shape[1]) if j not in chosen]
        trials = [squared_residual(a[:, chosen + [j]], rows.targets, weights) for j in left]
        chosen.append(left[int(np.argmin(trials))])
    return chosen
