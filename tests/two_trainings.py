"""Two small trainings, of energies and of forces, whose numbers are to be the same on any number of processes.

python two_trainings.py PREFIX      under a launcher: writes PREFIX-RANK.npz
"""

from __future__ import annotations

import sys

import labelled
import numpy as np
from training_problem import ENERGIES, FORCES, fit_problem, training_settings, weights

from rhopot.potentials.families.networks.fit import train_networks
from rhopot.potentials.fitting.communicator import Communicator, find_communicator
from rhopot.potentials.models.network_settings import NetworkSettings


def results(communicator: Communicator) -> dict[str, np.ndarray]:
    """Weights, losses, errors and calibration after 5 epochs of 4 batches, 20 steps, in float64."""
    train, validation = labelled.frames(17), labelled.frames(5, seed=1)
    found = {"size": np.array(communicator.size), "kind": np.array(type(communicator).__name__)}
    for name, targets in (("energies", ENERGIES), ("forces", FORCES)):
        network = NetworkSettings(hidden=(10, 6), normalization="batch_norm", per_element=name == "energies")
        given = fit_problem(train, validation, communicator=communicator, targets=targets, members=2)
        result = train_networks(given, network, training_settings(5, learning_rate=0.01))
        found[name] = weights(result.model).numpy()
        found[name + "_losses"] = np.array([row["validation_loss"] for row in result.report["epochs"]])
        found[name + "_errors"] = np.array(list(result.report["validation"].values()))
        of_forces = result.force_calibration
        factors = [result.report["calibration"]["factor"], *([] if of_forces is None else of_forces.factors.values())]
        found[name + "_factor"] = np.array(factors)
    return found


if __name__ == "__main__":
    here = find_communicator()
    np.savez(f"{sys.argv[1]}-{here.rank}.npz", **results(here))
