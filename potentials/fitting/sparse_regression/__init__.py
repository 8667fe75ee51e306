"""Sparse linear regression by greedy orthogonal least squares, and averages of many such models."""

from rhopot.potentials.fitting.sparse_regression.budget import best_features, refit, usage
from rhopot.potentials.fitting.sparse_regression.ensemble import Ensemble, fit_ensemble, fit_members
from rhopot.potentials.fitting.sparse_regression.member import Member, fit_member
from rhopot.potentials.fitting.sparse_regression.path import GreedyPath
from rhopot.potentials.fitting.sparse_regression.rows import Rows, make_rows, stack
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import GreedyHypers, SelectionHypers

__all__ = [
    "Ensemble",
    "GreedyHypers",
    "GreedyPath",
    "Member",
    "Rows",
    "SelectionHypers",
    "best_features",
    "fit_ensemble",
    "fit_member",
    "fit_members",
    "make_rows",
    "refit",
    "stack",
    "usage",
]
