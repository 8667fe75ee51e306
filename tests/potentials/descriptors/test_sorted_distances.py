"""Sorted distances: closed forms on small environments, the Wasserstein distance, and invariance."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk
from scipy.stats import wasserstein_distance

from rhopot.potentials.descriptors.sorted_distances import SortedDistanceSettings, complete, sorted_distances


def settings(**changes: object) -> SortedDistanceSettings:
    return SortedDistanceSettings.model_validate({"symbols": ("Li", "Si"), "cutoff": 4.0, **changes})


def disordered(seed: int = 0, n: int = 12) -> ase.Atoms:
    random = np.random.default_rng(seed)
    return ase.Atoms("Li5Si7", positions=random.uniform(0, 6, (n, 3)), cell=[6, 6, 6], pbc=True)


def test_small_environments() -> None:
    """Closed form: a bent molecule; what is missing lies at the cutoff, and an atom beyond it does not count."""
    atoms = ase.Atoms("LiSiSiLi", positions=[[0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 0, 9]])
    found = sorted_distances(settings(n_neighbors=2), atoms)
    expected = [[4, 4, 2, 3], [2, 4, np.sqrt(13), 4], [3, 4, np.sqrt(13), 4], [4, 4, 4, 4]]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_crystal_has_its_shells() -> None:
    """Diamond: 4 neighbors at a sqrt(3)/4, 12 at a/sqrt(2)."""
    chosen = complete(settings(symbols=("Si",)), [bulk("Si", cubic=True)])
    assert chosen.n_neighbors == 16
    found = sorted_distances(chosen, bulk("Si", cubic=True))
    a = 5.43
    np.testing.assert_allclose(found, np.tile([a * 3**0.5 / 4] * 4 + [a / 2**0.5] * 12, (8, 1)), rtol=1e-12)


def test_more_neighbors_than_asked_for_are_the_nearest() -> None:
    few = sorted_distances(settings(n_neighbors=2), disordered())
    many = sorted_distances(complete(settings(), [disordered()]), disordered())
    half = many.shape[1] // 2
    np.testing.assert_array_equal(few, many[:, [0, 1, half, half + 1]])


def test_rows_are_as_far_apart_as_the_densities() -> None:
    """[1, eq. 1.9], p = 1, from SciPy; both densities have M points."""
    chosen = settings(symbols=("Li", "Si"), n_neighbors=30)
    rows = sorted_distances(chosen, disordered()).reshape(12, 2, 30)
    for species in range(2):
        expected = wasserstein_distance(rows[0, species], rows[5, species])
        assert np.abs(rows[0, species] - rows[5, species]).mean() == pytest.approx(expected, rel=1e-12)
        assert expected > 0.01


def test_invariance() -> None:
    """Rotation with inversion, translation, and the order of the atoms."""
    atoms = disordered()
    chosen = complete(settings(), [atoms])
    expected = sorted_distances(chosen, atoms)
    turn = -np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    order = np.random.default_rng(3).permutation(len(atoms))
    moved = ase.Atoms(
        numbers=atoms.numbers[order],
        positions=(atoms.positions[order] + [1, 2, 3]) @ turn,
        cell=atoms.cell @ turn,
        pbc=True,
    )
    np.testing.assert_allclose(sorted_distances(chosen, moved), expected[order], atol=1e-10)
    assert np.ptp(expected, axis=0).max() > 0.1


def test_a_neighbor_that_leaves_makes_no_step() -> None:
    pairs = [
        sorted_distances(settings(n_neighbors=1), ase.Atoms("Li2", positions=[[0, 0, 0], [4.0 + h, 0, 0]]))
        for h in (-1e-7, 1e-7)
    ]
    assert np.abs(pairs[0] - pairs[1]).max() == pytest.approx(1e-7, rel=1e-3)


def test_messages() -> None:
    with pytest.raises(ValueError, match="n_neighbors must be a number, got none; use complete"):
        sorted_distances(settings(), disordered())
    with pytest.raises(ValueError, match="symbols must cover every element of the data, got Li, Si without Cu"):
        sorted_distances(settings(n_neighbors=1), bulk("Cu"))
    assert settings(n_neighbors=3).describe() == ["3 sorted distances to neighbors of each element within 4 A"]
    assert complete(settings(), [ase.Atoms("Li")]).n_neighbors == 1
