"""Least squares by sequential Householder QR: rows come in blocks and are folded into one triangle.

    [ R ; B ] = Q [ R' ; 0 ],    R' of the same size as R,   for each block B of weighted rows [A | y]

so that after all blocks ||A x - y||^2 = ||R x - q||^2 + rho^2, with R the leading n x n triangle, q its last column
and rho the last diagonal entry. Memory is O(n^2) whatever the number of rows. Unlike normal equations, whose error
grows with the square of A's condition number, the error is that of one Householder QR of all rows at once [1, sec.
5.3, 6.5]; triangles of several processes are blocks too, which makes the parallel fit equal to the serial one up to
rounding.

LAPACK's dtpqrt uses that R is triangular: 2 m n^2 operations for a block of m rows, in matrix products.

[1] G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed. (2013)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtpqrt

Floats = NDArray[np.float64]

# Width of the panels inside dtpqrt; for 2448 columns a fifth faster than 32.
PANEL = 64


class SequentialQR:
    """The triangle [R | q; 0 | rho] of all rows added so far.

    Args:
        n_columns: number of unknowns n; rows have n + 1 entries, the right-hand side last.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self.n_rows = 0
        self.triangle: Floats = np.zeros((n_columns + 1, n_columns + 1), order="F")

    def add(self, block: Floats) -> None:
        """Fold weighted rows [A | y] (m, n + 1) in."""
        if block.shape[1] != self.n_columns + 1:
            raise ValueError(f"block must have {self.n_columns + 1} columns, got {block.shape[1]}; append y to A")
        if len(block) == 0:
            return
        triangle, _, _, info = dtpqrt(
            0, min(PANEL, self.n_columns + 1), self.triangle, np.array(block, order="F"), overwrite_a=1, overwrite_b=1
        )
        if info != 0:
            raise ValueError(f"block must be finite numbers, got LAPACK dtpqrt info = {info}; check the rows")
        self.triangle = triangle
        self.n_rows += len(block)

    def merge(self, triangle: Floats, n_rows: int) -> None:
        """Fold the triangle of other rows in."""
        self.add(triangle)
        self.n_rows += n_rows - len(triangle)

    @property
    def factor(self) -> Floats:
        """R (n, n), upper triangular."""
        return np.triu(self.triangle[:-1, :-1])

    @property
    def target(self) -> Floats:
        """q (n)."""
        return self.triangle[:-1, -1].copy()

    @property
    def residual(self) -> float:
        """rho: norm of what no x can explain."""
        return float(abs(self.triangle[-1, -1]))
