"""Regressors: from invariants of atoms to energies, as scriptable modules with the local model's signature."""

from rhopot.potentials.regressors.descriptor import Descriptor
from rhopot.potentials.regressors.gap import GapModel
from rhopot.potentials.regressors.linear import LinearModel

__all__ = ["Descriptor", "GapModel", "LinearModel"]
