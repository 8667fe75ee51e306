"""Measures of feature sets: closed forms, identities, and scikit-matter's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skmatter.metrics import global_reconstruction_error

from rhopot.potentials.analysis.measures import CUTOFFS, Split, compact, gfrd, gfre, lfre, reconstruct, split_structures

Floats = NDArray[np.float64]

N = 200
RANDOM = np.random.default_rng(7)
STRUCTURE = np.repeat(np.arange(20), 10)
SPLIT = split_structures(STRUCTURE, seed=3)
LATENT = RANDOM.normal(size=(N, 4))
X = LATENT @ RANDOM.normal(size=(4, 6))


def orthogonal(size: int) -> Floats:
    return np.linalg.qr(RANDOM.normal(size=(size, size)))[0]


def test_halves_are_of_different_structures() -> None:
    assert set(STRUCTURE[SPLIT.train]).isdisjoint(STRUCTURE[SPLIT.test])
    assert sorted([*SPLIT.train, *SPLIT.test]) == list(range(N))
    assert len(SPLIT.train) == N // 2
    assert list(split_structures(STRUCTURE, seed=3).train) == list(SPLIT.train)
    assert list(split_structures(STRUCTURE, seed=4).train) != list(SPLIT.train)


def test_halves_of_unequal_structures() -> None:
    """One structure holds nearly everything: both parts still have one."""
    structure = np.repeat([0, 1, 2], [90, 5, 5])
    for seed in range(6):
        split = split_structures(structure, seed)
        assert len(split.train) >= 5
        assert len(split.test) >= 5


def test_linear_functions_are_reconstructed() -> None:
    """Closed form: all measures of a rotated and shifted copy vanish; a projection is known, its complement not."""
    found = reconstruct(X, 3.0 * X @ orthogonal(6) + 1.0, SPLIT)
    assert max(found.gfre, found.gfrd, found.lfre) < 1e-8
    assert gfre(X, X[:, :2], SPLIT) < 1e-8
    assert gfre(X[:, :2], X, SPLIT) > 0.1


def test_distortion_of_a_stretched_plane() -> None:
    """Closed form: the orthogonal map that is nearest to a stretch leaves the difference of the standard deviations."""
    plane = RANDOM.normal(size=(N, 2))
    plane -= plane.mean(axis=0)
    everything = Split(np.arange(N), np.arange(N))
    white = plane @ np.linalg.inv(np.linalg.cholesky(plane.T @ plane / N)).T  # uncorrelated, variance one each
    stretched = white * [1.0, 3.0]
    isotropic, scaled = np.array([0.5, 0.5]) ** 0.5, np.array([1.0, 9.0]) ** 0.5 / 10**0.5
    expected = np.sqrt(((isotropic - scaled) ** 2).sum())
    assert gfre(white, stretched, everything) < 1e-8
    assert gfrd(white, stretched, everything) == pytest.approx(expected, abs=1e-8)
    assert gfrd(stretched, white, everything) == pytest.approx(expected, abs=1e-8)


def test_independent_features_tell_nothing() -> None:
    other = RANDOM.normal(size=(N, 3))
    assert 0.9 < gfre(LATENT, other, SPLIT) < 1.2


def test_a_curved_function_is_known_locally() -> None:
    line = np.linspace(-1.0, 1.0, N)[RANDOM.permutation(N)][:, None]
    parabola = line**2
    assert gfre(line, parabola, SPLIT) > 0.9
    assert lfre(line, parabola, SPLIT, neighbors=10) < 0.1
    assert lfre(parabola, line, SPLIT, neighbors=10) > 0.5, "the sign is lost"


def test_rotations_change_nothing() -> None:
    """Also of sets with more features than environments, which are rotated into the space of their rows."""
    wide = np.sin(LATENT @ RANDOM.normal(size=(4, 300)))
    source, target = wide[:, :30], wide
    turned = reconstruct(source @ orthogonal(30), target @ orthogonal(300), SPLIT)
    found = reconstruct(source, target, SPLIT)
    assert turned.gfre == pytest.approx(found.gfre, rel=1e-7)
    assert turned.gfrd == pytest.approx(found.gfrd, rel=1e-6)
    assert turned.lfre == pytest.approx(found.lfre, rel=1e-6)
    assert found.gfre > 0.01
    assert gfrd(target, source, SPLIT) > 0.0, "a set may have more features than the one it reconstructs"


def test_compact_coordinates_keep_products() -> None:
    wide = RANDOM.normal(size=(20, 70))
    found = compact(wide)
    assert found.shape == (20, 20)
    np.testing.assert_allclose(found @ found.T, wide @ wide.T, atol=1e-12)
    assert compact(X) is X


def test_scikit_matter_gives_the_same_number() -> None:
    """Independent of what is done before and after its function: its own defaults, on features as they are."""
    source, target = np.tanh(X), X**2
    default = global_reconstruction_error(source, target, train_idx=SPLIT.train, test_idx=SPLIT.test)
    assert gfre(source, target, SPLIT) == pytest.approx(default, rel=0.05)
    assert len(CUTOFFS) == 20


def test_scale_does_not_matter() -> None:
    assert gfre(1e-9 * X[:, :2], 1e6 * X, SPLIT) == pytest.approx(gfre(X[:, :2], X, SPLIT), rel=1e-9)


def test_messages() -> None:
    with pytest.raises(
        ValueError, match="structures must be at least two, for training and test part, got 1; give more data"
    ):
        split_structures(np.zeros(9, dtype=int), 0)
    with pytest.raises(ValueError, match="environments for training must be at least 4, got 1"):
        split_structures(np.arange(2), 0)
    with pytest.raises(ValueError, match="must describe the same environments, got 200 and 199"):
        gfre(X, X[1:], SPLIT)
    with pytest.raises(ValueError, match="target must be finite, got NaN"):
        gfre(X, np.full((N, 2), np.nan), SPLIT)
    with pytest.raises(ValueError, match="source must differ between the training environments, got 100 equal ones"):
        gfre(np.ones((N, 2)), X, SPLIT)
    with pytest.raises(ValueError, match=r"source must have shape \(N, F\), got \(200,\)"):
        gfre(X[:, 0], X, SPLIT)
    with pytest.raises(ValueError, match="neighbors must be at least 4, got 2"):
        lfre(X, X, SPLIT, neighbors=2)
