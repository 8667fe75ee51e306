"""Sparse linear regression by greedy orthogonal least squares, and averages of many such models."""

from rhopot.potentials.fitting.sparse_regression.budget import best_features, refit, usage
from rhopot.potentials.fitting.sparse_regression.ensemble import Ensemble, fit_ensemble, fit_members
from rhopot.potentials.fitting.sparse_regression.member import Member, fit_member
from rhopot.potentials.fitting.sparse_regression.path import SelectionPath
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import (
    FeatureSelectionSettings,
    SparseRegressionSettings,
)
from rhopot.potentials.fitting.sparse_regression.weighted_rows import WeightedRows, make_rows, stack

__all__ = [
    "Ensemble",
    "FeatureSelectionSettings",
    "Member",
    "SelectionPath",
    "SparseRegressionSettings",
    "WeightedRows",
    "best_features",
    "fit_ensemble",
    "fit_member",
    "fit_members",
    "make_rows",
    "refit",
    "stack",
    "usage",
]
