"""Fitting linear and sparse-kernel models to energies, forces and stresses."""

from rhopot.potentials.fit.hypers import GapHypers, LinearHypers
from rhopot.potentials.fit.parallel import Alone, MpiRanks, Ranks, find_ranks
from rhopot.potentials.fit.progress import Forecast, Progress, Silent
from rhopot.potentials.fit.run import fit_gap, fit_linear
from rhopot.potentials.fit.targets import Target, Targets
from rhopot.potentials.fit.task import FitResult, FitTask

__all__ = [
    "Alone",
    "FitResult",
    "FitTask",
    "Forecast",
    "GapHypers",
    "LinearHypers",
    "MpiRanks",
    "Progress",
    "Ranks",
    "Silent",
    "Target",
    "Targets",
    "find_ranks",
    "fit_gap",
    "fit_linear",
]
