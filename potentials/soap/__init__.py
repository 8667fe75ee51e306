"""SOAP descriptors: invariants of one (radial spectrum) and two (power spectrum) neighbours on the density engine."""

from rhopot.potentials.soap.hypers import SoapHypers
from rhopot.potentials.soap.power_spectrum import SoapPowerSpectrum, unpack_power_spectrum
from rhopot.potentials.soap.radial_spectrum import RadialSpectrum

__all__ = ["RadialSpectrum", "SoapHypers", "SoapPowerSpectrum", "unpack_power_spectrum"]
