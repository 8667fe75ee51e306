"""Gaussian multipole (GMP) features on the density engine: one set of features for all elements."""

from rhopot.potentials.descriptors.gmp.direct import direct_features
from rhopot.potentials.descriptors.gmp.features import GmpFeatures
from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings
from rhopot.potentials.descriptors.gmp.valence import ValenceDensity, valence_density

__all__ = ["GmpFeatures", "GmpSettings", "ValenceDensity", "direct_features", "valence_density"]
