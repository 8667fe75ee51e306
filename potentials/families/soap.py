"""What the families on SOAP share: the power spectrum, and what to cite for it."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import learn_basis

SOAP = "A. P. Bartók, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115"
SCALING = "M. J. Willatt, F. Musil, M. Ceriotti, PCCP 20, 29661 (2018), doi:10.1039/C8CP05921G"


def power_spectrum(settings: SoapSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> SoapPowerSpectrum:
    """The power spectrum of these settings; an optimal radial basis is learned from the frames."""
    operators.load()
    return SoapPowerSpectrum(learn_basis(settings.with_symbols(symbols), frames))
