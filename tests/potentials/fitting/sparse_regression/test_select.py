"""Order of the selection: equal to full refits, to an independent program, and what it does with dependent columns."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_problems import brute_force, correlated

from rhopot.potentials.fitting.sparse_regression.gram import GramEngine
from rhopot.potentials.fitting.sparse_regression.orthogonal import RowEngine
from rhopot.potentials.fitting.sparse_regression.select import Engine, select
from rhopot.potentials.fitting.sparse_regression.weighted_rows import make_design_table, make_rows

ENGINES = pytest.mark.parametrize("kind", [GramEngine, RowEngine])


def choose(rows, weights, kind, limit, constant="first", candidates=10**6, seed=0, dependence=1e-5) -> list[int]:
    table = make_design_table(rows, np.arange(rows.features.shape[1]), constant)
    engine: Engine = kind(table.matrix, table.targets, weights, limit, dependence)
    first = table.constant_column if constant == "first" else None
    return select(engine, table.usable, first, limit, candidates, np.random.default_rng(seed)).tolist()


@ENGINES
@pytest.mark.parametrize("constant", ["first", "candidate"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_choice_is_that_of_full_refits(kind, constant, seed) -> None:
    rows = correlated(n=60, d=25, seed=seed)
    weights = np.random.default_rng(seed).integers(0, 3, 60).astype(float)
    expected = brute_force(rows, weights, 12, constant == "first")
    assert choose(rows, weights, kind, 12, constant) == expected


@ENGINES
def test_first_choices_on_orthogonal_columns_are_those_of_matching_pursuit(kind) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    # Orthonormal columns: the remainders stay as long as the columns, so both criteria are the correlation.
    rng = np.random.default_rng(5)
    x = np.linalg.qr(rng.standard_normal((50, 20)))[0]
    y = x @ rng.standard_normal(20) + 0.01 * rng.standard_normal(50)
    theirs = sklearn.OrthogonalMatchingPursuit(n_nonzero_coefs=7, fit_intercept=False).fit(x, y)
    ours = choose(make_rows(x, y, np.arange(50)), np.ones(50), kind, 7, "none")
    assert sorted(ours) == np.flatnonzero(theirs.coef_).tolist()


@ENGINES
def test_bagged_steps_take_the_best_of_their_draw(kind) -> None:
    rows = correlated()
    weights = np.ones(120)
    random = np.random.default_rng(3)
    chosen = [40]
    for _ in range(8):
        pool = np.setdiff1d(np.arange(40), chosen)
        drawn = random.choice(pool, 6, replace=False)
        few = make_rows(rows.features[:, np.sort(drawn)], rows.targets, rows.groups)
        kept = rows.features[:, [c for c in chosen if c < 40]]
        joined = make_rows(np.column_stack([few.features, kept]), rows.targets, rows.groups)
        residuals = []
        for j in range(6):
            a = np.column_stack([joined.features[:, [j, *range(6, 6 + kept.shape[1])]], np.ones(120)])
            a /= np.linalg.norm(a, axis=0)
            residuals.append(np.linalg.lstsq(a, rows.targets, rcond=None)[1].item())
        chosen.append(int(np.sort(drawn)[np.argmin(residuals)]))
    assert choose(rows, weights, kind, 9, candidates=6, seed=3) == chosen


def test_both_methods_choose_the_same_on_the_way_to_dependence() -> None:
    # Columns that differ from the others by 1e-4 of their length: remainders shrink to the least that may be chosen.
    rng = np.random.default_rng(7)
    x = rng.standard_normal((300, 30))
    x = np.column_stack([x, x @ rng.standard_normal((30, 60)) / 5 + 1e-4 * rng.standard_normal((300, 60))])
    rows = make_rows(x, rng.standard_normal(300), np.arange(300))
    orders = [choose(rows, np.ones(300), kind, 91, candidates=9) for kind in (GramEngine, RowEngine)]
    assert len(orders[0]) == 91
    assert orders[0] == orders[1]


@ENGINES
@pytest.mark.parametrize("candidates", [3, 10**6])
def test_dependent_columns_are_never_chosen(kind, candidates) -> None:
    rng = np.random.default_rng(1)
    base = rng.standard_normal((80, 6)) + 5.0
    copies = np.column_stack(
        [base, base, 3 * base[:, :3] - 2, base @ rng.standard_normal((6, 5)), np.full((80, 2), 7.0)]
    )
    copies[:, 6:12] += 1e-7 * rng.standard_normal((80, 6))
    rows = make_rows(copies, rng.standard_normal(80), np.arange(80))
    chosen = choose(rows, np.ones(80), kind, 22, candidates=candidates)
    assert chosen[0] == 22
    assert len(chosen) == 7
    assert np.linalg.matrix_rank(np.column_stack([np.ones(80), copies[:, chosen[1:]]]), tol=1e-3) == 7


@ENGINES
def test_dependence_moves_the_border(kind) -> None:
    rng = np.random.default_rng(2)
    base = rng.standard_normal(60)
    x = np.column_stack([base, base + 1e-3 * rng.standard_normal(60)])
    rows = make_rows(x, base + 0.3 * rng.standard_normal(60), np.arange(60))
    assert [len(choose(rows, np.ones(60), kind, 3, dependence=d)) for d in (1e-5, 1e-2)] == [3, 2]


@ENGINES
def test_a_planted_model_is_found_exactly_and_then_nothing(kind) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((200, 60)) * 10.0 ** rng.uniform(-4, 4, 60)
    planted = [3, 17, 40, 59]
    rows = make_rows(x, (x[:, planted] / x[:, planted].std(axis=0)) @ [1.0, -2.0, 0.5, 0.25] - 400.0, np.arange(200))
    chosen = choose(rows, np.ones(200), kind, 60)
    assert sorted(chosen) == [*planted, 60]


@ENGINES
def test_an_offset_of_the_targets_changes_no_choice(kind) -> None:
    rows = correlated(seed=8)
    shifted = make_rows(rows.features, rows.targets + 1000.0, rows.groups)
    assert choose(rows, np.ones(120), kind, 20) == choose(shifted, np.ones(120), kind, 20)


@ENGINES
def test_units_of_the_features_change_no_choice(kind) -> None:
    rows = correlated(seed=9)
    scaled = make_rows(rows.features * 10.0 ** np.linspace(-8, 8, 40), rows.targets, rows.groups)
    assert choose(rows, np.ones(120), kind, 20) == choose(scaled, np.ones(120), kind, 20)


@ENGINES
def test_copies_of_rows_are_weights(kind) -> None:
    rows = correlated(n=60, seed=10)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    again = np.repeat(np.arange(60), counts)
    repeated = make_rows(rows.features[again], rows.targets[again], rows.groups[again])
    assert choose(rows, counts.astype(float), kind, 20) == choose(repeated, np.ones(len(again)), kind, 20)
