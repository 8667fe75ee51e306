"""Behler-Parrinello symmetry functions: the descriptor of high-dimensional neural networks, for comparison."""

from rhopot.potentials.symmetry_functions.functions import SymmetryFunctions
from rhopot.potentials.symmetry_functions.hypers import SymmetryHypers

__all__ = ["SymmetryFunctions", "SymmetryHypers"]
