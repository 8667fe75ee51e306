"""Sparse linear regression by greedy orthogonal least squares, and averages of many such models."""

from rhopot.potentials.greedy.budget import best_features, refit, usage
from rhopot.potentials.greedy.ensemble import Ensemble, fit_ensemble, fit_members
from rhopot.potentials.greedy.hypers import GreedyHypers, SelectionHypers
from rhopot.potentials.greedy.member import Member, fit_member
from rhopot.potentials.greedy.path import GreedyPath
from rhopot.potentials.greedy.rows import Rows, make_rows, stack

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
