"""Training by gradients on energies, forces and stresses: loss, minibatches, optimiser, loop, checkpoints, calibration.

Knows `TrainableModel` and `BatchSource` (see `trainable`), no family.
"""

from rhopot.potentials.fitting.gradient.fit import Trainable, TrainedCommittee, train_committee
from rhopot.potentials.fitting.gradient.trainable import BatchSource, TrainableModel
from rhopot.potentials.fitting.gradient.training_settings import LossSettings, ScheduleSettings, TrainingSettings

__all__ = [
    "BatchSource",
    "LossSettings",
    "ScheduleSettings",
    "Trainable",
    "TrainableModel",
    "TrainedCommittee",
    "TrainingSettings",
    "train_committee",
]
