"""Behler-Parrinello symmetry functions: the descriptor of high-dimensional neural networks, for comparison."""

from rhopot.potentials.descriptors.symmetry_functions.functions import SymmetryFunctions
from rhopot.potentials.descriptors.symmetry_functions.symmetry_settings import SymmetryFunctionSettings

__all__ = ["SymmetryFunctionSettings", "SymmetryFunctions"]
