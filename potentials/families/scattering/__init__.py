"""Averages of sparse linear models on wavelet scattering: from labelled structures to the energy of a cell."""

from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.fit import fit_scattering

__all__ = ["ScatteringFitSettings", "fit_scattering"]
