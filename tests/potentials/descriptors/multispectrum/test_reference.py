"""Multispectra in plain PyTorch: invariant, of the order they claim, and equal to sums over tuples of neighbors."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.descriptors.multispectrum.clebsch_gordan import real_coupling
from rhopot.potentials.descriptors.multispectrum.reference import multispectrum
from rhopot.potentials.descriptors.multispectrum.tables import term_tables
from rhopot.potentials.descriptors.multispectrum.terms import Terms, choose_terms
from rhopot.potentials.descriptors.soap.reference import power_spectrum

L_MAX, WIDTH = 3, 2
SIZES = np.array([[1.0, 0.5], [0.8, 0.4], [0.6, 0.3], [0.4, 0.2]])
TERMS = choose_terms(SIZES, (None, None, 60), (3, 3, 2))


def environment(n: int, seed: int) -> tuple[np.ndarray, torch.Tensor]:
    """Return directions (n, 3) and weights (n, L+1, U) of some neighbors."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 3))
    weights = torch.from_numpy(rng.normal(size=(n, L_MAX + 1, WIDTH)))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), weights


def density(vectors: np.ndarray, weights: torch.Tensor) -> torch.Tensor:
    """Return c_lmu = sum_j w_jlu Y_lm(j), (1, (L+1)^2, U)."""
    angular = real_spherical_harmonics(torch.from_numpy(vectors), L_MAX)
    degree = [degree for degree in range(L_MAX + 1) for _ in range(2 * degree + 1)]
    return torch.einsum("jk,jku->ku", angular, weights[:, degree])[None]


@pytest.mark.parametrize("seed", [0, 1])
def test_invariant_under_rotation_and_inversion(seed: int) -> None:
    vectors, weights = environment(7, seed)
    here = multispectrum(density(vectors, weights), term_tables(TERMS))
    assert here.shape == (1, TERMS.n_features)
    rotation = Rotation.random(random_state=seed).as_matrix()
    for moved in (vectors @ rotation.T, -vectors):
        torch.testing.assert_close(
            multispectrum(density(moved, weights), term_tables(TERMS)), here, rtol=1e-10, atol=1e-12
        )


def test_orders_are_homogeneous() -> None:
    c = density(*environment(6, 2))
    once, twice = multispectrum(c, term_tables(TERMS))[0], multispectrum(2.0 * c, term_tables(TERMS))[0]
    counts = [len(TERMS.one), len(TERMS.two), len(TERMS.three), len(TERMS.four)]
    assert min(counts) > 0
    order = torch.repeat_interleave(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor(counts))
    torch.testing.assert_close(twice, once * 2.0**order, rtol=1e-10, atol=1e-12)


def test_second_order_is_the_power_spectrum() -> None:
    c = density(*environment(5, 3))
    ours = multispectrum(c, term_tables(TERMS))[0, len(TERMS.one) : len(TERMS.one) + len(TERMS.two)]
    spectrum = power_spectrum(c)[0].reshape(-1, L_MAX + 1)
    row = {(u, v): k for k, (u, v) in enumerate(itertools.combinations_with_replacement(range(WIDTH), 2))}
    expected = torch.stack([spectrum[row[u, v], l] for l, u, v in TERMS.two.tolist()])  # noqa: E741
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)


def test_third_order_is_a_sum_over_triples_of_neighbors() -> None:
    """Of each triple, the coupling of three harmonics: a function of the three angles between its vectors."""
    vectors, weights = environment(4, 4)
    first = len(TERMS.one) + len(TERMS.two)
    ours = multispectrum(density(vectors, weights), term_tables(TERMS))[0, first : first + len(TERMS.three)]
    angular = real_spherical_harmonics(torch.from_numpy(vectors), L_MAX).numpy()
    expected = []
    for k, u3 in TERMS.three.tolist():
        l1, u1, l2, u2, l3 = TERMS.pairs[k].tolist()
        y = [angular[:, degree**2 : (degree + 1) ** 2] for degree in (l1, l2, l3)]
        coupled = np.einsum("abm,ia,jb,km->ijk", real_coupling(l1, l2, l3), *y) / math.sqrt(2 * l3 + 1)
        w = [weights[:, degree, u].numpy() for degree, u in ((l1, u1), (l2, u2), (l3, u3))]
        expected.append(np.einsum("ijk,i,j,k->", coupled, *w))
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


def test_all_products_of_three_channels_are_independent() -> None:
    """As many independent functions as terms: none is written twice and none vanishes."""
    complete = choose_terms(SIZES, (0, None, 0), (3, 2, 0))
    rows = torch.cat([multispectrum(density(*environment(8, seed)), term_tables(complete)) for seed in range(160)])
    third = rows[:, len(complete.one) :]
    assert third.shape[1] == len(complete.three) < 160
    assert int(torch.linalg.matrix_rank(third / third.norm(dim=0))) == len(complete.three)


def test_the_largest_products_are_kept() -> None:
    everything = choose_terms(SIZES, (None, None, 10_000), (3, 3, 2))
    for order, count in ((0, 7), (1, 9), (2, 11)):
        counts: list[int | None] = [None, None, 10_000]
        counts[order] = count
        kept = choose_terms(SIZES, (counts[0], counts[1], counts[2] or 0), (3, 3, 2))
        chosen, of_all = products(kept, order), products(everything, order)
        assert len(chosen) == count
        assert chosen == of_all[:count]


def products(terms: Terms, order: int) -> list[float]:
    """Return the products of sizes of the terms of order 2, 3 or 4, the largest first."""
    pairs = [SIZES[l1, u1] * SIZES[l2, u2] for l1, u1, l2, u2, _ in terms.pairs.tolist()]
    if order == 0:
        found = [SIZES[l, u] * SIZES[l, v] for l, u, v in terms.two.tolist()]  # noqa: E741
    elif order == 1:
        found = [pairs[k] * SIZES[terms.pairs[k, 4], u] for k, u in terms.three.tolist()]
    else:
        found = [pairs[a] * pairs[b] for a, b in terms.four.tolist()]
    return sorted((round(float(x), 12) for x in found), reverse=True)


def test_double_backward() -> None:
    few = choose_terms(SIZES, (6, 6, 6), (2, 2, 2))
    c = density(*environment(4, 6)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: multispectrum(x, term_tables(few)).sum(), c)
