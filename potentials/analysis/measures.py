"""Measures of how much of one feature set can be had from another: GFRE, GFRD and LFRE.

Environments i are described by two feature sets, a source x_i (F,) and a target x'_i (F',). Both are centered, and
scaled so that the variances of all features of a set sum to one on the training environments. Over test environments

    GFRE = sqrt( 1/n sum_i |x'_i - x_i P|^2 ),     P: regularized least squares of x' on x                  [1, 2]
    GFRD = sqrt( 1/n sum_i |x_i P - x_i Q|^2 ),    Q: the orthogonal map that is closest to x P                [1]
    LFRE = sqrt( 1/n sum_i |x'_i - m'_i - (x_i - m_i) P_i|^2 ),  P_i, m_i, m'_i: map and means of the k
           training environments that are nearest to x_i                                                     [1]

GFRE is 0 where the target is a linear function of the source, and about 1 where the source knows nothing of it. GFRD
says how much that linear function stretches the space, so how differently the sets weigh what both know. LFRE lets the
map vary from place to place: where it is much smaller than GFRE, the sets are related, but not linearly. None of them
is symmetric. The number of singular values that a map uses is chosen by two-fold cross-validation of the squared
error. No measure depends on a rotation of either set, so a set with more features than environments is first rotated
into the space that the environments span: costs stay below the cube of the number of environments.

Training and test part are different structures: environments of one structure are too much alike.

In : features (N, F) and (N, F'), structure of each environment (N,)
Out: numbers of at least 0
Cost: singular value decompositions of (n, min(F, n)); for LFRE a map for each test environment (20 ms)

[1] A. Goscinski, G. Fraux, G. Imbalzano, M. Ceriotti, Mach. Learn.: Sci. Technol. 2, 025028 (2021),
    doi:10.1088/2632-2153/abdaf7; computed by scikit-matter
[2] A. J. Goscinski, PhD thesis, EPFL (2023), sec. 2.2.2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skmatter.linear_model import Ridge2FoldCV
from skmatter.metrics import (
    global_reconstruction_distortion,
    global_reconstruction_error,
    local_reconstruction_error,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Smallest singular values that a linear map may use, relative to the largest: candidates of the cross-validation.
CUTOFFS = np.geomspace(1e-9, 0.9, 20)
LOCAL_CUTOFFS = CUTOFFS[1::3]
# Training environments of a local map, and test environments that LFRE is the mean of.
NEIGHBORS = 20
LOCAL_POINTS = 50
# Environments that the two folds of the cross-validation need.
FEWEST = 4
# Variance of all features together, relative to the largest feature's square, below which environments are equal.
EQUAL = 1e-11


@dataclass(frozen=True)
class Split:
    """Rows of the training and of the test environments."""

    train: Integers
    test: Integers


@dataclass(frozen=True)
class Reconstruction:
    """How well a target set is reconstructed from a source set; lfre is NaN where it was not asked for."""

    gfre: float
    gfrd: float
    lfre: float


def split_structures(structure: Integers, seed: int) -> Split:
    """Return rows of two halves of the environments, drawn at random; a structure is in one of them.

    structure: (N,) number of the structure that each environment is in

    Raises:
        ValueError: one structure, or halves too small to fit a map to.
    """
    numbers, sizes = np.unique(structure, return_counts=True)
    if len(numbers) < 2:
        raise ValueError(
            f"structures must be at least two, for training and test part, got {len(numbers)}; give more data"
        )
    order = np.random.default_rng(seed).permutation(len(numbers))
    before = np.cumsum(sizes[order]) - sizes[order]
    in_train = before < 0.5 * sizes.sum()
    in_train[-1] = False
    train = np.isin(structure, numbers[order[in_train]])
    split = Split(np.flatnonzero(train), np.flatnonzero(~train))
    if len(split.train) < FEWEST:
        raise ValueError(
            f"environments for training must be at least {FEWEST}, got {len(split.train)}; give more structures"
        )
    return split


def reconstruct(source: Floats, target: Floats, split: Split, seed: int = 0, local: bool = True) -> Reconstruction:
    """Return the three measures of `target` (N, F') from `source` (N, F); `local`: with LFRE, which costs most."""
    return Reconstruction(
        gfre(source, target, split, seed), gfrd(source, target, split, seed),
        lfre(source, target, split, seed=seed) if local else float("nan"),
    )  # fmt: skip


def gfre(source: Floats, target: Floats, split: Split, seed: int = 0) -> float:
    """Return the global feature reconstruction error of `target` (N, F') from `source` (N, F).

    Raises:
        ValueError: features that are not finite or do not vary, or sets of different environments.
    """
    x, y = _prepared(source, target, split)
    return float(global_reconstruction_error(x, y, train_idx=split.train, test_idx=split.test, estimator=_map(seed)))


def gfrd(source: Floats, target: Floats, split: Split, seed: int = 0) -> float:
    """Return the global feature reconstruction distortion of `target` (N, F') from `source` (N, F); see `gfre`."""
    x, y = _prepared(source, target, split)
    y = np.pad(y, [(0, 0), (0, max(x.shape[1] - y.shape[1], 0))])  # an orthogonal map is square
    return float(
        global_reconstruction_distortion(x, y, train_idx=split.train, test_idx=split.test, estimator=_map(seed))
    )


def lfre(
    source: Floats,
    target: Floats,
    split: Split,
    neighbors: int = NEIGHBORS,
    points: int = LOCAL_POINTS,
    seed: int = 0,
) -> float:
    """Return the local feature reconstruction error of `target` (N, F') from `source` (N, F).

    neighbors: training environments of each local map, all of them where there are fewer
    points: test environments, drawn at random; all of them where there are fewer

    Raises:
        ValueError: as `gfre`, or too few neighbors.
    """
    if neighbors < FEWEST:
        raise ValueError(f"neighbors must be at least {FEWEST}, got {neighbors}; {NEIGHBORS} is usual")
    x, y = _prepared(source, target, split)
    drawn = np.random.default_rng(seed).permutation(split.test)[:points]
    return float(
        local_reconstruction_error(
            x,
            y,
            min(neighbors, len(split.train)),
            train_idx=split.train,
            test_idx=drawn,
            estimator=_map(seed, LOCAL_CUTOFFS),
        )
    )


def _map(seed: int, cutoffs: Floats = CUTOFFS) -> Any:
    """Least squares whose cutoff of singular values is cross-validated."""
    return Ridge2FoldCV(
        alphas=cutoffs,
        alpha_type="relative",
        regularization_method="cutoff",
        scoring="neg_mean_squared_error",
        random_state=seed,
        shuffle=True,
        n_jobs=1,
    )


def _prepared(source: Floats, target: Floats, split: Split) -> tuple[Floats, Floats]:
    """Return checked sets, each rotated into the space of its rows where it has more features than rows."""
    if len(source) != len(target):
        raise ValueError(
            f"source and target must describe the same environments, got {len(source)} and {len(target)}; "
            "compute both on the same structures"
        )
    return compact(_checked("source", source, split)), compact(_checked("target", target, split))


def _checked(name: str, features: Floats, split: Split) -> Floats:
    """Return features with a largest component of one; refuse those that no measure can be taken of."""
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{name} must have shape (N, F), got {features.shape}; give one row for each environment")
    if not np.isfinite(features).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity; check how the features were computed")
    scaled = features / (np.abs(features).max() or 1.0)
    if scaled[split.train].var(axis=0).sum() < EQUAL:
        raise ValueError(
            f"{name} must differ between the training environments, got {len(split.train)} equal ones; give structures "
            "that are not copies of each other"
        )
    return np.asarray(scaled)


def compact(features: Floats) -> Floats:
    """Return coordinates (N, min(F, N)) of the rows (N, F) in the space that they span: no measure depends on which.

    The measures do this themselves; who takes several of one large set saves time by doing it once.
    """
    if features.shape[1] <= features.shape[0]:
        return features
    triangle: Any = np.linalg.qr(features.T, mode="r")
    return np.ascontiguousarray(triangle.T)
