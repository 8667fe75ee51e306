"""Rows: what is refused, how blocks join, what a table leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rhopot.potentials.fitting.sparse_regression import make_rows, stack
from rhopot.potentials.fitting.sparse_regression.weighted_rows import make_design_table


def test_tensors_and_arrays_are_the_same_rows() -> None:
    x = np.random.default_rng(0).standard_normal((6, 3))
    array = make_rows(x, x[:, 0], list("aabbcc"))
    tensor = make_rows(torch.from_numpy(x), torch.from_numpy(x)[:, 0], list("aabbcc"))
    np.testing.assert_array_equal(array.features, tensor.features)
    np.testing.assert_array_equal(array.groups, [0, 0, 1, 1, 2, 2])


def test_blocks_join_by_label() -> None:
    energies = make_rows(np.ones((3, 2)), np.zeros(3), ["b", "c", "b"])
    forces = make_rows(np.ones((2, 2)), np.zeros(2), ["c", "a"], weights=0.5, constant=False)
    joined = stack([energies, forces])
    assert joined.labels.tolist() == ["a", "b", "c"]
    assert joined.groups.tolist() == [1, 2, 1, 2, 0]
    assert joined.constant.tolist() == [True] * 3 + [False] * 2
    assert joined.weights.tolist() == [1, 1, 1, 0.5, 0.5]


def test_columns_that_do_not_vary_are_not_usable() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.standard_normal(9), np.full(9, 3.7), np.zeros(9), 1e8 + rng.standard_normal(9)])
    rows = make_rows(x, x[:, 0], np.arange(9))
    assert make_design_table(rows, np.arange(4), "first").usable.tolist() == [True, False, False, False, False]
    assert make_design_table(rows, np.arange(4), "candidate").usable.tolist() == [True, True, False, True, True]
    assert make_design_table(rows, np.arange(4), "none").usable.tolist() == [True, True, False, True, False]


def test_shifts_leave_force_rows_alone() -> None:
    rng = np.random.default_rng(0)
    energies = make_rows(rng.standard_normal((5, 2)) + 9, np.arange(5.0), np.arange(5))
    forces = make_rows(rng.standard_normal((4, 2)), np.arange(4.0), np.arange(4), constant=False)
    table = make_design_table(stack([energies, forces]), np.arange(2), "first")
    np.testing.assert_allclose(table.matrix[:5, :2].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(table.matrix[5:, :2] * table.scale, forces.features, rtol=1e-14)
    np.testing.assert_array_equal(table.targets, [-2, -1, 0, 1, 2, 0, 1, 2, 3])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"targets": np.zeros(3)}, r"targets must be one number for each row .* got \(3,\) and \(4, 2\)"),
        ({"groups": ["a"]}, r"groups must be one label for each of 4 rows, got \(1,\)"),
        ({"weights": [1, 1, 0, 1]}, r"weights must be positive numbers, got 0\.0"),
        ({"targets": np.array([0, 1, np.nan, 0])}, r"features and targets must be finite"),
    ],
)
def test_wrong_rows_are_refused(changes, sentence) -> None:
    good = {"features": np.ones((4, 2)), "targets": np.zeros(4), "groups": list("abcd")}
    with pytest.raises(ValueError, match=sentence):
        make_rows(**(good | changes))


def test_blocks_of_different_features_are_refused() -> None:
    blocks = [make_rows(np.ones((1, width)), [0.0], ["a"]) for width in (2, 3)]
    with pytest.raises(ValueError, match=r"blocks must have the same features, got \[2, 3\] columns"):
        stack(blocks)
