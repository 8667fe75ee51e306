"""Pseudo-species: fewer densities than elements, each a sum of those of all elements.

    c_bnlm = sum_a W_ba c_anlm,    b = 1 ... B                                                          [1, eq. 1.26]

so that the number of features grows with B and not with the number of elements A. Weights are either fixed,

    kappa = sum_b lambda_b v_b v_b^T,  kappa_ab = exp(-(d_a - d_b)^2 / (2 s^2)),   W_ba ~ sqrt(lambda_b) v_b(a)

with covalent radii d and s = 0.3 A, elements of like size being alike, columns of W of norm one, so that the density of
every element counts the same; or learned: the orthonormal rows that keep most of the variance of the density over a
data set, the eigenvectors of the largest eigenvalues of

    S_ab = sum_l sum_n C^l_{(an),(bn)}           C: covariance of the density [1, eq. 2.6], see `optimal_basis`

One W serves all l and n. The mixed optimal basis couples elements and radial functions together and keeps at least as
much variance with as many channels.

[1] A. J. Goscinski, PhD thesis, EPFL (2023); alchemical similarity: doi:10.1039/C8CP05921G
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIKENESS = 0.3  # s in A


def weights_by_radii(symbols: Sequence[str], n_pseudo: int) -> Floats:
    """Return W (B, A), B = min(n_pseudo, A), of the likeness of covalent radii."""
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
    weights = _leading(np.exp(-0.5 * ((radii[:, None] - radii) / LIKENESS) ** 2), n_pseudo, scaled=True)
    return np.asarray(weights / np.linalg.norm(weights, axis=0))


def weights_by_variance(covariance: Floats, n_species: int, n_pseudo: int) -> Floats:
    """Return W (B, A), B = min(n_pseudo, A), that keeps most of the variance.

    covariance: C^l (L+1, A N, A N) in the order species > n
    """
    n = covariance.shape[1] // n_species
    blocks = covariance.reshape(-1, n_species, n, n_species, n)
    return _leading(np.einsum("lanbn->ab", blocks), n_pseudo, scaled=False)


def _leading(matrix: Floats, count: int, scaled: bool) -> Floats:
    """Return eigenvectors (count, A) of the largest eigenvalues, times their roots where `scaled`."""
    values, vectors = np.linalg.eigh(matrix)
    keep = np.argsort(values)[::-1][: min(count, len(values))]
    rows = vectors[:, keep].T
    if scaled:
        rows = np.sqrt(np.maximum(values[keep], 0.0))[:, None] * rows
    signs = np.sign(rows[np.arange(len(keep)), np.abs(rows).argmax(axis=1)])
    return np.asarray(rows * np.where(signs == 0, 1.0, signs)[:, None])
