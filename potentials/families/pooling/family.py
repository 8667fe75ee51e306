"""`pooling`: angular networks whose atoms are pooled to nodes, which exchange messages in turn; for molecules.

E = sum_k o . x_k over the nodes of the last pooling (see `models.pooling.network`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rhopot.potentials import operators
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.families.angular.family import BRUMWELL
from rhopot.potentials.families.family import Configuration, Conflict, Family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.families.networks.committee import COMMITTEE
from rhopot.potentials.families.pooling.fit import fit_pooling
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings
from rhopot.potentials.units import UNLIMITED_STRETCH

DIFFPOOL = (
    "R. Ying, J. You, C. Morris, X. Ren, W. L. Hamilton, J. Leskovec, Hierarchical graph representation learning with "
    "differentiable pooling, Advances in Neural Information Processing Systems 31 (2018), doi:10.48550/arXiv.1806.08804"
)


def _basis(settings: AngularSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> AngularBasis:
    """The bases of these settings; nothing in them is learned from the data."""
    operators.load()
    return AngularBasis(settings.with_symbols(symbols))


def _features(basis: AngularBasis, atoms: Atoms) -> NDArray[np.float64]:
    """Mean (F,) of the features of a structure's atoms."""
    return features_of_atoms(basis, atoms).mean(axis=0)


def _conflict(config: Configuration) -> Conflict | None:
    """Stresses, which structures without a cell have not."""
    if config.targets.stress is not None:
        return Conflict(("targets", "stress"), "must be null for pooling, got a sigma; molecules have no stress")
    return None


FAMILY = Family(
    name="pooling",
    title="messages between atoms and between nodes that they are pooled to; energies of molecules",
    references=(BRUMWELL, DIFFPOOL),
    kind="global",
    n_layers=1,
    refits_on_validation=False,
    members_make_prediction=True,
    descriptor_settings=AngularSettings,
    regressor_settings=PoolingNetworkSettings,
    training_settings=TrainingSettings,
    descriptor_for=_basis,
    fit=fit_pooling,
    features=_features,
    conflict=_conflict,
    stretch=UNLIMITED_STRETCH,
    defaults={
        **COMMITTEE,
        "targets": {**COMMITTEE["targets"], "stress": None},
        "uncertainty": {"members": 0},
        "training": {
            "batch": 5,
            "learning_rate": 3e-3,
            "ema": 0.999,
            "dtype": "float32",
            "loss": {"form": "balanced", "p": 0.01},
        },
    },
    notes=(
        "molecules only: structures with periodic boundaries are refused",
        "pooling joins all atoms of a structure, so energies of fragments far apart do not add up",
    ),
)
