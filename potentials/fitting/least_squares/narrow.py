"""Coordinates for rows of large leverage: they reach far in few directions, which are shortened.

Rows Z that `normal_equations` holds back would make W = 1 + ... + Z^T Z ill-conditioned. With the singular values s and
right singular vectors X of Z (those with s > `WIDE`), in the coordinates v = E x,

    E = 1 - X (1 - (1 + s^2)^(-1/2)) X^T,    W becomes E W E and its part C + Z^T Z becomes E C E + (Z E)^T (Z E)

which is near 1 again. E is symmetric, and differs from 1 by as few directions as there are such rows, so that it costs
O(r^2) operations for each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Least singular value that is shortened; those below cost less than half of the digits of W, as leverages do.
WIDE = 100.0


class Narrow:
    """E for rows Z (m, r)."""

    def __init__(self, held: Floats) -> None:
        _, values, vectors = np.linalg.svd(held, full_matrices=False)
        wide = values > WIDE
        self._x = vectors[wide].T
        self._short = 1.0 - 1.0 / np.sqrt(1.0 + values[wide] ** 2)

    def rows(self, rows: Floats) -> Floats:
        """Return rows (m, r) times E."""
        if len(self._short) == 0:
            return rows
        return np.asarray(rows - ((rows @ self._x) * self._short) @ self._x.T)

    def square(self, square: Floats, held: Floats) -> Floats:
        """Return E C E + (Z E)^T (Z E) for C (r, r), symmetric, and Z (m, r)."""
        narrow = square
        if len(self._short):
            half = self._x * self._short
            product = square @ half
            product -= 0.5 * self._x @ (half.T @ product)
            change = product @ self._x.T
            narrow = square - change
            narrow -= change.T
        rows = self.rows(held)
        return narrow + rows.T @ rows if len(rows) else narrow
