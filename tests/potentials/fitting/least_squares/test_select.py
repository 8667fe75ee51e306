"""Selection of sparse points and features: what each method picks, and that it picks it again."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.least_squares.select import distinct_rows, select_columns, select_rows


def cloud(count: int = 60, columns: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, columns))


def test_farthest_points_are_the_extremes() -> None:
    line = np.array([[0.1, 1.0], [0.2, 1.0], [0.9, 1.0], [0.0, 1.0], [0.5, 1.0]])
    np.testing.assert_array_equal(select_rows(line, 3, "fps", 0), [2, 3, 4])


def test_cur_takes_rows_of_large_leverage() -> None:
    rows = 1e-3 * cloud()
    rows[7] = [5, 0, 0, 0, 0, 0]
    rows[31] = [0, 0, 4, 0, 0, 0]
    np.testing.assert_array_equal(select_rows(rows, 2, "cur", 0), [7, 31])


@pytest.mark.parametrize("method", ["fps", "cur", "random"])
def test_selection_repeats_itself(method: str) -> None:
    rows = cloud()
    first, again = (select_rows(rows.copy(), 20, method, 3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(set(first.tolist())) == 20
    assert (np.diff(first) > 0).all()


def test_random_selection_depends_on_the_seed() -> None:
    assert not np.array_equal(select_rows(cloud(), 20, "random", 1), select_rows(cloud(), 20, "random", 2))


@pytest.mark.parametrize("method", ["fps", "cur", "random"])
def test_copies_count_once(method: str) -> None:
    rows = np.repeat(cloud(10), 5, axis=0)
    rows += 1e-11 * cloud(50)
    chosen = select_rows(rows, 8, method, 0)
    assert len(set((chosen // 5).tolist())) == 8
    np.testing.assert_array_equal(distinct_rows(rows) // 5, np.arange(10))
    assert len(select_rows(rows, 40, method, 0)) == 10


def test_farthest_features_skip_a_repeated_one() -> None:
    rows = cloud(columns=4) * [3.0, 2.0, 1.0, 0.01]
    chosen = select_columns(np.column_stack([rows, rows[:, 0]]), 3, "fps", 0).tolist()
    assert len({0, 4} & set(chosen)) == 1
    assert len(set(chosen)) == 3


def test_cur_takes_features_of_large_leverage() -> None:
    rows = cloud(columns=4) * [1e-4, 2.0, 1e-4, 3.0]
    np.testing.assert_array_equal(select_columns(rows, 2, "cur", 0), [1, 3])


def test_too_many_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"n_features must lie between 1 and the descriptor's 6, got 7"):
        select_columns(cloud(), 7, "fps", 0)
