"""The features that matter most to an ensemble, and the ensemble of these alone: fewer to evaluate, faster to run.

The score of a feature is the sum over the members whose final model holds it of its gain when it was chosen,

    score_f = sum_k ln(|r|^2 before / |r|^2 after)

so that being used often and being used to effect both count, and a refinement late in the selection counts by the share
of the residual that it removed, not by its absolute size. Coefficients would not do: among correlated features large
ones cancel. Features that are computed together (the powers of one wavelet path) may be scored together.

The refit uses the same draws, looks at all that is left in each step, and each member is again cut by validation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rhopot.potentials.greedy.ensemble import Ensemble, fit_ensemble
from rhopot.potentials.greedy.member import Member
from rhopot.potentials.greedy.rows import Floats, Integers, Rows


def scores(ensemble: Ensemble) -> Floats:
    """Return the score of each feature (d), 0 of those that no member uses."""
    total = np.zeros(len(ensemble.members[0].coefficients) + 1)
    for member in ensemble.members:
        total[member.order[: member.best]] += member.gains[: member.best]
    return total[:-1]


def best_features(ensemble: Ensemble, budget: int, sets: ArrayLike | None = None) -> Integers:
    """Return the `budget` features of highest score, rising; fewer if fewer are used.

    Args:
        ensemble: fitted.
        budget: number of features, or of sets.
        sets: (d) number of the set each feature is computed with; the best sets are returned whole.
    """
    if budget < 1:
        raise ValueError(f"budget must be 1 feature or more, got {budget}; raise it")
    single = scores(ensemble)
    number = np.arange(len(single)) if sets is None else np.unique(np.asarray(sets), return_inverse=True)[1]
    if number.shape != single.shape:
        raise ValueError(f"sets must be one number for each of {len(single)} features, got {number.shape}; repeat them")
    together = np.bincount(number, weights=single)
    ranked = np.argsort(-together, kind="stable")[:budget]
    return np.flatnonzero(np.isin(number, ranked[together[ranked] > 0]))


def refit(
    rows: Rows,
    ensemble: Ensemble,
    budget: int,
    sets: ArrayLike | None = None,
    workers: int = 1,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Member], None] | None = None,
) -> Ensemble:
    """Return the ensemble of the best features of another one; see `best_features` and `fit_ensemble`.

    Args:
        rows: those of the first fit, in the same order: then the draws are the same too.
        folder: another one than that of the first fit.
    """
    kept = best_features(ensemble, budget, sets)
    hypers = ensemble.hypers.model_copy(update={"candidates": "all", "max_features": len(kept) + 1})
    return fit_ensemble(rows, hypers, kept, workers, folder, resume, report)
