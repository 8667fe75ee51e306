"""Regressors: from invariants of atoms to energies, as scriptable modules with the local model's signature."""

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.models.gap import GapModel
from rhopot.potentials.models.linear import LinearModel
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkSettings

__all__ = ["Descriptor", "GapModel", "LinearModel", "NetworkModel", "NetworkSettings", "Networks"]
