"""One sparse model of an ensemble: drawn, selected, factored, and cut at the number of columns that validates best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rhopot.potentials.fitting.sparse_regression.bootstrap import multiplicity, stream
from rhopot.potentials.fitting.sparse_regression.gram import GramEngine
from rhopot.potentials.fitting.sparse_regression.orthogonal import RowEngine
from rhopot.potentials.fitting.sparse_regression.path import SelectionPath, errors, factor
from rhopot.potentials.fitting.sparse_regression.select import Engine, select
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.weighted_rows import DesignTable, Floats, Integers


@dataclass(frozen=True)
class Member:
    """A model and how it was found; curves are over the number of columns 1..M, the constant included.

    Attributes:
        number: which member.
        multiplicity: (G) how often each group stood in its training set; 0: validation set.
        order: (M) columns in the order of their choice; d stands for the constant.
        gains: (M) share of the squared training targets that each choice explained.
        training, validation: (M) weighted root-mean-square errors of all rows.
        fitted: (M) the same of the training rows that the constant enters (energies).
        energies, others: (M) the same of the validation rows that the constant enters and of the others (forces; nan
            where there are none).
        best: M*, the number of columns of least validation error.
        coefficients: (d) of the model with M* columns.
        constant: its constant term.
        path: all models along the selection, if they are kept.
    """

    number: int
    multiplicity: Integers
    order: Integers
    gains: Floats
    training: Floats
    validation: Floats
    fitted: Floats
    energies: Floats
    others: Floats
    best: int
    coefficients: Floats
    constant: float
    path: SelectionPath | None

    @property
    def used(self) -> Integers:
        """Features of the model, in the order of their choice."""
        order = self.order[: self.best]
        return order[order < len(self.coefficients)]


def fit_member(table: DesignTable, settings: SparseRegressionSettings, number: int) -> Member:
    """Fit one member to its draw of the rows of a table."""
    rows = table.rows
    random = stream(settings, number)
    counts = multiplicity(settings, rows.n_groups, number, random)
    copies = counts[rows.groups]
    weights = rows.weights * copies
    chosen = _choose(table, settings, weights, random)
    path, left = factor(table, weights, chosen)
    outside = np.flatnonzero(copies == 0)
    energy, other = errors(path, table, outside, chosen, rows.weights)
    validation = _root_mean(energy + other, rows.weights[outside].sum())
    best = int(np.argmin(validation)) + 1
    coefficients, constant = path.coefficients(best)
    is_energy = rows.constant[outside]
    training = _root_mean(left, weights.sum())
    return Member(
        number=number,
        multiplicity=counts,
        order=path.order,
        gains=path.projection**2 / max(path.projection[0] ** 2 + left[0], np.finfo(float).tiny),
        training=training,
        validation=validation,
        fitted=training if rows.constant.all() else _fitted_energies(path, table, weights, chosen),
        energies=_root_mean(energy, rows.weights[outside][is_energy].sum()),
        others=_root_mean(other, rows.weights[outside][~is_energy].sum()),
        best=best,
        coefficients=coefficients,
        constant=constant,
        path=path if settings.keep_paths else None,
    )


def _choose(
    table: DesignTable, settings: SparseRegressionSettings, weights: Floats, random: np.random.Generator
) -> Integers:
    """Columns of the table in the order of their choice for the training weights of its rows."""
    limit = min(settings.max_features, int(np.count_nonzero(weights)), table.matrix.shape[1])
    kind = GramEngine if settings.method == "gram" else RowEngine
    engine: Engine = kind(table.matrix, table.targets, weights, limit, settings.dependence)
    first = settings.constant == "first" and bool((weights[table.rows.constant] > 0).any())
    n_candidates = settings.n_candidates(table.matrix.shape[1] - (settings.constant == "none"))
    return select(engine, table.usable, table.constant_column if first else None, limit, n_candidates, random)


def _fitted_energies(path: SelectionPath, table: DesignTable, weights: Floats, chosen: Integers) -> Floats:
    """Weighted errors (M) of the training rows that the constant enters."""
    energies = np.flatnonzero((weights > 0) & table.rows.constant)
    squares, _ = errors(path, table, energies, chosen, weights)
    return _root_mean(squares, weights[energies].sum())


def _root_mean(squares: Floats, weight: float) -> Floats:
    """Root of the mean of weighted squares; nan of nothing."""
    return np.sqrt(squares / weight) if weight > 0 else np.full_like(squares, np.nan)
