"""Members: their statistics, their calibration, and what they say where there was no data."""

from __future__ import annotations

from dataclasses import fields

import many_body_toy as toy
import numpy as np
import pytest
from labelled import CUTOFF, fit_problem, frames, structures

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.fitting.calibration import (
    NO_FORCES,
    ForceErrors,
    calibrate_forces,
    quantile_scale,
    rank_correlation,
)
from rhopot.potentials.fitting.least_squares.coordinates import DiagonalCoordinates
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear
from rhopot.potentials.fitting.least_squares.jackknife import HeldOutEnergies
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.least_squares.members import (
    MemberCalibration,
    calibrate_members,
    centred_columns,
    member_departures,
    normals,
)
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve

LINEAR = LinearSettings(prior=0.3, scaling=0.5)
GAP = GapSettings(zeta=2, delta=2.0, n_sparse=60)


def small_posterior() -> tuple[Posterior, np.ndarray, np.ndarray]:
    """Return the posterior of 30 equations for 5 coefficients, and its mean and covariance in closed form."""
    random = np.random.default_rng(0)
    a, y, scale = random.standard_normal((30, 5)), random.standard_normal(30), np.geomspace(0.1, 3, 5)
    equations = NormalEquations(5, 1, 16)
    equations.add(np.column_stack([a * scale, y]), 0)
    equations.flush()
    covariance = np.linalg.inv(a.T @ a + np.diag(scale**-2))
    return solve(equations, DiagonalCoordinates(scale)), covariance @ a.T @ y, covariance


def test_posterior_equals_bayesian_linear_regression() -> None:
    posterior, mean, covariance = small_posterior()
    np.testing.assert_allclose(posterior.coefficients, mean, rtol=1e-10)
    spread = posterior.expand(np.eye(5))
    np.testing.assert_allclose(spread @ spread.T, covariance, rtol=1e-10, atol=1e-14)
    row = np.arange(1.0, 6.0)
    compressed = posterior.coordinates.compress(row[None])
    assert np.linalg.norm(posterior.whiten(compressed)) == pytest.approx(np.sqrt(row @ covariance @ row), rel=1e-10)
    assert (np.diag(posterior.factor) > 0).all()


def test_normals_are_centred_with_unit_deviation_on_average() -> None:
    drawn = normals(4000, 8, seed=1)
    np.testing.assert_allclose(drawn.mean(axis=1), 0, atol=1e-14)
    assert np.mean(drawn.std(axis=1) ** 2) == pytest.approx(1.0, abs=0.03)
    np.testing.assert_array_equal(drawn, normals(4000, 8, seed=1))
    assert not np.allclose(drawn, normals(4000, 8, seed=2))


def test_more_members_than_folds_hold_the_departures_exactly() -> None:
    mixing = centred_columns(10, 16, seed=3)
    np.testing.assert_allclose(mixing @ mixing.T, 16 * np.eye(10), atol=1e-12)
    np.testing.assert_allclose(mixing.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(centred_columns(10, 4, seed=3).mean(axis=1), 0, atol=1e-12)


def test_members_have_the_covariance_that_the_calibration_asks_for() -> None:
    posterior, _, covariance = small_posterior()
    departures = np.random.default_rng(5).standard_normal((5, 3))
    found = member_departures(posterior, departures, MemberCalibration(0.7, 2.0, 0.5, 9, 0.7, 0.5), 40_000, seed=6)
    committee = posterior.expand(departures)
    expected = 0.7**2 * committee @ committee.T + 2.0**2 * covariance
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(found, bias=True), expected, atol=0.03 * np.abs(expected).max())


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_calibration_finds_the_scale_and_the_share_of_synthetic_errors(share: float) -> None:
    random = np.random.default_rng(2)
    jackknife, posterior = np.exp(random.normal(0, 0.9, (2, 4000)))
    true = 0.02 * np.sqrt((1 - share) * jackknife**2 + share * posterior**2)
    errors = true * random.standard_normal(4000)
    found = calibrate_members(HeldOutEnergies(errors, 5 * jackknife, 0.1 * posterior))
    claimed = np.hypot(found.jackknife_scale * 5 * jackknife, found.posterior_scale * 0.1 * posterior)
    assert np.median(claimed / true) == pytest.approx(1.0, abs=0.06)
    assert found.posterior_share == pytest.approx(share, abs=0.26)
    assert found.within_one == pytest.approx(0.6827, abs=0.001)
    assert found.rank_correlation > 0.3
    assert found.n_energies == 4000


def test_rank_correlation_of_orders() -> None:
    assert rank_correlation(np.array([1.0, 5, 9]), np.array([0.1, 0.2, 7])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 5, 9]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert rank_correlation(np.array([1.0, 5, 9]), np.ones(3)) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "settings"), [(fit_linear, LINEAR), (fit_gap, GAP)])
