"""The selection on the rows themselves: modified Gram-Schmidt with reorthogonalisation, the reference.

Every column remembers how many of the chosen directions it has been freed of, and catches up when it is looked at:
without feature bagging a step is one rank-one update A -= q (q^T A) of all columns, with it only the few columns of the
draw are touched. The column that is taken is made orthogonal to all directions once more ("twice is enough" [1]).
Cost for n rows, D columns and M choices: up to 4 n M D, and a copy of the rows.

[1] L. Giraud, J. Langou, M. Rozloznik, Comput. Math. Appl. 50, 1069 (2005), doi:10.1016/j.camwa.2005.08.009
"""

from __future__ import annotations

import numpy as np

from rhopot.potentials.fitting.sparse_regression.weighted_rows import VARIATION, Booleans, Floats, Integers


class RowEngine:
    """Gains from the rows; arguments as in `select.Engine`."""

    def __init__(self, matrix: Floats, targets: Floats, weights: Floats, limit: int, dependence: float) -> None:
        kept = np.flatnonzero(weights)
        root = np.sqrt(weights[kept])
        self._matrix = np.asfortranarray(matrix[kept] * root[:, None])
        self._remainder = targets[kept] * root
        self.residual = float(self._remainder @ self._remainder)
        self.target = self.residual
        norm = np.einsum("nd,nd->d", self._matrix, self._matrix)
        self._least = VARIATION**2 * norm
        self._reference = norm
        self._basis = np.empty((len(kept), limit), order="F")
        self._freed = np.zeros(matrix.shape[1], dtype=np.int64)
        self._taken = 0
        self._dependence = dependence

    def settle(self) -> None:
        """Measure dependence and what is explained from here on against what is left now."""
        self._free(np.arange(self._matrix.shape[1]))
        self._reference = np.einsum("nd,nd->d", self._matrix, self._matrix)
        self.target = self.residual

    def measure(self, columns: Integers) -> tuple[Floats, Booleans]:
        """Return the gains of some columns, and which of them are not dependent on those taken."""
        self._free(columns)
        left = self._matrix[:, columns]
        norm = np.einsum("nd,nd->d", left, left)
        free = norm > np.maximum(self._dependence**2 * self._reference[columns], self._least[columns])
        return (self._remainder @ left) ** 2 / np.where(free, norm, np.inf), free

    def take(self, column: int) -> None:
        """Choose a column."""
        self._free(np.array([column]))
        basis = self._basis[:, : self._taken]
        direction = self._matrix[:, column]
        direction = direction - basis @ (direction @ basis)
        direction /= np.linalg.norm(direction)
        self._basis[:, self._taken] = direction
        self._taken += 1
        self._remainder = self._remainder - direction * (direction @ self._remainder)
        self.residual = float(self._remainder @ self._remainder)

    def _free(self, columns: Integers) -> None:
        """Make columns orthogonal to the directions taken since they were last looked at."""
        for start in np.unique(self._freed[columns]):
            behind = columns[self._freed[columns] == start]
            new = self._basis[:, start : self._taken]
            if new.shape[1]:
                block = self._matrix[:, behind]
                self._matrix[:, behind] = block - new @ (new.T @ block)
        self._freed[columns] = self._taken
