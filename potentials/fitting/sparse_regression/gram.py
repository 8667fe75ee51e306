"""The selection in the space of the features: a pivoted Cholesky factorisation of G = A^T A, one row for each choice.

With A the weighted rows, g = A^T y, and R the triangle of the columns taken, extended over all columns, taking p gives

    R[k, j] = (G[p, j] - sum_i<k R[i, p] R[i, j]) / (the same for j = p)^(1/2)        = q_k . x_j
    z[k] = (a_p . r) / |a_p|;    |a_j|^2 -= R[k, j]^2;    a_j . r -= R[k, j] z[k];    |r|^2 -= z[k]^2

for all columns at once: exactly the rank-one updates of modified Gram-Schmidt, in numbers that do not grow with the
rows. Cost for n rows, D columns and M choices: n D^2 for G, M^2 D for the choices.

|a_j|^2 carries an error of some 1e-15 |x_j|^2, so that columns with a remainder of 1e-6 |x_j| or more (the least
`dependence`) have gains good to a part in a thousand or better. Only the choice rests on these numbers: coefficients
and errors come from a QR factorisation of the rows (`path`).
"""

from __future__ import annotations

import numpy as np

from rhopot.potentials.fitting.sparse_regression.weighted_rows import VARIATION, Booleans, Floats, Integers

# Rows that are weighted and multiplied at once.
BLOCK = 4096


class GramEngine:
    """Gains from the products of the columns; arguments as in `select.Engine`."""

    def __init__(self, matrix: Floats, targets: Floats, weights: Floats, limit: int, dependence: float) -> None:
        width = matrix.shape[1]
        self._gram = np.zeros((width, width))
        self._left = np.zeros(width)
        self.target = 0.0
        kept = np.flatnonzero(weights)
        for start in range(0, len(kept), BLOCK):
            rows = kept[start : start + BLOCK]
            root = np.sqrt(weights[rows])
            block = matrix[rows] * root[:, None]
            y = targets[rows] * root
            self._gram += block.T @ block
            self._left += y @ block
            self.target += float(y @ y)
        self.residual = self.target
        self._norm = self._gram.diagonal().copy()
        self._least = VARIATION**2 * self._norm
        self._reference = self._norm.copy()
        self._triangle = np.empty((limit, width))
        self._taken = 0
        self._dependence = dependence

    def settle(self) -> None:
        """Measure dependence and what is explained from here on against what is left now."""
        self._reference = np.maximum(self._norm, 0.0)
        self.target = self.residual

    def measure(self, columns: Integers) -> tuple[Floats, Booleans]:
        """Return the gains of some columns, and which of them are not dependent on those taken."""
        norm = self._norm[columns]
        least = np.maximum(self._dependence**2 * self._reference[columns], self._least[columns])
        free = norm > least
        return self._left[columns] ** 2 / np.where(free, norm, np.inf), free

    def take(self, column: int) -> None:
        """Choose a column."""
        above = self._triangle[: self._taken]
        row = self._gram[column] - above[:, column] @ above
        row /= np.sqrt(row[column])
        z = self._left[column] / row[column]
        self._triangle[self._taken] = row
        self._taken += 1
        self._norm -= row**2
        self._left -= z * row
        self.residual -= float(z * z)
