"""Averages of sparse linear models on wavelet scattering: from labelled structures to one energy of the whole cell."""

from rhopot.potentials.ensembles.hypers import EnsembleHypers
from rhopot.potentials.ensembles.run import fit_scattering

__all__ = ["EnsembleHypers", "fit_scattering"]
