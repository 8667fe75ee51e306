"""Clebsch-Gordan coefficients of real harmonics: orthonormal, equivariant, and equal to Gaunt's integrals."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.descriptors.multispectrum.clebsch_gordan import real_coupling

TRIPLES = [(0, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 2), (2, 1, 2), (2, 2, 3), (3, 2, 1), (3, 3, 4), (4, 3, 5), (5, 5, 0)]


def harmonics(vectors: np.ndarray, degree: int) -> np.ndarray:
    """Return Y_lm of one degree (n, 2 l + 1)."""
    values = real_spherical_harmonics(torch.from_numpy(vectors), degree)
    return values[:, degree**2 :].numpy()


def directions(n: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("triple", TRIPLES)
def test_orthonormal(triple: tuple[int, int, int]) -> None:
    c = real_coupling(*triple)
    np.testing.assert_allclose(np.einsum("abm,abn->mn", c, c), np.eye(2 * triple[2] + 1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("triple", TRIPLES)
def test_coupled_components_rotate_like_harmonics(triple: tuple[int, int, int]) -> None:
    """D^l (C a b) = C (D^l1 a) (D^l2 b), with D from harmonics of rotated vectors."""
    rotation, points = Rotation.random(random_state=3).as_matrix(), directions(60, 1)
    a_to, b_to, v_to = (
        np.linalg.lstsq(harmonics(points, degree), harmonics(points @ rotation.T, degree), rcond=None)[0].T
        for degree in triple
    )
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=2 * triple[0] + 1), rng.normal(size=2 * triple[1] + 1)
    c = real_coupling(*triple)
    rotated = np.einsum("abm,a,b->m", c, a_to @ a, b_to @ b)
    np.testing.assert_allclose(rotated, v_to @ np.einsum("abm,a,b->m", c, a, b), rtol=0, atol=1e-10)


@pytest.mark.parametrize("triple", TRIPLES)
def test_products_of_one_harmonic_argument_are_those_of_gaunt(triple: tuple[int, int, int]) -> None:
    """sum C Y_l1 Y_l2 = sqrt((2 l1 + 1)(2 l2 + 1) / 4 pi (2 l + 1)) <l1 0 l2 0|l 0> Y_l; 0 for odd sums."""
    l1, l2, degree = triple
    u = directions(20, 4)
    found = np.einsum("abm,ia,ib->im", real_coupling(*triple), harmonics(u, l1), harmonics(u, l2))
    pole = real_coupling(*triple)[l1, l2, degree] if sum(triple) % 2 == 0 else 0.0
    factor = math.sqrt((2 * l1 + 1) * (2 * l2 + 1) / (4 * math.pi * (2 * degree + 1)))
    np.testing.assert_allclose(found, factor * pole * harmonics(u, degree), rtol=0, atol=1e-12)


def test_three_vectors_couple_to_the_cross_product() -> None:
    a, b = directions(2, 5)
    cross = np.einsum("abm,a,b->m", real_coupling(1, 1, 1), harmonics(a[None], 1)[0], harmonics(b[None], 1)[0])
    expected = harmonics(np.cross(a, b)[None], 1)[0]
    ratio = cross / expected
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)


def test_degrees_that_no_rotation_couples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\|l1 - l2\| <= l <= l1 \+ l2, got 1, 1 and 3"):
        real_coupling(1, 1, 3)
