"""Fits without folds: equal to refits; their covariance is that of repeated experiments where the posterior fails."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.least_squares.coordinates import DiagonalCoordinates
from rhopot.potentials.fitting.least_squares.jackknife import HeldOutEnergies, centred_departures, jackknife
from rhopot.potentials.fitting.least_squares.solve import Posterior, solve

RANK, FOLDS = 6, 5


def equations(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows (n, RANK), targets (n) and folds (n)."""
    random = np.random.default_rng(seed)
    return random.standard_normal((n, RANK)) * 3, random.standard_normal(n), np.arange(n) % FOLDS


def assembled(a: np.ndarray, y: np.ndarray, folds: np.ndarray) -> tuple[Assembly, Posterior]:
    """Return the assembly with every row kept as an energy, and the posterior."""
    assembly = Assembly.empty(a.shape[1], int(folds.max()) + 1, block_rows=16)
    rows = np.column_stack([a, y])
    for g in range(int(folds.max()) + 1):
        assembly.equations.add(rows[folds == g], g)
    assembly.equations.flush()
    assembly.energies, assembly.energy_folds, assembly.frames = rows, folds, np.arange(len(rows))
    return assembly, solve(assembly.equations, DiagonalCoordinates(np.ones(a.shape[1])))


def ridge(a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ridge solution and its covariance in closed form."""
    covariance = np.linalg.inv(a.T @ a + np.eye(a.shape[1]))
    return covariance @ a.T @ y, covariance


@pytest.mark.parametrize("held", [0, 3])  # rows that the sample of rows knows nothing of
def test_fits_without_one_and_two_folds_equal_refits(held: int) -> None:
    a, y, folds = equations(0)
    if held:
        a[:, 2] = np.where(np.isin(np.arange(60), [41, 43, 44]), 1e3 * a[:, 2], 0.0)
    assembly, posterior = assembled(a, y, folds)
    assert assembly.equations.held.count == held
    departures, evidence = jackknife(assembly, posterior)
    alone = np.array([ridge(a[folds != g], y[folds != g])[0] for g in range(FOLDS)])
    spread = alone - alone.mean(axis=0)
    expected = (FOLDS - 1) / FOLDS * spread.T @ spread
    found = posterior.expand(departures)
    np.testing.assert_allclose(found @ found.T, expected, rtol=1e-8, atol=1e-12)
    order = np.argsort(folds, kind="stable")
    for k, row in enumerate(order):
        g = folds[row]
        rest = folds != g
        w, covariance = ridge(a[rest], y[rest])
        pairs = np.array([ridge(a[rest & (folds != h)], y[rest & (folds != h)])[0] for h in range(FOLDS) if h != g])
        others = (pairs - pairs.mean(axis=0)) @ a[row]
        shrink = np.sqrt((FOLDS - 1) / FOLDS)
        assert evidence.errors[k] == pytest.approx(a[row] @ w - y[row], rel=1e-8)
        assert evidence.posterior[k] == pytest.approx(shrink * np.sqrt(a[row] @ covariance @ a[row]), rel=1e-8)
        expected_jackknife = shrink * np.sqrt((FOLDS - 2) / (FOLDS - 1) * others @ others)
        assert evidence.jackknife[k] == pytest.approx(expected_jackknife, rel=1e-7)


def test_fold_that_alone_knows_a_direction_leaves_the_prior() -> None:
    a, y, folds = equations(1)
    a[:, 0] = np.where(folds == 2, 1e3, 0.0)
    departures, _ = jackknife(*assembled(a, y, folds))
    assert np.isfinite(departures).all()
    assembly, posterior = assembled(a, y, folds)
    whole = posterior.mean
    without = ridge(a[folds != 2], y[folds != 2])[0]
    assert without[0] == pytest.approx(0.0, abs=1e-12)
    found = posterior.expand(jackknife(assembly, posterior)[0])
    # rows of V are centred: the difference of two columns is that of two fits
    scale = np.sqrt((FOLDS - 1) / FOLDS)
    difference = (found[:, 2] - found[:, 0]) / scale
    expected = without - ridge(a[folds != 0], y[folds != 0])[0]
    np.testing.assert_allclose(difference, expected, rtol=1e-4, atol=1e-4 * abs(whole).max())


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 5, 6, 7])
def test_directions_that_one_fold_alone_knows_are_right_or_refused(size: int, exponent: int) -> None:
    """Deviations of all rows equal those of refits by Householder reflections, however heavy the fold's equations."""
    random = np.random.default_rng(0)
    n, rank = 400, 40
    folds = np.arange(n) % FOLDS
    a = random.standard_normal((n, rank))
    a[:, :size] = np.where((folds == 2)[:, None], 10.0**exponent * random.standard_normal((n, size)), 0.0)
    a = a @ np.linalg.qr(random.standard_normal((rank, rank)))[0].T
    y = a @ random.standard_normal(rank) + random.standard_normal(n)
    if exponent >= 3 and (exponent > 3 or size > 1):
        with pytest.raises(ValueError, match="sigmas of targets must leave the prior some weight"):
            jackknife(*assembled(a, y, folds))
        return
    alone = []
    for g in range(FOLDS):
        q, r = np.linalg.qr(np.vstack([a[folds != g], np.eye(rank)]))
        alone.append(np.linalg.solve(r, q.T @ np.append(y[folds != g], np.zeros(rank))))
    expected = a @ centred_departures(np.array(alone))
    assembly, posterior = assembled(a, y, folds)
    found = a @ posterior.expand(jackknife(assembly, posterior)[0])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), rtol=1e-3)


def test_jackknife_covariance_equals_that_of_repeated_experiments_with_correlated_errors() -> None:
    """Frames of 8 rows share one error: the textbook posterior is too sure, the jackknife is not."""
    random = np.random.default_rng(3)
    n_frames, size = 200, 8
    a = np.repeat(random.standard_normal((n_frames, 3)), size, axis=0) + 0.3 * random.standard_normal((1600, 3))
    folds = np.repeat(np.arange(n_frames) % 20, size)
    truth, fits, claimed = np.array([1.0, -2.0, 0.5]), [], []
    for trial in range(60):
        errors = np.repeat(np.random.default_rng(trial).standard_normal(n_frames), size)
        assembly, posterior = assembled(a, a @ truth + errors, folds)
        fits.append(posterior.mean)
        found = posterior.expand(jackknife(assembly, posterior)[0])
        claimed.append(np.diag(found @ found.T))
    actual = np.var(fits, axis=0)
    np.testing.assert_allclose(np.mean(claimed, axis=0), actual, rtol=0.45)
    assert (np.diag(ridge(a, a @ truth)[1]) < 0.3 * actual).all()
    a_frame = a.reshape(n_frames, size, 3)
    bread = np.linalg.inv(a.T @ a)
    meat = np.einsum("fri,fsj->ij", a_frame, a_frame)  # frame errors of variance one, equal within a frame
    np.testing.assert_allclose(np.mean(claimed, axis=0), np.diag(bread @ meat @ bread), rtol=0.1)


def test_centred_departures_and_joined_evidence() -> None:
    fits = np.random.default_rng(4).standard_normal((7, 3))
    np.testing.assert_allclose(
        centred_departures(fits) @ centred_departures(fits).T, 6 * np.cov(fits.T, bias=True), rtol=1e-12
    )
    one = HeldOutEnergies.of(np.array([0.5]), np.array([[3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    assert (one.posterior[0], one.jackknife[0]) == (pytest.approx(5.0), pytest.approx(np.hypot(3, 8)))
    assert len(one.join(one).errors) == 2
