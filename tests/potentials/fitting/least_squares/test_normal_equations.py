"""Preconditioned normal equations: as accurate as Householder's QR, whatever the rows and their order."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rhopot.potentials.fitting.least_squares.coordinates import DiagonalCoordinates
from rhopot.potentials.fitting.least_squares.normal_equations import (
    MOST_LEVERAGE,
    NormalEquations,
    joined_triangle,
    symmetric,
    whiten,
)
from rhopot.potentials.fitting.least_squares.qr import SequentialQR
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve

COLUMNS = 8


def ill_conditioned(seed: int, condition: float) -> np.ndarray:
    """Return rows [a | y] whose columns, with those of the unit prior, have the condition number given."""
    random = np.random.default_rng(seed)
    mixing = np.linalg.qr(random.standard_normal((COLUMNS, COLUMNS)))[0]
    a = random.standard_normal((90, COLUMNS)) * np.geomspace(0.1 * condition, 1e-3, COLUMNS) @ mixing
    return np.column_stack([a, a @ random.standard_normal(COLUMNS) + random.standard_normal(90)])


def added(rows: np.ndarray, folds: np.ndarray | None = None, size: int = 7) -> NormalEquations:
    """Return the equations of the rows, a few at a time, in blocks of ten."""
    folds = np.zeros(len(rows), dtype=int) if folds is None else folds
    equations = NormalEquations(rows.shape[1] - 1, int(folds.max()) + 1, 10)
    for begin in range(0, len(rows), size):
        for g in np.unique(folds[begin : begin + size]):
            equations.add(rows[begin : begin + size][folds[begin : begin + size] == g], int(g))
    equations.flush()
    return equations


def solved(equations: NormalEquations) -> Posterior:
    return solve(equations, DiagonalCoordinates(np.ones(equations.n_columns)))


def by_householder(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return w and the triangle S with a positive diagonal."""
    n = rows.shape[1] - 1
    qr = SequentialQR(n)
    qr.add(np.concatenate([np.eye(n, n + 1), rows]))
    signs = np.where(np.diag(qr.factor) < 0, -1.0, 1.0)
    return np.linalg.solve(qr.factor, qr.target), signs[:, None] * qr.factor


def exact(rows: np.ndarray) -> np.ndarray:
    """Return w with sixty digits."""
    with mpmath.workdps(60):
        a, y = mpmath.matrix(rows[:, :-1].tolist()), mpmath.matrix(rows[:, -1].tolist())
        found = mpmath.lu_solve(a.T * a + mpmath.eye(a.cols), a.T * y)
        return np.array([float(value) for value in found])


@pytest.mark.parametrize("condition", [1e3, 1e8, 1e12])
@pytest.mark.parametrize("order", ["as drawn", "smallest rows first", "largest rows first"])
def test_errors_are_those_of_householder_not_of_normal_equations(condition: float, order: str) -> None:
    """Errors in the norm of the posterior, in which each direction counts by what is known of it."""
    errors = []
    for seed in range(5):
        rows = ill_conditioned(seed, condition)
        norms = np.linalg.norm(rows, axis=1)
        places = {
            "as drawn": np.arange(90),
            "smallest rows first": norms.argsort(),
            "largest rows first": (-norms).argsort(),
        }
        rows = rows[places[order]]
        w, (other, s), plain = solved(added(rows)).mean, by_householder(rows), rows[:, :-1].T @ rows
        best = exact(rows)
        naive = np.linalg.lstsq(plain[:, :-1] + np.eye(COLUMNS), plain[:, -1], rcond=None)[0]
        errors.append([np.linalg.norm(s @ (found - best)) for found in (w, other, naive)])
    ours, householder, naive = np.median(errors, axis=0)
    assert ours < 20 * householder + 1e-12
    assert condition < 1e6 or naive > 1e3 * ours


