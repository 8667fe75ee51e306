"""A model of few features: recursive elimination by how often, then how strongly, an ensemble uses each feature.

    count_f = number of members whose model holds f
    gain_f  = sum over them of (|r|^2 before - |r|^2 after f was chosen) / |y|^2

Features are ranked by count, equal counts by gain. One ranking is not enough: correlated features stand in for each
other in different members and share their counts, so that the first K are neither complete nor without repetition.
So only the last part is dropped, the ensemble is fitted again to what is left, and so on down to the budget: the models
of a round choose anew among fewer features, and substitutes separate. Each round keeps 60%; rounds become cheaper as
the features become fewer.

Features that are computed together (the powers of one wavelet path) may be counted together, a member once for each set
it uses anything of; then the budget is one of sets, and a set is kept or dropped whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rhopot.potentials.fitting.sparse_regression.ensemble import Ensemble, fit_ensemble
from rhopot.potentials.fitting.sparse_regression.member import Member
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.weighted_rows import Floats, Integers, WeightedRows

# Fits an ensemble: rows, settings, features that may be used, folder of its members.
Fit = Callable[[WeightedRows, SparseRegressionSettings, Integers, Path | None], Ensemble]

# Share of the features that a round of elimination keeps.
KEPT = 0.6


def usage(ensemble: Ensemble, sets: ArrayLike | None = None) -> tuple[Integers, Floats]:
    """Return the counts and gains of the features (d) or, in rising order of their numbers, of the sets.

    Both are 0 where no member uses anything.
    """
    n_features = len(ensemble.members[0].coefficients)
    number = _numbers(sets, n_features)
    counts, gains = np.zeros(number.max() + 1, dtype=np.int64), np.zeros(number.max() + 1)
    for member in ensemble.members:
        counts[np.unique(number[member.used])] += 1
        real = member.order[: member.best] < n_features
        np.add.at(gains, number[member.used], member.gains[: member.best][real])
    return counts, gains


def best_features(ensemble: Ensemble, budget: int, sets: ArrayLike | None = None) -> Integers:
    """Return the `budget` features that rank first, rising; fewer if fewer are used.

    Args:
        ensemble: fitted.
        budget: number of features, or of sets.
        sets: (d) number of the set each feature is computed with; the best sets are returned whole.
    """
    _check(budget)
    counts, gains = usage(ensemble, sets)
    ranked = np.lexsort((-gains, -counts))[:budget]
    number = _numbers(sets, len(ensemble.members[0].coefficients))
    return np.flatnonzero(np.isin(number, ranked[counts[ranked] > 0]))


def refit(
    rows: WeightedRows,
    ensemble: Ensemble,
    budget: int,
    sets: ArrayLike | None = None,
    workers: int = 1,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Member], None] | None = None,
    fit: Fit | None = None,
) -> Ensemble:
    """Return an ensemble of the same settings and draws that uses at most `budget` features (or sets of features).

    Args:
        rows: those of the first fit.
        ensemble: the first fit.
        budget, sets: see `best_features`.
        workers, resume, report: see `fit_ensemble`.
        folder: another one than that of the first fit; each round has a folder in it.
        fit: fits the ensemble of a round in place of `fit_ensemble`; the three arguments before are then not used.
    """
    _check(budget)
    number = _numbers(sets, rows.features.shape[1])
    current, n_round = ensemble, 0
    left = len(np.unique(number[ensemble.used]))
    while n_round == 0 or left > budget:
        kept = best_features(current, max(budget, int(KEPT * left)), sets)
        place = None if folder is None else folder / f"round-{n_round}"
        if fit is not None:
            current = fit(rows, ensemble.settings, kept, place)
        else:
            current = fit_ensemble(rows, ensemble.settings, kept, workers, place, resume, report)
        left, n_round = len(np.unique(number[kept])), n_round + 1
    return current


def _check(budget: int) -> None:
    """Raise ValueError for a budget of nothing."""
    if budget < 1:
        raise ValueError(f"budget must be 1 feature or more, got {budget}; raise it")


def _numbers(sets: ArrayLike | None, n_features: int) -> Integers:
    """Number of the set of each feature (d), from 0."""
    if sets is None:
        return np.arange(n_features)
    number = np.unique(np.asarray(sets), return_inverse=True)[1].astype(np.int64)
    if number.shape != (n_features,):
        raise ValueError(f"sets must be one number for each of {n_features} features, got {number.shape}; repeat them")
    return number
