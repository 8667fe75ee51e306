"""Training of networks on energies, forces and stresses: loss, cache, minibatches, optimiser, loop, checkpoints."""

from rhopot.potentials.fitting.gradient.network_fit import train_networks
from rhopot.potentials.fitting.gradient.training_settings import LossSettings, ScheduleSettings, TrainingSettings

__all__ = ["LossSettings", "ScheduleSettings", "TrainingSettings", "train_networks"]
