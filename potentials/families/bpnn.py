"""`bpnn`: Behler-Parrinello potential, one neural network per element on symmetry functions.

E = sum_i N[a_i](G_i) with radial and angular functions G (see `descriptors.symmetry_functions`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctions, SymmetryFunctionSettings
from rhopot.potentials.descriptors.symmetry_functions.symmetry_settings import GRIDS
from rhopot.potentials.families.family import Family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.families.networks.committee import COMMITTEE, fit_networks
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.models.network_settings import ElementNetworkSettings

BPNN = "J. Behler, M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007), doi:10.1103/PhysRevLett.98.146401"


def _functions(
    settings: SymmetryFunctionSettings, frames: Sequence[Atoms], symbols: Sequence[str]
) -> SymmetryFunctions:
    """The symmetry functions of these settings; nothing in them is learned from the data."""
    operators.load()
    return SymmetryFunctions(settings.with_symbols(symbols))


FAMILY = Family(
    name="bpnn",
    title="one neural network per element on Behler-Parrinello symmetry functions",
    references=(BPNN,),
    kind="local",
    n_layers=1,
    refits_on_validation=False,
    members_make_prediction=True,
    descriptor_settings=SymmetryFunctionSettings,
    regressor_settings=ElementNetworkSettings,
    training_settings=TrainingSettings,
    descriptor_for=_functions,
    fit=fit_networks,
    features=features_of_atoms,
    defaults={
        **COMMITTEE,
        "descriptor": {
            "eta_unit": "1/A^2",
            "g2_etas": [2.0],
            "g2_shifts": [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0],
            "g4_etas": [0.03, 0.15],
            "g4_zetas": [1, 4],
        },
        "training": {"loss": {"stress": 0.05}},
    },
    replaces={("descriptor", "set"): ("eta_unit", *GRIDS)},
)
