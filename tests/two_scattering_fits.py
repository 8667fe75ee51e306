"""A small fit whose numbers are to be the same on any number of processes.

python two_scattering_fits.py PREFIX      under a launcher: writes PREFIX-RANK.npz
"""

from __future__ import annotations

import sys

import numpy as np
from scattering_problem import FEW, fit_problem, frames

from rhopot.potentials.families.scattering.fit import fit_scattering
from rhopot.potentials.fitting.communicator import Communicator, find_communicator


def results(communicator: Communicator) -> dict[str, np.ndarray]:
    """Coefficients of the models on a budget, of one part and of both, and what is reported of them."""
    settings = FEW.model_copy(update={"budget": 15, "n_members": 9})
    found = fit_scattering(
        fit_problem(frames(14), frames(5, seed=1), refit_on_validation=True, communicator=communicator), settings
    )
    behaviour = found.report["behaviour"]
    return {
        "size": np.array(communicator.size),
        "kind": np.array(type(communicator).__name__),
        "model": found.model.coefficients.numpy(),
        "final": found.final.coefficients.numpy(),
        "paths": np.array([path.name for path in found.model.jacobian.scattering.paths]),
        "spread": np.array(found.model.calibration),
        "errors": np.array(list(found.report["validation"].values())),
        "behaviour": np.array([value for part in behaviour.values() for value in part.values()]),
    }


if __name__ == "__main__":
    here = find_communicator()
    np.savez(f"{sys.argv[1]}-{here.rank}.npz", **results(here))
