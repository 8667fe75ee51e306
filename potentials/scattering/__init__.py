"""Wavelet scattering: invariants of the whole periodic cell from wavelets on a grid."""

from rhopot.potentials.scattering.direct import direct_features
from rhopot.potentials.scattering.features import WaveletScattering
from rhopot.potentials.scattering.grid import ScatteringGrid, choose_grid, finest_spacing
from rhopot.potentials.scattering.hypers import ScatteringHypers
from rhopot.potentials.scattering.parameters import beta_from_overlap, largest_scale, padding_error, spacing_from_alias
from rhopot.potentials.scattering.paths import Path, all_paths
from rhopot.potentials.scattering.slopes import ScatteringSlopes

__all__ = [
    "Path",
    "ScatteringGrid",
    "ScatteringHypers",
    "ScatteringSlopes",
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
