"""Sequential QR against one QR of all rows and against numpy's least squares."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rhopot.potentials.fitting.least_squares.qr import SequentialQR


def rows(count: int, columns: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal((count, columns)) * np.geomspace(1, 1e-4, columns)


@pytest.mark.parametrize("sizes", [(40,), (1, 2, 37), (7, 7, 7, 7, 7, 5)])
def test_blocks_give_the_triangle_of_all_rows(sizes: tuple[int, ...]) -> None:
    everything = rows(40, 13, seed=1)
    qr = SequentialQR(12)
    for block in np.split(everything, np.cumsum(sizes)[:-1]):
        qr.add(block)
    expected = np.linalg.qr(everything, mode="r")
    assert_allclose(np.abs(np.triu(qr.triangle)), np.abs(expected), rtol=1e-10, atol=1e-15)
    assert qr.n_rows == 40


def test_solution_and_residual_equal_least_squares() -> None:
    everything = rows(60, 9, seed=2)
    qr = SequentialQR(8)
    qr.add(everything[:25])
    qr.add(everything[25:])
    solution, residual, _, _ = np.linalg.lstsq(everything[:, :-1], everything[:, -1])
    assert_allclose(np.linalg.solve(qr.factor, qr.target), solution, rtol=1e-9)
    assert_allclose(qr.residual**2, residual[0], rtol=1e-10)


def test_merged_triangles_equal_one_triangle() -> None:
    everything = rows(50, 7, seed=3)
    one, left, right = SequentialQR(6), SequentialQR(6), SequentialQR(6)
    one.add(everything)
    left.add(everything[::2])
    right.add(everything[1::2])
    left.merge(right.triangle, right.n_rows)
    assert_allclose(np.abs(np.triu(left.triangle)), np.abs(np.triu(one.triangle)), rtol=1e-10, atol=1e-15)
    assert left.n_rows == 50


def test_error_is_that_of_qr_not_of_normal_equations() -> None:
    """Two nearly parallel columns, condition 1e9: normal equations lose every digit of the solution."""
    random = np.random.default_rng(4)
    a = random.standard_normal((200, 2))
    a[:, 1] = a[:, 0] + 1e-9 * a[:, 1]
    exact = np.array([1.0, 2.0])
    qr = SequentialQR(2)
    for block in np.split(np.column_stack([a, a @ exact]), 10):
        qr.add(block)
    assert_allclose(np.linalg.solve(qr.factor, qr.target), exact, atol=1e-5)
    gram = a.T @ a
    assert np.linalg.matrix_rank(gram) == 1


def test_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="block must have 4 columns, got 3"):
        SequentialQR(3).add(np.zeros((2, 3)))
