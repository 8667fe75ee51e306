"""Preconditioned normal equations: sums of squares in coordinates in which the rows are nearly orthonormal.

With P the triangle of the prior of w and of a first sample A_0 of the weighted rows [A | y],

    [ 1 | 0   ]       [ P | q ]
    [ A_0 | y_0 ] = Q [ 0 | r ]        (Householder, `qr`),        w_0 = P^-1 q,

every row [a | y] becomes [z | e] with z = a P^-1 and e = y - a w_0 = y - z q, and a group of rows (a fold, say) is kept
as the sum of its [z | e]^T [z | e], of n + 1 columns. Groups, processes and data that are appended later add up, and
equations without some of the groups are differences. The coefficients w = w_0 + P^-1 v follow from (`solve`)

    W v = sum z^T e - P^-T w_0,        W = P^-T P^-1 + sum z^T z

**Accuracy.** Plain normal equations lose the solution when the condition number of A nears 10^8. Here the sum of sample
and prior is exactly 1, so W >= 1: an error of W, at most some eps |W|, changes |A w - y|^2 + |w|^2 by that fraction in
*every* direction w, whatever the condition of A, where Householder's error of some eps |A| in A changes it by the
fraction eps |A| in the least determined one [1, sec. 5.3; 2]. W is small when each row's leverage |z|^2 is: it is the
part that the row adds to what the sample knows of its direction. Rows above `MOST_LEVERAGE` (an environment that the
sample has not seen) are held back as they are. The solution folds them into P by Householder reflections and brings the
total to the new P by a contraction, P P'^-1, which increases no error (`whole`). On real data a few per cent of the
rows are held, and w is as close to Householder's as that is to itself in another order of the rows.

Cost: n^2 operations for the substitution and n^2 for the sum of each row, both in products of large blocks; 2 n^2 in
narrow panels would be the cost of Householder's. Memory: (groups + 1) n^2 numbers and `SAMPLE` n rows of the beginning,
at most n rows that are held back.

[1] G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed. (2013)
[2] Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa, T. Fukaya, Electron. Trans. Numer. Anal. 44, 306 (2015)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk, dtrmm, dtrsm

from rhopot.potentials.fitting.least_squares.qr import SequentialQR

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Sums of groups, rows that are held back with their groups, and numbers of rows.
_Part = tuple[list[Floats], tuple[Floats, Integers], Integers]

# Rows of the sample, per column.
SAMPLE = 2
# Largest |z|^2 of a row that is added to the sums: the digits that these lose are at most about as many as this has.
MOST_LEVERAGE = 1e3


class NormalEquations:
    """Sums of squares of groups of rows, and the triangle that preconditions them.

    Args:
        n_columns: number of unknowns n; rows have n + 1 entries, the right-hand side last.
        n_groups: number of groups.
        block_rows: rows that are added at a time.
        triangle: [P | q] of other equations, from which these go on; None: of a sample of the first rows.

    Attributes:
        squares: for each group the upper triangle of its sum (n + 1, n + 1).
        held: rows that are in no sum, with their groups.
        n_rows: (groups) all rows of each group, after `flush`.
    """

    def __init__(self, n_columns: int, n_groups: int, block_rows: int, triangle: Floats | None = None) -> None:
        self.n_columns = n_columns
        self.block_rows = block_rows
        self.squares = [np.zeros((n_columns + 1, n_columns + 1), order="F") for _ in range(n_groups)]
        self.n_rows: Integers = np.zeros(n_groups, dtype=np.int64)
        self._triangle = triangle
        self._pending = RowList(n_columns)
        self.held = RowList(n_columns)

    @property
    def triangle(self) -> Floats:
        """[P | q] with the norm of the sample's residual below, (n + 1, n + 1); the diagonal of P is positive.

        Raises:
            ValueError: no row has been added yet, or `flush` was not called.
        """
        if self._triangle is None:
            raise ValueError("preconditioner must be made first, got none; call flush()")
        return self._triangle

    def add(self, rows: Floats, group: int) -> None:
        """Add weighted rows [A | y] (m, n + 1) to a group."""
        if rows.shape[1] != self.n_columns + 1:
            raise ValueError(f"rows must have {self.n_columns + 1} columns, got {rows.shape[1]}; append y to A")
        self._pending.add(rows, np.full(len(rows), group, dtype=np.int64))
        enough = SAMPLE * self.n_columns if self._triangle is None else self.block_rows
        if self._pending.count >= enough:
            self.flush()

    def flush(self) -> None:
        """Add the rows that wait; those that the preconditioner knows too little of are held back."""
        rows, groups = self._pending.take()
        if self._triangle is None:
            self._triangle = _sample_triangle(self.n_columns, rows)
            self._accumulate(rows, groups, np.inf)
            return
        for begin in range(0, len(rows), self.block_rows):
            part = slice(begin, begin + self.block_rows)
            self._accumulate(rows[part], groups[part], MOST_LEVERAGE)
        if self.held.count >= self.n_columns:
            self.rebase(_with_rows(self.triangle, self.held.all()[0]))

    def rebase(self, triangle: Floats) -> None:
        """Bring the sums to another [P | q], of all that is in the present one and of more."""
        change = _change(self.triangle, triangle)
        self.squares = [
            _congruence(change, square) if n_rows else square
            for square, n_rows in zip(self.squares, self.n_rows, strict=True)
        ]
        self._triangle = triangle
        rows, groups = self.held.take()
        self.n_rows -= np.bincount(groups, minlength=len(self.n_rows))
        self._accumulate(rows, groups, MOST_LEVERAGE)

    def merge(self, squares: list[Floats], held: tuple[Floats, Integers], n_rows: Integers) -> None:
        """Add other rows' sums of the same groups and preconditioner, and their rows that are held back."""
        self.squares = [one + other for one, other in zip(self.squares, squares, strict=True)]
        self.held.add(*held)
        self.n_rows = self.n_rows + n_rows

    def joined(self, other: NormalEquations) -> NormalEquations:
        """Return these equations and others, which went on from this triangle, as one group."""
        return self._together(other, self._as_one_group(), other._as_one_group())

    def appended(self, other: NormalEquations) -> NormalEquations:
        """Return these equations and others, which went on from this triangle, group by group."""
        count = max(len(self.squares), len(other.squares))
        both = self._together(other, self._in_groups(count), other._in_groups(count))
        both.flush()
        return both

    def part(self, groups: Integers) -> NormalEquations:
        """Return the equations of some groups as one group."""
        rows, group_of_row = self.held.all()
        rows = rows[np.isin(group_of_row, groups)]
        one = NormalEquations(self.n_columns, 1, self.block_rows, self.triangle)
        square = np.asarray(sum(self.squares[g] for g in groups))
        one.merge([square], (rows, np.zeros(len(rows), dtype=np.int64)), self.n_rows[groups].sum(keepdims=True))
        return one

    def total(self) -> Floats:
        """Return the upper triangle of the sum (n + 1, n + 1) of all groups, without the rows that are held back."""
        return np.asarray(np.sum(self.squares, axis=0))

    def whole(self) -> tuple[Floats, Floats]:
        """Return [P | q] that no row is far from, and the upper triangle of all rows' sum (n + 1, n + 1) with it."""
        square, rows = self.total(), self.held.all()[0]
        if len(rows) == 0:
            return self.triangle, square
        triangle = _with_rows(self.triangle, rows)
        whitened = whiten(triangle, rows)
        return triangle, dsyrk(1.0, whitened.T, beta=1.0, c=_congruence(_change(self.triangle, triangle), square))

    def state(self) -> dict[str, Floats | Integers]:
        """Return all that is known so far as arrays."""
        arrays: dict[str, Floats | Integers] = {"squares": np.stack(self.squares), "n_rows": self.n_rows}
        if self._triangle is not None:
            arrays["triangle"] = self._triangle
        for name, part in (("pending", self._pending), ("held", self.held)):
            arrays[name], arrays[f"{name}_groups"] = part.all()
        return arrays

    def restore(self, arrays: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.squares = [np.asfortranarray(square) for square in arrays["squares"]]
        self.n_rows = np.array(arrays["n_rows"])
        self._triangle = np.asfortranarray(arrays["triangle"]) if "triangle" in arrays else None
        for name, part in (("pending", self._pending), ("held", self.held)):
            part.take()
            part.add(arrays[name], arrays[f"{name}_groups"])

    def _together(self, other: NormalEquations, mine: _Part, others: _Part) -> NormalEquations:
        both = NormalEquations(self.n_columns, len(mine[0]), self.block_rows, self.triangle)
        both.merge(*mine)
        if other.triangle is not self.triangle:
            both.rebase(other.triangle)
        both.merge(*others)
        return both

    def _in_groups(self, count: int) -> _Part:
        """Sums, held rows and numbers of rows with empty groups up to `count`."""
        empty = [np.zeros((self.n_columns + 1, self.n_columns + 1)) for _ in range(count - len(self.squares))]
        n_rows = np.append(self.n_rows, np.zeros(len(empty), dtype=np.int64))
        return [*self.squares, *empty], self.held.all(), n_rows

    def _as_one_group(self) -> _Part:
        rows, groups = self.held.all()
        return [self.total()], (rows, np.zeros_like(groups)), self.n_rows.sum(keepdims=True)

    def _accumulate(self, rows: Floats, groups: Integers, most: float) -> None:
        """Add rows to the sums of their groups, or to those held back where their leverage is above `most`."""
        if len(rows) == 0:
            return
        order = np.argsort(groups, kind="stable")
        rows, groups = rows[order], groups[order]
        self.n_rows += np.bincount(groups, minlength=len(self.n_rows))
        whitened = whiten(self.triangle, rows)
        leverage = np.einsum("mn,mn->m", whitened[:, :-1], whitened[:, :-1])
        if not np.isfinite(leverage).all() or not np.isfinite(whitened[:, -1]).all():
            raise ValueError("rows must be finite numbers, got others; check the data and the sigmas")
        far = leverage > most
        if far.any():
            self.held.add(rows[far], groups[far])
            whitened, groups = whitened[~far], groups[~far]
        for k in np.unique(groups):
            of_group = whitened[np.searchsorted(groups, k) : np.searchsorted(groups, k, side="right")]
            self.squares[k] = dsyrk(1.0, of_group.T, beta=1.0, c=self.squares[k], overwrite_c=1)


class RowList:
    """Rows (m, n + 1) that wait, with their groups (m)."""

    def __init__(self, n_columns: int) -> None:
        self.count = 0
        self._width = n_columns + 1
        self._parts: list[tuple[Floats, Integers]] = []

    def add(self, rows: Floats, groups: Integers) -> None:
        """Append rows."""
        if len(rows):
            self._parts.append((rows, groups))
            self.count += len(rows)

    def all(self) -> tuple[Floats, Integers]:
        """Return all rows in their order."""
        none = np.zeros((0, self._width)), np.zeros(0, dtype=np.int64)
        rows, groups = zip(none, *self._parts, strict=True)
        return np.concatenate(rows), np.concatenate(groups)

    def take(self) -> tuple[Floats, Integers]:
        """Return all rows in their order and forget them."""
        found = self.all()
        self._parts, self.count = [], 0
        return found


def whiten(triangle: Floats, rows: Floats) -> Floats:
    """Return [z | e] (m, n + 1) of rows [a | y] for [P | q]."""
    left = np.array(rows[:, :-1].T, order="F")
    z = dtrsm(1.0, triangle[:-1, :-1], left, trans_a=1, overwrite_b=1).T
    return np.concatenate([z, (rows[:, -1] - z @ triangle[:-1, -1])[:, None]], axis=1)


def symmetric(upper: Floats) -> Floats:
    """Return the symmetric matrix of an upper triangle (the rest of it is zero)."""
    full = upper + upper.T
    full[np.diag_indices(len(full))] *= 0.5
    return np.asfortranarray(full)


def joined_triangle(triangles: list[Floats]) -> Floats:
    """Return [P | q] of the rows of several, to which each of them can be rebased."""
    joined = triangles[0]
    for triangle in triangles[1:]:
        joined = _with_rows(joined, triangle)
    return joined


def _change(old: Floats, new: Floats) -> Floats:
    """Return the upper triangular matrix that takes [z | e] of one [P | q] to that of another."""
    change = np.zeros_like(new, order="F")
    change[:-1, :-1] = np.triu(dtrsm(1.0, new[:-1, :-1], old[:-1, :-1], side=1))
    change[:-1, -1] = old[:-1, -1] - change[:-1, :-1] @ new[:-1, -1]
    change[-1, -1] = 1.0
    return change


def _congruence(change: Floats, square: Floats) -> Floats:
    """Return the upper triangle of T^T C T for upper triangles T and C."""
    right = dtrmm(1.0, change, symmetric(square), side=1, overwrite_b=1)
    return np.asfortranarray(np.triu(dtrmm(1.0, change, right, trans_a=1, overwrite_b=1)))


def _sample_triangle(n_columns: int, rows: Floats) -> Floats:
    """Return [P | q] of the prior and of rows."""
    prior = np.zeros((n_columns + 1, n_columns + 1))
    prior[:-1, :-1] = np.eye(n_columns)
    return _with_rows(prior, rows)


def _with_rows(triangle: Floats, rows: Floats) -> Floats:
    """Return [P | q] with more rows, the diagonal of P positive."""
    qr = SequentialQR(len(triangle) - 1)
    qr.triangle = np.array(triangle, order="F")
    qr.add(rows)
    signs = np.where(np.diag(qr.triangle) < 0, -1.0, 1.0)
    return np.asfortranarray(signs[:, None] * np.triu(qr.triangle))
