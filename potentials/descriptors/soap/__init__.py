"""SOAP descriptors: invariants of one (radial spectrum) and two (power spectrum) neighbours on the density engine."""

from rhopot.potentials.descriptors.soap.power_spectrum import SoapPowerSpectrum, unpack_power_spectrum
from rhopot.potentials.descriptors.soap.radial_spectrum import RadialSpectrum
from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings

__all__ = ["RadialSpectrum", "SoapPowerSpectrum", "SoapSettings", "unpack_power_spectrum"]
