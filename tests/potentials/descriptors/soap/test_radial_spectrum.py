"""SOAP radial spectrum: everything a descriptor owes, on both sets of operators."""

import pytest
from torch import nn

from rhopot.potentials.descriptors.soap import RadialSpectrum, SoapSettings
from rhopot.testing.descriptor import SYMBOLS, DescriptorContract

HYPERS = SoapSettings(symbols=SYMBOLS, cutoff=4.5, n_max=5, density_width=0.4, cutoff_width=1.5)


class TestRadialSpectrum(DescriptorContract):
    @pytest.fixture(scope="class", params=["compiled", "reference"])
    @classmethod
    def descriptor(cls, request: pytest.FixtureRequest) -> nn.Module:
        return RadialSpectrum(HYPERS, reference=request.param == "reference")
