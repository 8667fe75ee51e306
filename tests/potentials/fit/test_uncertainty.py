"""Members: their statistics, their calibration, and what they say where there was no data."""

from __future__ import annotations

import many_body_toy as toy
import numpy as np
import pytest
from labelled import CUTOFF, frames, structures, task

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.fit import GapHypers, LinearHypers, fit_gap, fit_linear
from rhopot.potentials.fit.coordinates import DiagonalCoordinates
from rhopot.potentials.fit.qr import SequentialQR
from rhopot.potentials.fit.solve import solve
from rhopot.potentials.fit.uncertainty import calibrate, normals, rank_correlation

LINEAR = LinearHypers(prior=0.3, scaling=0.5)
GAP = GapHypers(zeta=2, delta=2.0, n_sparse=60)


def test_posterior_equals_bayesian_linear_regression() -> None:
    random = np.random.default_rng(0)
    a, y, scale = random.standard_normal((30, 5)), random.standard_normal(30), np.geomspace(0.1, 3, 5)
    qr = SequentialQR(5)
    qr.add(np.column_stack([a * scale, y]))
    posterior = solve(qr, DiagonalCoordinates(scale))
    covariance = np.linalg.inv(a.T @ a + np.diag(scale**-2))
    np.testing.assert_allclose(posterior.coefficients, covariance @ a.T @ y, rtol=1e-10)
    spread = posterior.draw(np.eye(5), 1.0)
    np.testing.assert_allclose(spread @ spread.T, covariance, rtol=1e-10, atol=1e-14)


def test_normals_are_centred_with_unit_deviation_on_average() -> None:
    drawn = normals(4000, 8, seed=1)
    np.testing.assert_allclose(drawn.mean(axis=1), 0, atol=1e-14)
    assert np.mean(drawn.std(axis=1) ** 2) == pytest.approx(1.0, abs=0.03)
    np.testing.assert_array_equal(drawn, normals(4000, 8, seed=1))
    assert not np.allclose(drawn, normals(4000, 8, seed=2))


def test_calibration_finds_the_scale_and_the_exponent_of_synthetic_errors() -> None:
    random = np.random.default_rng(2)
    base = np.exp(random.normal(0, 0.7, 4000))
    errors = 0.02 * base**1.5 * random.standard_normal(4000)
    found = calibrate(
        errors, {g: base**g for g in (0.5, 1.0, 1.5, 2.0)}, 3 * errors, {g: base**g for g in (0.5, 1.0, 1.5, 2.0)}
    )
    assert found.exponent == 1.5
    assert found.scale == pytest.approx(0.02, rel=0.06)
    assert found.within_one == pytest.approx(0.6827, abs=0.01)
    assert found.rank_correlation > 0.4
    assert found.forces_scale == pytest.approx(3 * found.scale, rel=0.01)


def test_few_energies_are_steadied_by_many_forces() -> None:
    """Eight energies of unlucky size: the scale lies between theirs and that of the forces."""
    random = np.random.default_rng(3)
    ones, many = np.ones(8), np.ones(3000)
    found = calibrate(3.0 * ones, {1.5: ones}, random.standard_normal(3000), {1.5: many})
    assert found.forces_scale == pytest.approx(1.0, rel=0.05)
    assert 1.5 < found.scale < 2.5
    alone = calibrate(3.0 * ones, {1.5: ones}, np.zeros(0), {1.5: np.zeros(0)})
    assert (alone.scale, alone.forces_scale) == (pytest.approx(3.0), None)


def test_rank_correlation_of_orders() -> None:
    assert rank_correlation(np.array([1.0, 5, 9]), np.array([0.1, 0.2, 7])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 5, 9]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert rank_correlation(np.array([1.0, 5, 9]), np.ones(3)) == 0.0


@pytest.mark.parametrize(("fit", "hypers"), [(fit_linear, LINEAR), (fit_gap, GAP)])
def test_members_surround_the_prediction_and_widen_away_from_the_data(fit, hypers) -> None:  # type: ignore[no-untyped-def]
    train, validation, test = frames(60), frames(40, seed=7), frames(60, seed=8)
    result = fit(task(train, validation, members=16), hypers)
    loaded = LoadedModel(card=toy.card(16, cutoff=CUTOFF), module=result.model)

    def deviations(atoms: list) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        found = evaluate(loaded, atoms, gradients=False, members=True)
        for one in found:
            assert one.members.sum(axis=0).mean() == pytest.approx(one.energy, abs=1e-7)
        return (
            np.array([one.energy / len(one.energies) for one in found]),
            np.array([one.energy_uncertainty() / len(one.energies) for one in found]),
        )

    energies, inside = deviations([frame.atoms for frame in test])
    errors = np.abs(energies - [frame.energy / 4 for frame in test])
    assert 0.5 < np.mean(errors < inside) < 0.85
    squeezed = structures(20, seed=8)
    for atoms in squeezed:
        atoms.set_cell(0.86 * atoms.cell.array, scale_atoms=True)
    assert np.median(deviations(squeezed)[1]) > 3 * np.median(inside)
    calibration = result.report["calibration"]
    assert calibration["n_frames"] == 40
    assert 0.5 < calibration["within_one"] < 0.85
