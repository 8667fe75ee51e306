"""Collective variables: smooth functions of the atoms' positions that metadynamics and restraints act on.

A module has contributions of centers (`forward`), which are summed over all atoms and ranks, and what is made of the
sums and of the positions of given atoms (`finish`). `rhopot.export.save_cv` writes one to a file.
"""

from rhopot.potentials.collective_variables.collective_variable import (
    MOST_COMPONENTS,
    CollectiveVariable,
    Description,
)
from rhopot.potentials.collective_variables.combine import Combined, combine
from rhopot.potentials.collective_variables.coordination import Coordination
from rhopot.potentials.collective_variables.geometric import Angle, Dihedral, Distance, Projection
from rhopot.potentials.collective_variables.polarization import Polarization
from rhopot.potentials.collective_variables.soap_projection import SoapProjection
from rhopot.potentials.collective_variables.steinhardt import Steinhardt

__all__ = [
    "MOST_COMPONENTS",
    "Angle",
    "CollectiveVariable",
    "Combined",
    "Coordination",
    "Description",
    "Dihedral",
    "Distance",
    "Polarization",
    "Projection",
    "SoapProjection",
    "Steinhardt",
    "combine",
]
