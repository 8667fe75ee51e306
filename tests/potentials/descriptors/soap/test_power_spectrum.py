"""SOAP power spectrum: everything a descriptor owes, in both species modes and on both sets of operators."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from rhopot.potentials.density import reference
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings, unpack_power_spectrum
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.testing.descriptor import SYMBOLS, DescriptorContract, few_edges

HYPERS = SoapSettings(symbols=SYMBOLS, cutoff=4.5, n_max=4, l_max=3, density_width=0.5, cutoff_width=1.5)
CASES = {
    "separate": (HYPERS, False),
    "separate_reference": (HYPERS, True),
    "mixed": (HYPERS.model_copy(update={"species_mode": "mixed", "n_max": 3}), False),
    "mixed_reference": (HYPERS.model_copy(update={"species_mode": "mixed", "n_max": 3}), True),
    "dvr": (HYPERS.model_copy(update={"radial_basis": "dvr", "center_weight": 0.0}), False),
}


class TestSoapPowerSpectrum(DescriptorContract):
    @pytest.fixture(scope="class", params=list(CASES))
    @classmethod
    def descriptor(cls, request: pytest.FixtureRequest) -> nn.Module:
        settings, twin = CASES[request.param]
        return SoapPowerSpectrum(settings, reference=twin)


def test_unpacked_spectrum_is_the_symmetric_product_of_densities() -> None:
    descriptor = SoapPowerSpectrum(HYPERS)
    inputs = few_edges(6, seed=1)
    density = reference.density_expansion(inputs, descriptor.table())
    full = unpack_power_spectrum(descriptor(inputs), HYPERS.l_max)
    for degree in range(HYPERS.l_max + 1):
        rows = density[:, degree**2 : (degree + 1) ** 2]
        expected = torch.einsum("cmu,cmv->cuv", rows, rows) / np.sqrt(2 * degree + 1)
        assert_close(full[..., degree], expected, rtol=1e-12, atol=1e-14)


def test_packing_keeps_dot_products() -> None:
    features = SoapPowerSpectrum(HYPERS)(few_edges(6, seed=1))
    full = unpack_power_spectrum(features, HYPERS.l_max).flatten(1)
    assert_close(full @ full.T, features @ features.T, rtol=1e-12, atol=1e-14)


def test_mixed_species_with_a_block_coupling_equal_separate_species() -> None:
    n_max, n_species = HYPERS.n_max, len(SYMBOLS)
    coupling = np.eye(n_species * n_max).reshape(n_species * n_max, n_species, n_max)
    mixed = SoapPowerSpectrum(HYPERS.model_copy(update={"species_mode": "mixed"}), coupling)
    inputs = few_edges(6, seed=2)
    assert mixed.n_channels == 1
    assert_close(mixed(inputs), SoapPowerSpectrum(HYPERS)(inputs), rtol=1e-12, atol=1e-14)


def test_contraction_keeps_the_chosen_primitive_functions() -> None:
    coupling = np.repeat(np.eye(HYPERS.n_max)[[2, 0]][:, None], len(SYMBOLS), axis=1)
    contracted = SoapPowerSpectrum(HYPERS, coupling)
    inputs = few_edges(6, seed=2)
    full = unpack_power_spectrum(SoapPowerSpectrum(HYPERS)(inputs), HYPERS.l_max)
    chosen = torch.tensor([2, 0, HYPERS.n_max + 2, HYPERS.n_max])
    expected = full[:, chosen][:, :, chosen]
    assert_close(unpack_power_spectrum(contracted(inputs), HYPERS.l_max), expected, rtol=1e-12, atol=1e-14)


def test_centre_weight_zero_removes_the_centre() -> None:
    inputs = few_edges(3, seed=2)
    empty = AtomicGraph(inputs[0][:0], torch.tensor([0, 0, 0]), inputs[2][:0], *inputs[3:])
    assert_close(SoapPowerSpectrum(HYPERS.model_copy(update={"center_weight": 0.0}))(empty).abs().max().item(), 0.0)
    assert SoapPowerSpectrum(HYPERS)(empty).abs().max().item() > 0.1
