"""Frames that together say most of what a model does not know: greedy D-optimal design, in batches of atoms.

The model's ignorance of the atoms of all frames is taken as a Gaussian process with the covariance

    K_ij = e_i e_j c_ij,      c_ij = (f_i . f_j) / (|f_i| |f_j|) of atoms of one element, 0 of two

e_i (eV/A) is the predicted force error of atom i; f_i are its descriptor features, centered over the atoms of its
element and projected onto the `COMPONENTS` leading principal components of the element. A frame of atoms S that is
labelled with noise s takes away the part of K that its atoms explain; frames are chosen one after the other for the
largest gain of information

    gain(S) = 1/2 log det(1 + K_SS / s^2)       with K that is left after the frames chosen so far

the greedy D-optimal design of Bayesian regression [1], whose pivots are those of a Cholesky factorization with blocks
of atoms (one atom for each frame: pivoted QR, and MaxVol [2] up to exchanges). Copies of a chosen frame gain nothing,
and atoms that the model knows count little, however unusual they are. The covariance is a product of rows
x_i = e_i f_i / |f_i|, so that nothing of the size of atoms times atoms is stored: what is left after frame S is
x_i A^-1 x_j with A = 1 + sum_S x x^T / s^2, and the cost is atoms of all frames * components * atoms of one frame for
each choice.

[1] K. Chaloner, I. Verdinelli, Statist. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939
[2] E. V. Podryabinkin, A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from rhopot.potentials.units import Floats

COMPONENTS = 200
SAME = 1e-4  # relative difference of the mean features of two copies of one structure


@dataclass(frozen=True)
class Environments:
    """Atoms of a frame that count, n of them: features (n, F), atomic numbers (n,), predicted errors (n,) in eV/A.

    Of a global model there is one row, that of the structure, with number 0.
    """

    features: Floats
    numbers: NDArray[np.int64]
    errors: Floats


def principal_rows(frames: Sequence[Environments]) -> list[Floats]:
    """Directions f / |f| (n, C) of the atoms of each frame, elements in columns of their own."""
    features = np.concatenate([frame.features for frame in frames])
    numbers = np.concatenate([frame.numbers for frame in frames])
    blocks = []
    for number in np.unique(numbers):
        mine = numbers == number
        centered = features[mine] - features[mine].mean(axis=0)
        block = np.zeros((len(features), min(COMPONENTS, *centered.shape)))
        _, vectors = np.linalg.eigh(centered.T @ centered) if centered.shape[1] <= len(centered) else _right(centered)
        projected = centered @ vectors[:, ::-1][:, : block.shape[1]]
        norms = np.linalg.norm(projected, axis=1, keepdims=True)
        # A single environment of an element is all there is to know of it.
        alone = norms[:, 0] <= 1e-12 * max(1.0, float(np.abs(features).max(initial=0.0)))
        projected[alone, 0], norms[alone] = 1.0, 1.0
        block[mine] = projected / norms
        blocks.append(block)
    rows = np.concatenate(blocks, axis=1)
    ends = np.cumsum([len(frame.numbers) for frame in frames])
    return np.split(rows, ends[:-1])


def _right(centered: Floats) -> tuple[Floats, Floats]:
    """Squares and right singular vectors of few rows, in the order of `numpy.linalg.eigh`."""
    _, values, vectors = np.linalg.svd(centered, full_matrices=False)
    return values[::-1] ** 2, vectors[::-1].T


def d_optimal(
    frames: Sequence[Environments],
    count: int,
    noise: float,
    *,
    first: Sequence[int] = (),
    least_gain: float = 1e-6,
) -> tuple[list[int], list[float]]:
    """Numbers of at most `count` frames in the order of choice, and the information that each gains, in nats.

    Args:
        frames: candidates.
        count: frames chosen at most; fewer where the next one would gain less than `least_gain`.
        noise: s in eV/A, the size of force errors that further labels do not lower.
        first: priority of each frame, lowest first (none: all equal); a frame is chosen only after all of lower number.
        least_gain: nats.
    """
    if not frames:
        return [], []
    rows = [
        direction * np.minimum(frame.errors, 1e3 * noise)[:, None] / noise
        for direction, frame in zip(principal_rows(frames), frames, strict=True)
    ]
    ranks = np.array(first) if len(first) else np.zeros(len(frames), dtype=np.int64)
    chosen: list[int] = []
    gains: list[float] = []
    left = np.ones(len(frames), dtype=bool)
    while len(chosen) < count and left.any():
        found = np.array(
            [0.5 * _log_det(x) if left[k] and ranks[k] == ranks[left].min() else -1.0 for k, x in enumerate(rows)]
        )
        best = int(np.argmax(found))
        if found[best] < least_gain:
            if ranks[left].min() == ranks.max():
                break
            left &= ranks != ranks[left].min()
            continue
        chosen.append(best)
        gains.append(float(found[best]))
        left[best] = False
        rows = _conditioned(rows, rows[best])
    return chosen, gains


def _log_det(x: Floats) -> float:
    """log det(1 + x x^T) of rows (n, C)."""
    small = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    return float(np.linalg.slogdet(small + np.eye(len(small)))[1])


def _conditioned(rows: Sequence[Floats], seen: Floats) -> list[Floats]:
    """Rows whose products are the covariance that is left after the rows `seen` (n, C) were measured with noise one.

    x (1 - seen^T (1 + seen seen^T)^-1 seen)^(1/2), by the symmetric square root in the space of the columns.
    """
    inner = np.eye(seen.shape[1]) - seen.T @ cho_solve(cho_factor(seen @ seen.T + np.eye(len(seen))), seen)
    values, vectors = np.linalg.eigh(inner)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return [np.asarray(x @ root) for x in rows]


def fingerprint(frame: Environments, numbers: NDArray[np.int64]) -> tuple[tuple[int, ...], Floats]:
    """What two copies of one structure have in common: shares of elements and mean features.

    numbers: atomic numbers of all atoms. Rotated, translated and repeated copies are copies.
    """
    elements, counts = np.unique(numbers, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    formula = tuple(int(value) for pair in zip(elements, counts // divisor, strict=True) for value in pair)
    return formula, np.asarray(frame.features.mean(axis=0))


def is_copy(one: tuple[tuple[int, ...], Floats], other: tuple[tuple[int, ...], Floats]) -> bool:
    """Whether two fingerprints are of one structure."""
    if one[0] != other[0]:
        return False
    return bool(np.linalg.norm(one[1] - other[1]) <= SAME * max(np.linalg.norm(one[1]), np.linalg.norm(other[1])))
