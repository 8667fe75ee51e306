"""Training of networks on energies, forces and stresses: loss, cache, minibatches, optimiser, loop, checkpoints."""

from rhopot.potentials.training.hypers import LossHypers, ScheduleHypers, TrainingHypers
from rhopot.potentials.training.run import train_networks

__all__ = ["LossHypers", "ScheduleHypers", "TrainingHypers", "train_networks"]
