"""The equations of a linear model: feature rows, targets, weights, and the groups that must stay together.

    sum_d x[n, d] w[d] + c[n] b = y[n]        weighted by u[n] in the squared loss

Energies per atom are rows with c = 1. Forces are rows with c = 0: features' derivatives -dN x/dr beside force
components, because a constant exerts no force; `stack` puts both into one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

# A column whose variation is below this fraction of its size is constant up to rounding (of single precision).
VARIATION = 1e-7


@dataclass(frozen=True)
class WeightedRows:
    """Rows of a linear model.

    Attributes:
        features: (n, d).
        targets: (n), eV per atom, or eV/A for force rows.
        groups: (n) numbers 0..G-1, one for each label in sorted order.
        labels: (G) the group labels.
        weights: (n) u > 0, of squared residuals.
        constant: (n) True where the constant term enters.
    """

    features: NDArray[np.floating]
    targets: Floats
    groups: Integers
    labels: NDArray[np.generic]
    weights: Floats
    constant: Booleans

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.labels)


def make_rows(
    features: ArrayLike,
    targets: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None = None,
    constant: bool = True,
) -> WeightedRows:
    """Return checked rows.

    Args:
        features: (n, d) numbers, array or tensor.
        targets: (n).
        groups: (n) labels (text or numbers); rows of one label are always drawn together.
        weights: (n) or one number, of squared residuals; None: 1.
        constant: whether the constant term enters these rows (energies: yes, forces: no).
    """
    x = np.asarray(features)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    y = np.asarray(targets, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(
            f"targets must be one number for each row of features (n, d), got {y.shape} and {x.shape}; "
            "pass one target for each structure"
        )
    names = np.asarray(groups)
    if names.shape != y.shape:
        raise ValueError(f"groups must be one label for each of {len(y)} rows, got {names.shape}; repeat the labels")
    u = np.broadcast_to(np.asarray(1.0 if weights is None else weights, dtype=np.float64), y.shape).copy()
    if not (np.isfinite(u).all() and (u > 0).all()):
        raise ValueError(f"weights must be positive numbers, got {u.min(initial=1.0)}; leave unwanted rows out")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("features and targets must be finite, got inf or nan; check the descriptor and the data")
    labels, numbers = np.unique(names, return_inverse=True)
    return WeightedRows(x, y, numbers.astype(np.int64), labels, u, np.full(len(y), constant))


def stack(blocks: Sequence[WeightedRows]) -> WeightedRows:
    """Join blocks of rows (energies, forces); equal labels are the same group.

    Raises:
        ValueError: the blocks have different numbers of features.
    """
    widths = sorted({block.features.shape[1] for block in blocks})
    if len(widths) != 1:
        raise ValueError(f"blocks must have the same features, got {widths} columns; use one descriptor for all rows")
    labels, numbers = np.unique(np.concatenate([block.labels[block.groups] for block in blocks]), return_inverse=True)
    return WeightedRows(
        np.concatenate([block.features for block in blocks]),
        np.concatenate([block.targets for block in blocks]),
        numbers.astype(np.int64),
        labels,
        np.concatenate([block.weights for block in blocks]),
        np.concatenate([block.constant for block in blocks]),
    )


@dataclass(frozen=True)
class DesignTable:
    """Rows ready for the selection: usable columns in float64, shifted and scaled, the constant's column last.

    Attributes:
        matrix: (n, D + 1); column k < D is (x[:, columns[k]] - shift[k] c) / scale[k].
        columns: (D) the features they stand for.
        shift, scale: (D).
        targets: (n) y - offset c.
        offset: mean of the targets if the constant comes first, else 0.
        usable: (D + 1) False where a column does not vary, or is the constant's and not wanted.
        rows: where they come from.
    """

    matrix: Floats
    columns: Integers
    shift: Floats
    scale: Floats
    targets: Floats
    offset: float
    usable: Booleans
    rows: WeightedRows

    @property
    def constant_column(self) -> int:
        """Number of the constant's column, D."""
        return len(self.columns)


def make_design_table(rows: WeightedRows, columns: Integers, constant: str) -> DesignTable:
    """Return the table of the features `columns`; if the constant comes first, all are shifted by their means.

    The shift, the targets' too, changes no model (the constant is in each of them) and keeps the digits that a mean
    much larger than the deviation would take; the scale is the root of the mean square.
    """
    matrix = np.empty((len(rows.targets), len(columns) + 1))
    np.take(rows.features, columns, axis=1, out=matrix[:, :-1], mode="clip")
    matrix[:, -1] = rows.constant if constant != "none" else 0.0
    size = np.sqrt(np.mean(matrix[:, :-1] ** 2, axis=0))
    shift, offset = np.zeros(len(columns)), 0.0
    if constant == "first" and rows.constant.any():
        shift, offset = matrix[rows.constant, :-1].mean(axis=0), float(rows.targets[rows.constant].mean())
        matrix[:, :-1] -= rows.constant[:, None] * shift
    deviation = np.sqrt(np.mean(matrix[:, :-1] ** 2, axis=0))
    varies = deviation > VARIATION * size
    scale = np.where(varies, deviation, 1.0)
    matrix[:, :-1] /= scale
    usable = np.append(varies, constant == "candidate")
    return DesignTable(matrix, columns, shift, scale, rows.targets - offset * rows.constant, offset, usable, rows)
