"""Averages of sparse linear models [1, sec. 4.1]: one linear model, with a column of coefficients for each member.

Each member is a greedy selection on its own draw of the groups, looking at its own random candidates, cut at the number
of columns that validates best on the groups left out. Their average is linear in the same features,

    y(x) = x . mean_k w_k + mean_k b_k,        s(x) = std_k (x . w_k + b_k)

Members depend on the seed and their number alone: any number of threads, a resumed run, or a larger ensemble later give
the same ones. With one BLAS thread (OMP_NUM_THREADS=1) `workers` threads fit members side by side; each holds the
products of the columns, 8 (D + 1)^2 bytes, and its triangle.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures (thesis, Michigan State University)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rhopot.potentials.fitting.map_frames import as_ready
from rhopot.potentials.fitting.sparse_regression.bootstrap import check_groups
from rhopot.potentials.fitting.sparse_regression.checkpoint import MemberFiles, ensemble_fingerprint
from rhopot.potentials.fitting.sparse_regression.member import Member, fit_member
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.weighted_rows import (
    DesignTable,
    Floats,
    Integers,
    WeightedRows,
    make_design_table,
)


@dataclass(frozen=True)
class Ensemble:
    """Members and their average.

    Attributes:
        members: (K) by number.
        settings: how they were fitted.
    """

    members: tuple[Member, ...]
    settings: SparseRegressionSettings

    @property
    def coefficients(self) -> Floats:
        """(d, 1 + K): the average, then the members."""
        each = np.column_stack([member.coefficients for member in self.members])
        return np.column_stack([each.mean(axis=1), each])

    @property
    def constants(self) -> Floats:
        """(1 + K) constant terms: the average's, then the members'."""
        each = np.array([member.constant for member in self.members])
        return np.append(each.mean(), each)

    @property
    def used(self) -> Integers:
        """Features with a coefficient in the average, rising."""
        return np.unique(np.concatenate([member.used for member in self.members]))

    def predict(self, features: ArrayLike, constant: bool = True) -> Floats:
        """Return the average's and the members' predictions (n, 1 + K) for feature rows (n, d).

        constant: whether the constant enters (energies: yes, forces: no).
        """
        return np.asarray(features) @ self.coefficients + constant * self.constants

    def curve(self, features: ArrayLike, targets: ArrayLike) -> Floats:
        """Return the error (M) of the average of the members' models of 1..M columns, energies only.

        A member that chose fewer columns keeps its last model. Needs members with kept paths.
        """
        longest = max(len(member.order) for member in self.members)
        y = np.asarray(targets, dtype=np.float64)
        total = np.zeros((len(y), longest))
        for member in self.members:
            if member.path is None:
                raise ValueError("keep_paths must be true for curves on other rows, got false; fit again with it")
            each = member.path.predictions(features)
            total += each[:, np.minimum(np.arange(longest), each.shape[1] - 1)]
        return np.sqrt(np.mean((total / len(self.members) - y[:, None]) ** 2, axis=0))


def fit_ensemble(
    rows: WeightedRows,
    settings: SparseRegressionSettings,
    columns: ArrayLike | None = None,
    workers: int = 1,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Member], None] | None = None,
) -> Ensemble:
    """Fit an ensemble of sparse models.

    Args:
        rows: equations; see `rows.make_rows` and `rows.stack`.
        settings: settings.
        columns: features that may be used, a mask (d) or their numbers; None: all.
        workers: members fitted at once, in threads.
        folder: where each member is saved as soon as it is fitted; None: nowhere.
        resume: take the members that are there.
        report: called with each member as it is ready, in no order.
    """
    members = fit_members(rows, settings, range(settings.n_members), columns, workers, folder, resume, report)
    return Ensemble(tuple(members[number] for number in range(settings.n_members)), settings)


def fit_members(
    rows: WeightedRows,
    settings: SparseRegressionSettings,
    numbers: Sequence[int],
    columns: ArrayLike | None = None,
    workers: int = 1,
    folder: Path | None = None,
    resume: bool = False,
    report: Callable[[Member], None] | None = None,
) -> dict[int, Member]:
    """Fit the members of an ensemble that have these numbers; other arguments as in `fit_ensemble`."""
    allowed = _columns(columns, rows.features.shape[1])
    rows = _units(rows, settings)
    check_groups(settings, rows.n_groups)
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}; give the number of cores")
    files = MemberFiles(folder, ensemble_fingerprint(rows, allowed, settings) if folder is not None else "")
    members: dict[int, Member] = {}
    for number in numbers if resume else ():
        member = files.restore(number)
        if member is not None:
            members[number] = member
            if report is not None:
                report(member)
    missing = [number for number in numbers if number not in members]
    if missing:
        table = make_design_table(rows, allowed, settings.constant)
        if not table.usable.any():
            raise ValueError(f"columns must hold a feature that varies, got {len(allowed)} that do not; allow others")
        members |= _fit_missing(table, settings, missing, workers, files, report)
    return members


def _fit_missing(
    table: DesignTable,
    settings: SparseRegressionSettings,
    missing: Sequence[int],
    workers: int,
    files: MemberFiles,
    report: Callable[[Member], None] | None,
) -> dict[int, Member]:
    """Fit, save and report members as they become ready; the first failure cancels what has not begun."""
    members: dict[int, Member] = {}
    numbered = [(number, number) for number in missing]
    with closing(as_ready(numbered, lambda number: fit_member(table, settings, number), workers)) as results:
        for number, member in results:
            files.save(member)
            members[number] = member
            if report is not None:
                report(member)
    return members


def _columns(columns: ArrayLike | None, n_features: int) -> Integers:
    """Numbers of the features that may be used, rising."""
    if columns is None:
        return np.arange(n_features)
    given = np.asarray(columns)
    if given.dtype == np.bool_:
        if given.shape != (n_features,):
            raise ValueError(f"columns must be a mask of {n_features} features, got shape {given.shape}; give one each")
        return np.flatnonzero(given)
    numbers = np.unique(given).astype(np.int64)
    if given.ndim != 1 or (len(numbers) and (numbers[0] < 0 or numbers[-1] >= n_features)):
        raise ValueError(f"columns must be numbers of features 0..{n_features - 1}, got {given}; remove the others")
    return numbers


def _units(rows: WeightedRows, settings: SparseRegressionSettings) -> WeightedRows:
    """Rows grouped by the unit of the bootstrap."""
    if settings.unit == "groups":
        return rows
    if not rows.constant.all():
        raise ValueError("unit must be groups where there are force rows, got frames; label groups by frame instead")
    numbers = np.arange(len(rows.targets))
    return replace(rows, groups=numbers, labels=numbers)
