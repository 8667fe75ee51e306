"""Greedy D-optimal selection: against a direct determinant, copies, priorities, and fingerprints of structures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rhopot.potentials.harvesting.selection import (
    SAME,
    Environments,
    d_optimal,
    fingerprint,
    is_copy,
    principal_rows,
)


def environments(seed: int, n: int = 4, width: int = 6, error: float = 1.0, number: int = 14) -> Environments:
    rng = np.random.default_rng(seed)
    return Environments(rng.normal(size=(n, width)), np.full(n, number), error * rng.uniform(0.2, 1.0, n))


def covariance(frames: list[Environments]) -> np.ndarray:
    """e_i e_j c_ij as it is written, with the Gram matrix of the centered features."""
    features = np.concatenate([frame.features for frame in frames])
    numbers = np.concatenate([frame.numbers for frame in frames])
    errors = np.concatenate([frame.errors for frame in frames])
    for number in np.unique(numbers):
        features[numbers == number] -= features[numbers == number].mean(axis=0)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return np.outer(errors, errors) * (unit @ unit.T) * (numbers[:, None] == numbers)


def information(frames: list[Environments], chosen: list[int], noise: float) -> float:
    """1/2 log det of the atoms of some frames."""
    ends = np.cumsum([0, *(len(frame.errors) for frame in frames)])
    rows = np.concatenate([np.arange(ends[k], ends[k + 1]) for k in chosen])
    part = covariance(frames)[np.ix_(rows, rows)] / noise**2
    return 0.5 * float(np.linalg.slogdet(np.eye(len(rows)) + part)[1])


@pytest.mark.parametrize("numbers", [(14, 14), (3, 14)])
def test_every_choice_gains_most_of_what_the_determinant_says(numbers: tuple[int, int]) -> None:
    frames = [environments(k, number=numbers[k % 2]) for k in range(7)]

    chosen, gains = d_optimal(frames, 4, noise=0.3)

    before: list[int] = []
    for k, gain in zip(chosen, gains, strict=True):
        possible = {j: information(frames, [*before, j], 0.3) for j in range(7) if j not in before}
        assert k == max(possible, key=possible.__getitem__)
        assert gain == pytest.approx(possible[k] - (information(frames, before, 0.3) if before else 0.0), rel=1e-6)
        before.append(k)


def test_greedy_choice_is_near_the_best_of_all() -> None:
    """Of a submodular function the greedy value is at least 1 - 1/e of the best one (Nemhauser, Wolsey, Fisher)."""
    frames = [environments(k, n=2) for k in range(8)]
    chosen, gains = d_optimal(frames, 3, noise=0.2)
    best = max(information(frames, list(some), 0.2) for some in itertools.combinations(range(8), 3))
    assert sum(gains) >= (1.0 - 1.0 / np.e) * best
    assert len(set(chosen)) == 3


def test_a_copy_gains_little_and_what_is_known_gains_nothing() -> None:
    one, other = environments(1), environments(2)
    known = Environments(environments(3).features, one.numbers, np.zeros(4))
    chosen, _ = d_optimal([one, one, other, known], 4, noise=0.01)
    assert chosen[:2] in ([0, 2], [2, 0]), "the copy is not the second one"
    assert 3 not in chosen


def test_order_of_priorities_comes_first() -> None:
    frames = [environments(k, error=1.0 + k) for k in range(5)]
    chosen, _ = d_optimal(frames, 4, noise=0.1, first=[0, 1, 0, 1, 1])
    assert set(chosen[:2]) == {0, 2}
    plain, _ = d_optimal(frames, 2, noise=0.1)
    assert set(plain) != {0, 2}, "which they would not have been"


def test_one_atom_of_an_element_counts() -> None:
    """It has no direction among its like, and is not lost."""
    alone = Environments(np.ones((1, 5)), np.array([3]), np.array([2.0]))
    rows = principal_rows([alone, environments(1, width=5)])
    assert np.linalg.norm(rows[0], axis=1) == pytest.approx([1.0])
    assert rows[0] @ rows[1].T == pytest.approx(np.zeros((1, 4)))
    assert d_optimal([alone], 1, noise=0.1)[0] == [0]


def test_fewer_atoms_than_features_span_the_same_space() -> None:
    few = [environments(k, n=2, width=50) for k in range(3)]
    rows = np.concatenate(principal_rows(few))
    wanted = covariance([Environments(f.features, f.numbers, np.ones(2)) for f in few])
    assert rows @ rows.T == pytest.approx(wanted, abs=1e-10)


def test_infinite_errors_are_chosen_first() -> None:
    frames = [environments(0), Environments(environments(1).features, np.full(4, 14), np.full(4, np.inf))]
    chosen, gains = d_optimal(frames, 2, noise=0.1)
    assert chosen[0] == 1
    assert np.isfinite(gains).all()


def test_nothing_of_nothing() -> None:
    assert d_optimal([], 3, noise=1.0) == ([], [])


def test_fingerprints_tell_copies_from_others() -> None:
    one = environments(1, n=4)
    twice = Environments(np.repeat(one.features, 2, axis=0), np.repeat(one.numbers, 2), np.repeat(one.errors, 2))
    near = Environments(one.features * (1.0 + 0.1 * SAME), one.numbers, one.errors)
    far = Environments(one.features * (1.0 + 10.0 * SAME), one.numbers, one.errors)
    mark = fingerprint(one, one.numbers)
    assert is_copy(mark, fingerprint(twice, twice.numbers)), "a supercell"
    assert is_copy(mark, fingerprint(near, near.numbers))
    assert not is_copy(mark, fingerprint(far, far.numbers))
    assert not is_copy(mark, fingerprint(one, np.array([14, 14, 14, 3]))), "another composition"
