"""`gmp_snn`: one neural network, shared by all elements, on Gaussian multipole features.

E = sum_i N(p_i) with features p, norms of Gaussian probes (see `descriptors.gmp`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings
from rhopot.potentials.families.family import Configuration, Conflict, Family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.families.networks.committee import COMMITTEE, fit_networks
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.models.network_settings import NetworkSettings

GMP = "X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100"


def _features(settings: GmpSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> GmpFeatures:
    """The probes of these settings; nothing in them is learned from the data."""
    operators.load()
    return GmpFeatures(settings.with_symbols(symbols))


def _conflict(config: Configuration) -> Conflict | None:
    """Norms that are not regularised enough for single precision."""
    sentence = config.descriptor.unsuitable(config.dtype)
    return None if sentence is None else Conflict(("descriptor", "regularization"), sentence)


FAMILY = Family(
    name="gmp_snn",
    title="one neural network for all elements on Gaussian multipole features",
    references=(GMP,),
    kind="local",
    n_layers=1,
    refits_on_validation=False,
    members_make_prediction=True,
    descriptor_settings=GmpSettings,
    regressor_settings=NetworkSettings,
    training_settings=TrainingSettings,
    descriptor_for=_features,
    fit=fit_networks,
    features=features_of_atoms,
    conflict=_conflict,
    defaults={
        **COMMITTEE,
        "descriptor": {
            "cutoff_width": 3.0,
            "n_probes": 12,
            "max_order": 6,
            "harmonics": "solid",
            "regularization": None,
            "regularization_length": 0.04,
        },
        "regressor": {"hidden": [64, 64, 64], "activation": "silu"},
        "training": {"loss": {"stress": 0.1}},
    },
    replaces={("descriptor", "regularization"): ("regularization_length",)},
)
