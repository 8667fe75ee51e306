"""Ensembles: averages, integrity of the groups, repeatability, resumption, variants, and that they predict."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from sparse_problems import correlated

from rhopot.potentials.fitting.sparse_regression import (
    Ensemble,
    Member,
    SparseRegressionSettings,
    WeightedRows,
    fit_ensemble,
    make_rows,
    stack,
)

SMALL = SparseRegressionSettings(n_members=6, max_features=20, seed=3)


def same(one: Member, other: Member) -> bool:
    """Whether two members are equal to the last bit."""
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name == "path":
            if (a is None) != (b is None):
                return False
            pairs = [] if a is None else [(getattr(a, g.name), getattr(b, g.name)) for g in fields(a)]
        else:
            pairs = [(a, b)]
        if not all(np.array_equal(x, y, equal_nan=np.asarray(x).dtype.kind == "f") for x, y in pairs):
            return False
    return True


def all_same(one: Ensemble, other: Ensemble) -> bool:
    return [m.number for m in one.members] == [m.number for m in other.members] and all(
        same(a, b) for a, b in zip(one.members, other.members, strict=True)
    )


def test_average_is_the_mean_of_members() -> None:
    rows = correlated()
    ensemble = fit_ensemble(rows, SMALL)
    each = np.array([rows.features @ m.coefficients + m.constant for m in ensemble.members]).T
    predicted = ensemble.predict(rows.features)
    assert predicted.shape == (120, 7)
    np.testing.assert_allclose(predicted[:, 1:], each, rtol=1e-10)
    np.testing.assert_allclose(predicted[:, 0], each.mean(axis=1), rtol=1e-10)
    assert (each.std(axis=1) > 0).all()
    np.testing.assert_array_equal(ensemble.used, np.flatnonzero(ensemble.coefficients[:, 0]))


def test_members_are_sparse_cut_at_the_least_validation_error_and_know_it() -> None:
    rows = correlated()
    for member in fit_ensemble(rows, SMALL).members:
        outside = member.multiplicity[rows.groups] == 0
        assert np.count_nonzero(member.coefficients) == member.best - 1 == len(member.used)
        assert member.validation[member.best - 1] == member.validation.min()
        wrong = rows.features @ member.coefficients + member.constant - rows.targets
        assert np.sqrt(np.mean(wrong[outside] ** 2)) == pytest.approx(member.validation.min(), rel=1e-8)
        inside = np.repeat(np.arange(120), member.multiplicity[rows.groups])
        assert np.sqrt(np.mean(wrong[inside] ** 2)) == pytest.approx(member.training[member.best - 1], rel=1e-8)
        assert (np.diff(member.training) <= 0).all()
        lowered = -np.diff(member.training**2) * member.multiplicity[rows.groups].sum()
        copies = member.multiplicity[rows.groups]
        scatter = np.sum(copies * (rows.targets - rows.targets.mean()) ** 2)
        np.testing.assert_allclose(member.gains[1:], lowered / scatter, rtol=1e-8, atol=1e-12)


def test_what_is_left_out_has_no_influence() -> None:
    rows = correlated()
    member = fit_ensemble(rows, SMALL.model_copy(update={"n_members": 1})).members[0]
    outside = member.multiplicity[rows.groups] == 0
    assert {*rows.groups[outside].tolist()}.isdisjoint(rows.groups[~outside].tolist())
    spoilt = replace(rows, targets=np.where(outside, 1e3, rows.targets))
    again = fit_ensemble(spoilt, SMALL.model_copy(update={"n_members": 1})).members[0]
    np.testing.assert_array_equal(again.order, member.order)
    np.testing.assert_allclose(again.training, member.training, rtol=1e-7)
    assert again.validation.min() > 100


def test_gram_and_rows_give_the_same_ensemble() -> None:
    rows = correlated(n=200, d=80, seed=2)
    fast = fit_ensemble(rows, SMALL)
    reference = fit_ensemble(rows, SMALL.model_copy(update={"method": "rows"}))
    assert all_same(fast, reference)


def test_seeds_threads_and_the_number_of_members_change_no_member() -> None:
    rows = correlated()
    ensemble = fit_ensemble(rows, SMALL)
    assert all_same(ensemble, fit_ensemble(rows, SMALL, workers=3))
    more = fit_ensemble(rows, SMALL.model_copy(update={"n_members": 8}))
    assert all(same(a, b) for a, b in zip(ensemble.members, more.members, strict=False))
    other = fit_ensemble(rows, SMALL.model_copy(update={"seed": 4}))
    assert not same(ensemble.members[0], other.members[0])


@pytest.mark.parametrize("keep_paths", [False, True])
def test_resumed_ensembles_are_equal_to_the_last_bit(tmp_path: Path, keep_paths: bool) -> None:
    rows, settings = correlated(), SMALL.model_copy(update={"keep_paths": keep_paths})
    whole = fit_ensemble(rows, settings)

    def stop(member: Member) -> None:
        if member.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_ensemble(rows, settings, folder=tmp_path, report=stop)
    assert (tmp_path / "member-0002.npz").exists()
    assert not list(tmp_path.glob("*.partial"))
    (tmp_path / "member-0000.npz").unlink()
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.npz")}
    resumed = fit_ensemble(rows, settings, folder=tmp_path, resume=True)
    assert all_same(resumed, whole)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before
    assert len(list(tmp_path.glob("*.npz"))) == 6


def test_ensembles_grow_but_do_not_mix(tmp_path: Path) -> None:
    rows = correlated()
    fit_ensemble(rows, SMALL, folder=tmp_path)
    grown = fit_ensemble(rows, SMALL.model_copy(update={"n_members": 8}), folder=tmp_path, resume=True)
    assert all_same(grown, fit_ensemble(rows, SMALL.model_copy(update={"n_members": 8})))
    for changed, settings in ((correlated(noise=0.06), SMALL), (rows, SMALL.model_copy(update={"candidates": 5}))):
        with pytest.raises(ValueError, match="must belong to the ensemble that is resumed"):
            fit_ensemble(changed, settings, folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="must belong to the ensemble that is resumed"):
        fit_ensemble(rows, SMALL, columns=np.arange(30), folder=tmp_path, resume=True)


def test_masked_columns_are_never_used() -> None:
    rows = correlated()
    mask = np.arange(40) % 2 == 1
    ensemble = fit_ensemble(rows, SMALL, columns=mask)
    assert set(ensemble.used) <= set(np.flatnonzero(mask))
    assert all_same(ensemble, fit_ensemble(rows, SMALL, columns=np.flatnonzero(mask)))
    alone = fit_ensemble(replace(rows, features=rows.features[:, mask]), SMALL)
    np.testing.assert_allclose(ensemble.coefficients[mask], alone.coefficients, rtol=1e-12)


def test_folds_without_bagging_differ_by_their_parts_alone() -> None:
    settings = SMALL.model_copy(update={"sampling": "folds", "n_members": 4, "candidates": "all"})
    ensemble = fit_ensemble(correlated(), settings)
    assert [int((m.multiplicity == 0).sum()) for m in ensemble.members] == [3, 3, 3, 3]
    assert len({m.order[1] for m in ensemble.members}) == 1


def test_single_frames_can_be_drawn() -> None:
    rows = correlated()
    ensemble = fit_ensemble(rows, SMALL.model_copy(update={"unit": "frames"}))
    assert all(len(m.multiplicity) == 120 and m.multiplicity.sum() == 120 for m in ensemble.members)
    forces = make_rows(np.ones((2, 40)), [0.0, 0.0], ["path-1"] * 2, constant=False)
    with pytest.raises(ValueError, match="unit must be groups where there are force rows, got frames"):
        fit_ensemble(stack([rows, forces]), SMALL.model_copy(update={"unit": "frames"}))


def hidden_derivatives(n: int, seed: int) -> tuple[WeightedRows, WeightedRows]:
    """Energies of few structures, and forces of the same model, 12 to a structure."""
    rng = np.random.default_rng(seed)
    w = np.zeros(60)
    w[[4, 11, 23, 38, 50]] = [0.5, -1.0, 0.8, 0.3, -0.6]
    x, dx = rng.standard_normal((n, 60)), rng.standard_normal((12 * n, 60))
    groups = np.arange(n) // 3
    energies = make_rows(x, x @ w - 2.0 + 0.2 * rng.standard_normal(n), groups)
    return energies, make_rows(
        dx, dx @ w + 0.2 * rng.standard_normal(12 * n), np.repeat(groups, 12), weights=1 / 12, constant=False
    )


def test_force_rows_make_a_better_model_of_few_structures() -> None:
    energies, forces = hidden_derivatives(30, 0)
    unseen, _ = hidden_derivatives(300, 1)
    settings = SparseRegressionSettings(n_members=10, max_features=30)
    errors = []
    for rows in (energies, stack([energies, forces])):
        ensemble = fit_ensemble(rows, settings)
        errors.append(np.sqrt(np.mean((ensemble.predict(unseen.features)[:, 0] - unseen.targets) ** 2)))
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 1.2 * 0.2
    member = ensemble.members[0]
    assert np.isfinite(member.others).all()
    total = member.validation**2
    between = np.sort([member.energies**2, member.others**2], axis=0)
    assert (between[0] <= total).all()
    assert (total <= between[1]).all()
    inside = np.repeat(np.arange(30), member.multiplicity[energies.groups])
    wrong = energies.features @ member.coefficients + member.constant - energies.targets
    assert member.fitted[member.best - 1] == pytest.approx(np.sqrt(np.mean(wrong[inside] ** 2)), rel=1e-8)


def test_force_weights_are_copies_of_rows() -> None:
    energies, forces = hidden_derivatives(30, 2)
    twice = replace(forces, weights=np.full(360, 2.0))
    copies = stack([replace(forces, weights=np.ones(360))] * 2)
    one, two = (fit_ensemble(stack([energies, block]), SMALL) for block in (twice, copies))
    assert [m.order.tolist() for m in one.members] == [m.order.tolist() for m in two.members]
    np.testing.assert_allclose(one.coefficients, two.coefficients, rtol=1e-8, atol=1e-12)


def test_curves_on_other_rows_end_at_the_errors_of_the_longest_models() -> None:
    rows = correlated()
    ensemble = fit_ensemble(rows, SMALL.model_copy(update={"keep_paths": True}))
    curve = ensemble.curve(rows.features, rows.targets)
    assert len(curve) == 20
    dense = [m.path.coefficients(7) for m in ensemble.members if m.path is not None]
    mean = rows.features @ np.mean([w for w, _ in dense], axis=0) + np.mean([b for _, b in dense])
    assert curve[6] == pytest.approx(np.sqrt(np.mean((mean - rows.targets) ** 2)), rel=1e-8)
    with pytest.raises(ValueError, match="keep_paths must be true"):
        fit_ensemble(rows, SMALL).curve(rows.features, rows.targets)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (np.ones(3, dtype=bool), r"columns must be a mask of 40 features, got shape \(3,\)"),
        ([0, 40], r"columns must be numbers of features 0\.\.39"),
    ],
)
def test_wrong_columns_are_refused(columns, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit_ensemble(correlated(), SMALL, columns=columns)


def test_features_that_do_not_vary_and_no_workers_are_refused() -> None:
    rows = correlated()
    with pytest.raises(ValueError, match="columns must hold a feature that varies"):
        fit_ensemble(replace(rows, features=np.ones((120, 40))), SMALL)
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        fit_ensemble(rows, SMALL, workers=0)