def test_members_surround_the_prediction_and_widen_away_from_the_data(fit, settings) -> None:  # type: ignore[no-untyped-def]
    train, validation, test = frames(60), frames(40, seed=7), frames(60, seed=8)
    result = fit(fit_problem(train, validation, members=16), settings)
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
    assert calibration["n_energies"] == 40 + 60
    assert 0.5 < calibration["within_one"] < 0.85


@pytest.mark.parametrize("count", [3, 10, 21, 60])
def test_a_factor_from_few_errors_covers_further_ones(count: int) -> None:
    """On average over calibration sets at least 68% of further errors lie within one deviation, at any number."""
    random = np.random.default_rng(count)
    inside = []
    for _ in range(400):
        size = random.uniform(0.1, 1.0, count)
        factor = quantile_scale(2.0 * size * random.standard_normal(count), size)
        inside.append(np.mean(np.abs(2.0 * random.standard_normal(200)) <= factor))
    expected = np.ceil(0.6827 * (count + 1)) / (count + 1)
    assert np.mean(inside) == pytest.approx(expected, abs=0.02)
    assert np.mean(inside) > 0.6827 - 0.02


def force_errors(errors: np.ndarray, deviations: np.ndarray, n_frames: int, species: int = 0) -> ForceErrors:
    """Components that are assigned to frames in blocks, all of one element."""
    frames = np.repeat(np.arange(n_frames), len(errors) // n_frames)
    return ForceErrors(errors, deviations, np.full(len(errors), species), frames)


def test_force_components_of_few_frames() -> None:
    """Frames differ in how far errors exceed the deviations, so their number widens the factor, not the components'."""
    random = np.random.default_rng(1)

    def sample(n: int) -> ForceErrors:
        deviations = random.uniform(0.1, 1.0, (n, 96))
        frame = np.exp(0.4 * random.standard_normal((n, 1)))
        return force_errors((frame * deviations * random.standard_normal((n, 96))).ravel(), deviations.ravel(), n)

    inside = []
    for _ in range(200):
        found = calibrate_forces(sample(6), ["Si"])
        assert found is not None
        further = sample(20)
        inside.append(np.mean(np.abs(further.errors) <= found.factors["Si"] * further.deviations))
    assert 0.68 < np.mean(inside) < 0.80
    assert calibrate_forces(sample(2), ["Si"]) is None


def test_forces_that_vanish_by_symmetry_do_not_calibrate() -> None:
    """Half of the components are rounding, of the error as of the deviation: the factor is that of the others."""
    random = np.random.default_rng(2)
    deviations = random.uniform(0.1, 1.0, 900)
    errors = 2.0 * deviations * random.standard_normal(900)
    rounding = 1e-8 * random.standard_normal((2, 900))
    alone = force_errors(errors, deviations, 50)
    mixed = ForceErrors(
        np.append(errors, rounding[0]), np.append(deviations, np.abs(rounding[1])), np.zeros(1800, dtype=np.int64),
        np.tile(alone.frames, 2),
    )  # fmt: skip
    found = calibrate_forces(alone, ["Si"])
    assert found is not None
    assert calibrate_forces(mixed, ["Si"]) == found
    assert found.factors["Si"] == pytest.approx(2.0, rel=0.1)


def test_each_element_has_its_factor_of_forces() -> None:
    """Errors of one element are six times those of the other at equal deviations; a third is in two frames only."""
    random = np.random.default_rng(3)
    deviations = random.uniform(0.1, 1.0, (3, 1800))
    noise = random.standard_normal((3, 1800))
    parts = [force_errors(scale * deviations[s] * noise[s], deviations[s], 60, s) for s, scale in enumerate((0.5, 3.0))]
    rare = force_errors(deviations[2, :24] * noise[2, :24], deviations[2, :24], 2, 2)
    together = ForceErrors(
        *(np.concatenate([getattr(part, field.name) for part in (*parts, rare)]) for field in fields(ForceErrors))
    )
    found = calibrate_forces(together, ["Li", "Si", "H"])
    assert found is not None
    assert found.factors["Li"] == pytest.approx(0.5, rel=0.1)
    assert found.factors["Si"] == pytest.approx(3.0, rel=0.1)
    assert found.factors["Li"] < found.factors["H"] < found.factors["Si"]
    assert found.within_one == pytest.approx(0.6827, abs=0.02)
    assert found.rank_correlation > 0.5
    assert found.n_frames == 60


def test_structures_of_several_processes_stay_apart() -> None:
    one = force_errors(np.ones(12), np.ones(12), 3)
    joined = ForceErrors.joined([one, NO_FORCES, one])
    assert joined.n_frames == 6
    assert len(joined.errors) == 24