@pytest.mark.parametrize(("count", "held"), [(3, 3), (64, 0)])
def test_rows_of_a_direction_that_the_sample_does_not_know_are_held_back(count: int, held: int) -> None:
    """A column is zero in the sample and huge after it: its leverage would cost as many digits as it has."""
    rows = ill_conditioned(1, 10.0)
    rows[:-count, 3] = 0.0
    rows[-count:, 3] *= 1e7
    equations = added(rows, np.arange(90) % 3)
    assert equations.held.count == held  # as many as columns are made a part of the preconditioner
    assert equations.n_rows.tolist() == [30, 30, 30]
    w, s = by_householder(rows)
    posterior = solved(equations)
    assert np.linalg.norm(s @ (posterior.mean - w)) < 1e-8  # of deviations, with rows of 1e7
    assert_allclose(posterior.factor, s, rtol=1e-9, atol=1e-9)
    assert posterior.misfit == pytest.approx(np.linalg.norm(rows[:, :-1] @ w - rows[:, -1]), rel=1e-9)
    whitened = whiten(equations.whole()[0], rows)
    assert (whitened[:, :-1] ** 2).sum(axis=1).max() < MOST_LEVERAGE


def test_groups_are_sums_of_their_own_rows() -> None:
    rows, folds = ill_conditioned(2, 1e4), np.arange(90) % 3
    equations = added(rows, folds)
    whitened = whiten(equations.triangle, rows)
    for g, square in enumerate(equations.squares):
        mine = whitened[folds == g]
        assert_allclose(symmetric(square), mine.T @ mine, rtol=1e-10, atol=1e-10)
    assert_allclose(whitened[:, -1], rows[:, -1] - rows[:, :-1] @ np.linalg.solve(*by_parts(equations)), rtol=1e-7)


def by_parts(equations: NormalEquations) -> tuple[np.ndarray, np.ndarray]:
    """Return P and q."""
    return equations.triangle[:-1, :-1], equations.triangle[:-1, -1]


def test_equations_of_two_processes_and_those_that_go_on_equal_one() -> None:
    rows, folds = ill_conditioned(3, 1e6), np.arange(90) % 3 // 2
    expected = solved(added(rows, folds))
    first, second = added(rows[::2], folds[::2]), added(rows[1::2], folds[1::2])
    joined = joined_triangle([first.triangle, second.triangle])
    first.rebase(joined)
    second.rebase(joined)
    first.merge(second.squares, second.held.all(), second.n_rows)
    more = NormalEquations(COLUMNS, 1, 10, (start := added(rows[:50])).triangle)
    more.add(rows[50:], 0)
    more.flush()
    for other in (first, start.joined(more)):
        found = solved(other)
        assert other.n_rows.sum() == 90
        assert_allclose(found.mean, expected.mean, rtol=1e-9)
        assert_allclose(found.factor, expected.factor, rtol=1e-9, atol=1e-9)
        assert found.misfit == pytest.approx(expected.misfit, rel=1e-9)


@pytest.mark.parametrize("stop", [7, 49])  # in the sample, and after it
def test_restored_equations_go_on_bit_for_bit(stop: int) -> None:
    rows = ill_conditioned(4, 1e6)
    whole, begun, resumed = (NormalEquations(COLUMNS, 2, 10) for _ in range(3))
    for k in range(90):
        whole.add(rows[k : k + 1], k % 2)
        begun.add(rows[k : k + 1], k % 2) if k < stop else None
    resumed.restore(begun.state())
    for k in range(stop, 90):
        resumed.add(rows[k : k + 1], k % 2)
    for equations in (whole, resumed):
        equations.flush()
    assert_array_equal(whole.total(), resumed.total())
    assert_array_equal(whole.triangle, resumed.triangle)


def test_without_rows_the_prior_is_left() -> None:
    equations = NormalEquations(3, 1, 10)
    equations.flush()
    posterior = solved(equations)
    assert_array_equal(posterior.mean, np.zeros(3))
    assert_array_equal(posterior.factor, np.eye(3))


def test_wrong_rows_are_refused() -> None:
    equations = NormalEquations(3, 1, 10)
    with pytest.raises(ValueError, match="rows must have 4 columns, got 3; append y to A"):
        equations.add(np.zeros((2, 3)), 0)
    with pytest.raises(ValueError, match="preconditioner must be made first"):
        _ = equations.triangle
    equations.add(np.full((2, 4), np.nan), 0)
    with pytest.raises(ValueError, match="rows must be finite numbers"):
        equations.flush()
