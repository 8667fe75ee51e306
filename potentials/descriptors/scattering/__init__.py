"""Wavelet scattering: invariants of the whole periodic cell from wavelets on a grid."""

from rhopot.potentials.descriptors.scattering.direct import direct_features
from rhopot.potentials.descriptors.scattering.features import WaveletScattering
from rhopot.potentials.descriptors.scattering.grid import ScatteringGrid, choose_grid, finest_spacing
from rhopot.potentials.descriptors.scattering.jacobians import ScatteringJacobian
from rhopot.potentials.descriptors.scattering.parameters import (
    beta_from_overlap,
    largest_scale,
    padding_error,
    spacing_from_alias,
)
from rhopot.potentials.descriptors.scattering.paths import WaveletPath, all_paths
from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings

__all__ = [
    "ScatteringGrid",
    "ScatteringJacobian",
    "ScatteringSettings",
    "WaveletPath",
    "WaveletScattering",
    "all_paths",
    "beta_from_overlap",
    "choose_grid",
    "direct_features",
    "finest_spacing",
    "largest_scale",
    "padding_error",
    "spacing_from_alias",
]
