"""Which rows a member is trained on, how often, and which it is validated on.

bootstrap: G groups are drawn with replacement from G; a group drawn k times counts k times, those never drawn (a share
of (1 - 1/G)^G, some 37%) are the validation set [1, 2 sec. 4.1]. folds: the groups are distributed at random over
n_members parts of equal numbers; member k is validated on part k and trained on the others. Groups are never cut.

[1] B. Efron, Ann. Stat. 7, 1 (1979), doi:10.1214/aos/1176344552; L. Breiman, Mach. Learn. 24, 123 (1996)
[2] X. Brumwell, Wavelet scattering and graph representations for atomic structures (thesis, Michigan State University)
"""

from __future__ import annotations

import numpy as np

from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.weighted_rows import Integers

# Streams of random numbers: of a member's draw and steps, and of the parts that all members share.
MEMBER, PARTS = 0, 1


def stream(settings: SparseRegressionSettings, member: int) -> np.random.Generator:
    """Random numbers of one member, whatever the number of members."""
    return np.random.default_rng([settings.seed, MEMBER, member])


def check_groups(settings: SparseRegressionSettings, n_groups: int) -> None:
    """Raise ValueError when there are too few groups to leave some out."""
    needed = settings.n_members if settings.sampling == "folds" else 2
    if n_groups < needed or n_groups < 2:
        raise ValueError(
            f"groups must be at least {max(needed, 2)} for {settings.sampling} ({settings.n_members} members), got "
            f"{n_groups}; lower n_members or draw frames (unit: frames)"
        )
    if settings.sampling == "folds" and settings.n_members < 2:
        raise ValueError("n_members must be 2 or more parts for folds, got 1; use bootstrap for a single model")


def multiplicity(
    settings: SparseRegressionSettings, n_groups: int, member: int, random: np.random.Generator
) -> Integers:
    """Return how often each group stands in the training set of a member (n_groups); 0: in the validation set."""
    if settings.sampling == "folds":
        order = np.random.default_rng([settings.seed, PARTS]).permutation(n_groups)
        counts = np.ones(n_groups, dtype=np.int64)
        counts[order[member :: settings.n_members]] = 0
        return counts
    counts = np.zeros(n_groups, dtype=np.int64)
    while counts.all() or not counts.any():
        counts = np.bincount(random.integers(n_groups, size=n_groups), minlength=n_groups)
    return counts
