"""Regressors: from invariants of atoms to energies, as scriptable modules with the local model's signature."""

from rhopot.potentials.regressors.descriptor import Descriptor
from rhopot.potentials.regressors.gap import GapModel
from rhopot.potentials.regressors.linear import LinearModel
from rhopot.potentials.regressors.network import Networks
from rhopot.potentials.regressors.network_hypers import NetworkHypers
from rhopot.potentials.regressors.network_model import NetworkModel

__all__ = ["Descriptor", "GapModel", "LinearModel", "NetworkHypers", "NetworkModel", "Networks"]
