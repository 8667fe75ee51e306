"""All models along a selection: one triangle holds the coefficients of every number of features.

The rows of the M chosen columns, in the order of the choice, are factored once, [A_S | y] = Q [R | z; 0 | rho], by
Householder QR in blocks of rows (`fitting.least_squares.qr`). Then for every m <= M

    R[:m, :m] w = z[:m],    |y - A w|^2 = rho^2 + sum_i>=m z_i^2,    A' w = (A'_S R^-1)[:, :m] z[:m]

The last gives the errors of all m on other rows A' in one pass: one triangular solve and a running sum [1, eqs. 3.7,
3.8].

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures (thesis, Michigan State University)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import dtrsm

from rhopot.potentials.fitting.least_squares.qr import SequentialQR
from rhopot.potentials.fitting.sparse_regression.weighted_rows import DesignTable, Floats, Integers

# Rows factored and predicted at once.
BLOCK = 2048


@dataclass(frozen=True)
class SelectionPath:
    """Nested linear models of 1..M columns.

    Attributes:
        order: (M) the columns in the order of their choice; `n_features` stands for the constant.
        triangle: (M, M) R.
        projection: (M) z.
        shift, scale: (M) of the columns; 0 and 1 for the constant.
        offset: what is added to the prediction of rows that the constant enters.
        n_features: d.
    """

    order: Integers
    triangle: Floats
    projection: Floats
    shift: Floats
    scale: Floats
    offset: float
    n_features: int

    @property
    def n_columns(self) -> int:
        """M."""
        return len(self.order)

    def coefficients(self, n_columns: int) -> tuple[Floats, float]:
        """Return w (d) and the constant of the model of the first `n_columns` columns."""
        if not 0 <= n_columns <= self.n_columns:
            raise ValueError(f"n_columns must be in 0..{self.n_columns}, got {n_columns}; select more features")
        m = n_columns
        dense = np.zeros(self.n_features + 1)
        if m == 0:
            return dense[:-1], self.offset
        scaled = dtrsm(1.0, self.triangle[:m, :m], self.projection[:m, None])[:, 0] / self.scale[:m]
        dense[self.order[:m]] = scaled
        return dense[:-1], float(dense[-1] - scaled @ self.shift[:m] + self.offset)

    def predictions(self, features: ArrayLike, constant: bool = True) -> Floats:
        """Return the predictions (n, M) of the models of 1..M columns for feature rows (n, d)."""
        x = np.asarray(features)
        columns = np.empty((len(x), self.n_columns))
        real = self.order < self.n_features
        columns[:, real] = x[:, self.order[real]]
        columns[:, ~real] = constant
        columns = (columns - constant * self.shift) / self.scale
        return _running(columns, self.triangle, self.projection) + constant * self.offset


def factor(table: DesignTable, weights: Floats, chosen: Integers) -> tuple[SelectionPath, Floats]:
    """Return the path of the chosen columns of a table, and its squared residuals (M) with 1..M columns.

    Args:
        table: the rows.
        weights: (n) of squared residuals; rows of weight 0 are left out.
        chosen: (M) columns of the table in the order of the choice.
    """
    qr = SequentialQR(len(chosen))
    kept = np.flatnonzero(weights)
    for start in range(0, len(kept), BLOCK):
        rows = kept[start : start + BLOCK]
        block = np.column_stack([table.matrix[np.ix_(rows, chosen)], table.targets[rows]])
        qr.add(block * np.sqrt(weights[rows])[:, None])
    z = qr.target
    left = qr.residual**2 + np.append(np.cumsum(z[:0:-1] ** 2)[::-1], 0.0)
    path = SelectionPath(
        order=np.append(table.columns, table.rows.features.shape[1])[chosen],
        triangle=qr.factor,
        projection=z,
        shift=np.append(table.shift, 0.0)[chosen],
        scale=np.append(table.scale, 1.0)[chosen],
        offset=table.offset,
        n_features=table.rows.features.shape[1],
    )
    return path, left


def errors(
    path: SelectionPath, table: DesignTable, rows: Integers, chosen: Integers, weights: Floats
) -> tuple[Floats, Floats]:
    """Return the sums over some rows of a table of u e^2 for energies and for other rows, (M) each.

    Energies are the rows that the constant enters; u are the `weights` (n) of all rows of the table.
    """
    sums = np.zeros((2, path.n_columns))
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        wrong = _running(table.matrix[np.ix_(part, chosen)], path.triangle, path.projection)
        wrong -= table.targets[part, None]
        squares = weights[part, None] * wrong**2
        energies = table.rows.constant[part]
        sums += [squares[energies].sum(axis=0), squares[~energies].sum(axis=0)]
    return sums[0], sums[1]


def _running(columns: Floats, triangle: Floats, projection: Floats) -> Floats:
    """Predictions (n, M) with 1..M of the columns (n, M): running sums of (A R^-1) z."""
    return np.cumsum(dtrsm(1.0, triangle, columns, side=1) * projection, axis=1)
