"""Solid-harmonic wavelets at atom centers: what networks of point scattering convolve features of atoms with."""

from rhopot.potentials.descriptors.point_scattering.point_settings import PointScatteringSettings
from rhopot.potentials.descriptors.point_scattering.wavelets import PointWavelets

__all__ = ["PointScatteringSettings", "PointWavelets"]
