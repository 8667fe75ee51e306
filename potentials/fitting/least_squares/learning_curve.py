"""Learning curve of a fit from its own sums: fits to some of its folds, for which no equation is computed again.

The folds of the jackknife (`fold_numbers`: whole groups, or frames of every config_type in proportion) come in one
random order, and a point is the fit to as many of them, from the first on, as hold the number of frames nearest to its
fraction of the training set. So the parts are nested. The isolated atoms of the other folds are added to each.

Descriptor, features, sparse points, coordinates and baselines are those of the fit to all frames: the curve is that of
one regression with more and more equations. The choice of features and sparse points knows all structures and no label.
The energies per element, a supervised radial basis and a two-body baseline do know labels of all training frames, none
of the validation set.

The sums are preconditioned by a sample of all folds (`normal_equations`), so that directions that a part does not
determine keep the prior's share of W alone. Where that share is lost to rounding, there is no curve.

Cost: a solve for each point, and a column more in the products of the validation set
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from rhopot.potentials.fitting.least_squares.assemble import compressed
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.least_squares.normal_equations import NormalEquations
from rhopot.potentials.fitting.least_squares.solve import solve
from rhopot.potentials.fitting.least_squares.validate import ValidationErrors
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.composition import is_isolated_atom

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Largest distance of a part from its fraction of the frames, as a part of that fraction.
TOLERANCE = 0.25


@dataclass(frozen=True)
class CurvePart:
    """Part of the training frames: whole folds, and isolated atoms of the others (positions among all frames)."""

    fraction: float
    folds: Integers
    isolated: Integers
    n_frames: int


def curve_parts(frames: Sequence[Frame], folds: Integers, fractions: Sequence[float], seed: int) -> list[CurvePart]:
    """Return the parts of all fractions, smaller ones first; none at all where folds (frames) do not make them up.

    They do not where a fraction is not near to some number of folds, or two fractions are near to the same one, where a
    group lies in several folds, and where a part lacks an element.
    """
    n_folds = int(folds.max(initial=0)) + 1
    if not fractions or n_folds == 1:
        return []
    alone = np.array([is_isolated_atom(frame) for frame in frames])
    order = np.random.default_rng(seed).permutation(n_folds)
    reached = np.cumsum(np.bincount(folds[~alone], minlength=n_folds)[order])
    parts = []
    for fraction in sorted(fractions):
        wanted = fraction * reached[-1]
        count = int(np.argmin(np.abs(reached[:-1] - wanted))) + 1
        if abs(reached[count - 1] - wanted) > TOLERANCE * wanted:
            return []
        chosen = np.isin(folds, order[:count])
        isolated = np.flatnonzero(alone & ~chosen)
        parts.append(CurvePart(fraction, order[:count], isolated, int(chosen.sum()) + len(isolated)))
        if _elements(frames, chosen | alone) != _elements(frames, np.ones_like(alone)):
            return []
    distinct = len({len(part.folds) for part in parts}) == len(parts)
    return parts if distinct and _whole_groups(frames, folds, alone) else []


def fit_parts(
    parts: Sequence[CurvePart],
    problem: FitProblem,
    equations: NormalEquations,
    system: LinearSystem,
    coordinates: Coordinates,
) -> Floats:
    """Return on every rank the coefficients (n, parts) of the fits to the parts; (n, 0) where one cannot be solved for.

    equations: of all frames, by fold, on rank 0
    """
    fits = [np.zeros((system.design.n_columns, 0))]
    if problem.communicator.rank == 0:
        try:
            for part in parts:
                of_part = _equations(part, problem, equations, system, coordinates)
                fits.append(solve(of_part, coordinates).coefficients[:, None])
        except LinAlgError:
            del fits[1:]
    return np.asarray(problem.communicator.broadcast(np.concatenate(fits, axis=1)))


def curve_points(parts: Sequence[CurvePart], errors: ValidationErrors) -> dict[str, Any]:
    """Return number of frames and validation errors of each part by fraction; errors: of the fit and those to parts."""
    return {
        repr(part.fraction): {"n_frames": part.n_frames, "errors": errors.metrics(k)} for k, part in enumerate(parts, 1)
    }


def _equations(
    part: CurvePart, problem: FitProblem, equations: NormalEquations, system: LinearSystem, coordinates: Coordinates
) -> NormalEquations:
    """Return the equations of a part."""
    found = equations.part(part.folds)
    for k in part.isolated.tolist():
        of_atom = system.equations(problem.train[k], problem.targets)
        if of_atom is not None:
            found.add(compressed(of_atom.weighted(), coordinates), 0)
    found.flush()
    return found


def _elements(frames: Sequence[Frame], chosen: NDArray[np.bool_]) -> set[int]:
    return {int(z) for k in np.flatnonzero(chosen).tolist() for z in frames[k].atoms.numbers}


def _whole_groups(frames: Sequence[Frame], folds: Integers, alone: NDArray[np.bool_]) -> bool:
    """Whether no group but of isolated atoms lies in several folds."""
    fold_of: dict[str, int] = {}
    others = [(frame.group, int(folds[k])) for k, frame in enumerate(frames) if not alone[k]]
    return all(group is None or fold_of.setdefault(group, fold) == fold for group, fold in others)
