"""Selection of features, or of environments, that stand for all: farthest points, CUR, and both guided by energies.

    fps, cur              see `fitting.least_squares.select`, which chooses sparse points and features of a fit
    pcov-fps, pcov-cur    the same on the covariance C (features) or the Gram matrix K (environments) of principal
                          covariates regression, which mixes the energies y of atoms in                      [1, 2]

        C = alpha X^T X + (1 - alpha) (X^T X)^-1/2 X^T y y^T X (X^T X)^-1/2,     K = alpha X X^T + (1 - alpha) y y^T

X is centered with a total variance of one, y with a variance of one; alpha = 1/2. Farthest points begin at the one of
largest norm; CUR takes the largest leverages over the leading eigenvectors, computed once. The result is the same for
the same rows and seed, and a smaller selection is a part of a larger one.

[1] R. K. Cersonsky, B. A. Helfrecht, E. A. Engel, S. Kliavinek, M. Ceriotti, Mach. Learn.: Sci. Technol. 2, 035038
    (2021), doi:10.1088/2632-2153/abfe7c; computed by scikit-matter
[2] A. J. Goscinski, PhD thesis, EPFL (2023), sec. 2.2.2
"""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.least_squares.select import LEVERAGE_VECTORS, select_columns, select_rows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SelectionMethod = Literal["fps", "cur", "pcov-fps", "pcov-cur"]
METHODS: tuple[SelectionMethod, ...] = get_args(SelectionMethod)
MIXING = 0.5


def checked_method(word: str) -> SelectionMethod:
    """Return the method of that name.

    Raises:
        ValueError: there is none.
    """
    if word not in METHODS:
        raise ValueError(f"selection method must be one of {', '.join(METHODS)}, got {word!r}; correct its name")
    return word


def is_supervised(method: SelectionMethod) -> bool:
    """Whether the method takes energies of atoms into account."""
    return method.startswith("pcov")


def select_features(
    features: Floats, count: int, method: SelectionMethod, energies: Floats | None = None, seed: int = 0
) -> Integers:
    """Return sorted columns of `features` (N, F), `count` of them.

    energies: (N,) of the atoms, for the supervised methods

    Raises:
        ValueError: more columns than there are, or no energies for a supervised method.
    """
    if not is_supervised(method):
        return select_columns(features, count, cast("Any", method), seed)
    if not 1 <= count <= features.shape[1]:
        raise ValueError(f"count must lie between 1 and the {features.shape[1]} features, got {count}; lower it")
    from skmatter import feature_selection

    return _supervised(feature_selection, features, count, method, energies, seed)


def select_environments(
    features: Floats, count: int, method: SelectionMethod, energies: Floats | None = None, seed: int = 0
) -> Integers:
    """Return sorted rows of `features` (N, F), at most `count` of them; arguments and errors as `select_features`."""
    if not is_supervised(method):
        return select_rows(features, count, cast("Any", method), seed)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}; raise it")
    from skmatter import sample_selection

    return _supervised(sample_selection, features, min(count, len(features)), method, energies, seed)


def _supervised(
    module: Any, features: Floats, count: int, method: SelectionMethod, energies: Floats | None, seed: int
) -> Integers:
    """Return the choice of scikit-matter's PCov selectors of features or samples, which `module` holds."""
    if energies is None:
        raise ValueError(f"selection method {method} must have energies of atoms, got none; use fps or cur")
    of_features = module.__name__.endswith("feature_selection")
    n = features.shape[1] if of_features else len(features)
    if count == n:
        return np.arange(n)
    x, y = _standard(features), _standard(energies[:, None])
    if method == "pcov-fps":
        norms = (x**2).sum(axis=0 if of_features else 1)
        selector = module.PCovFPS(mixing=MIXING, n_to_select=count, initialize=int(norms.argmax()))
    else:
        vectors = max(1, min(LEVERAGE_VECTORS, *(size - 1 for size in features.shape)))
        selector = module.PCovCUR(mixing=MIXING, n_to_select=count, recompute_every=0, k=vectors, random_state=seed)
    return np.sort(np.asarray(selector.fit(x, y).selected_idx_, dtype=np.int64))


def _standard(values: Floats) -> Floats:
    """Return values without their mean, with a total variance of one per row."""
    centered = values - values.mean(axis=0)
    return np.asarray(centered / (np.sqrt((centered**2).sum() / len(centered)) or 1.0))
