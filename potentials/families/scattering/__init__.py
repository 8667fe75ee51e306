"""Averages of sparse linear models on wavelet scattering: from labelled structures to one energy of the whole cell."""

from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.fit import fit_scattering

__all__ = ["ScatteringFitSettings", "fit_scattering"]
