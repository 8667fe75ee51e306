"""Gaussian multipole (GMP) features on the density engine: one set of features for all elements."""

from rhopot.potentials.gmp.direct import direct_features
from rhopot.potentials.gmp.features import GmpFeatures
from rhopot.potentials.gmp.hypers import GmpHypers
from rhopot.potentials.gmp.valence import ValenceDensity, valence_density

__all__ = ["GmpFeatures", "GmpHypers", "ValenceDensity", "direct_features", "valence_density"]
