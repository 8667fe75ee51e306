"""`angular`: messages of neighbors, filtered by distance and angle, refine the features of atoms layer by layer.

E = sum_i o . x_i after some layers of messages (see `models.angular.network`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.families.angular.fit import fit_angular
from rhopot.potentials.families.family import Configuration, Conflict, Family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.families.networks.committee import COMMITTEE
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.models.angular.settings import AngularNetworkSettings

BRUMWELL = (
    "X. Brumwell, Wavelet scattering and graph representations for atomic structures, PhD thesis, Michigan State "
    "University (2021), chapter 6, https://d.lib.msu.edu/etd/50120"
)


def _basis(settings: AngularSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> AngularBasis:
    """The bases of these settings; nothing in them is learned from the data."""
    operators.load()
    return AngularBasis(settings.with_symbols(symbols))


def _conflict(config: Configuration) -> Conflict | None:
    """A device that the operator of the filters does not know."""
    if config.training.device != "cuda":
        return None
    return Conflict(
        ("training", "device"), "must be auto or cpu for angular networks, got cuda; their filters run on processors"
    )


FAMILY = Family(
    name="angular",
    title="messages between atoms, filtered by distance and angle",
    references=(BRUMWELL,),
    kind="local",
    n_layers=3,
    refits_on_validation=False,
    members_make_prediction=True,
    descriptor_settings=AngularSettings,
    regressor_settings=AngularNetworkSettings,
    training_settings=TrainingSettings,
    descriptor_for=_basis,
    fit=fit_angular,
    features=features_of_atoms,
    conflict=_conflict,
    defaults={
        **COMMITTEE,
        "uncertainty": {"members": 0},  # each costs as much as the first
        "descriptor": {"cutoff": 4.5, "n_radial": 6, "n_angular": 6},
        "regressor": {"layers": 3, "width": 64, "filters": 32, "heads": 8},
        "training": {
            "epochs": 120,
            "batch": 48,
            "batch_by": "atoms",
            "learning_rate": 5e-3,
            "loss": {"stress": 0.1},
        },
    },
)
