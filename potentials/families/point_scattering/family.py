"""`point_scattering`: solid-harmonic wavelets at atom centers convolve learned channels of the atoms, layer by layer.

E = sum_i N(X_i), X the special moduli of all layers (see `models.point_scattering.network`). The published loss, eq.
5.16, is `training.loss.form: balanced`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.point_scattering import PointScatteringSettings, PointWavelets
from rhopot.potentials.families.family import Family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.families.networks.committee import COMMITTEE
from rhopot.potentials.families.point_scattering.fit import fit_point_scattering
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings

BRUMWELL = (
    "X. Brumwell, Wavelet scattering and graph representations for atomic structures, PhD thesis, Michigan State "
    "University (2021), chapter 5; wavelets: M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat, L. Thiry, "
    "J. Chem. Phys. 148, 241732 (2018), doi:10.1063/1.5023798"
)


def _wavelets(settings: PointScatteringSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> PointWavelets:
    """The wavelets of these settings; their width is taken from the frames where the settings leave it open."""
    operators.load()
    return PointWavelets(settings.completed(frames).with_symbols(symbols))


FAMILY = Family(
    name="point_scattering",
    title="wavelets at atom centers, convolved with learned channels of the atoms layer by layer",
    references=(BRUMWELL,),
    kind="local",
    n_layers=1,
    refits_on_validation=False,
    members_make_prediction=True,
    descriptor_settings=PointScatteringSettings,
    regressor_settings=PointScatteringNetworkSettings,
    training_settings=TrainingSettings,
    descriptor_for=_wavelets,
    fit=fit_point_scattering,
    features=features_of_atoms,
    defaults={
        **COMMITTEE,
        "descriptor": {"beta": None, "cutoff_width": 2.5},
        "training": {"learning_rate": 0.005, "batch": 5, "ema": 0.999, "loss": {"form": "balanced", "stress": 0.003}},
    },
)
