"""Networks on a descriptor as a potential: the contract, columns of the committee, floating types, refusals."""

from __future__ import annotations

import many_body_toy as toy
import pytest
import small_models
import torch
from torch.testing import assert_close

from rhopot.export import LoadedModel
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum
from rhopot.potentials.models import NetworkModel, Networks, NetworkSettings
from rhopot.testing import PotentialContract
from rhopot.testing.spectrum import arguments

SYMBOLS, CUTOFF = small_models.SYMBOLS, small_models.HYPERS.cutoff


class TestCommitteeOfOneNetworkForAllElements(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.network()


class TestOneNetworkPerElement(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.network(per_element=True, members=0)


class TestGaussianMultipoles(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.gmp_network()


class TestSymmetryFunctions(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.symmetry_network()


def test_columns_are_the_mean_and_the_members_spread_by_the_factor() -> None:
    model = small_models.network(members=3).module
    inputs = arguments(toy.skewed(3), SYMBOLS, CUTOFF)
    alone = model.networks(model.descriptor(inputs), inputs[4]).t()
    baseline = torch.tensor(list(small_models.BASELINE.values()), dtype=torch.float64)[inputs[4]][:, None]
    columns = model(*inputs, True)
    mean = alone.mean(1, keepdim=True)
    assert_close(columns[:, :1], mean + baseline)
    assert_close(columns[:, 1:], mean + baseline + small_models.CALIBRATION * (alone - mean))
    assert_close(columns[:, 1:].mean(1), columns[:, 0])
    assert_close(columns[:, :1], model(*inputs, False))
    assert columns[:, 1:].std(1).min() > 1e-4


def test_a_single_network_has_no_members() -> None:
    model = small_models.network(members=0).module
    inputs = arguments(toy.skewed(3), SYMBOLS, CUTOFF)
    assert model.n_members == 0
    assert model(*inputs, True).shape == model(*inputs, False).shape == (len(inputs[4]), 1)


def test_float32_model_returns_float64_with_an_exact_baseline() -> None:
    inputs = arguments(toy.skewed(6), SYMBOLS, CUTOFF)
    model = small_models.network().module
    exact = model(*inputs, True)
    single = small_models.network(torch.float32).module
    energies = single(*inputs, True)
    assert energies.dtype == torch.float64
    assert single.networks.output.weight.dtype == torch.float32
    assert_close(energies, exact, rtol=0, atol=1e-4)
    assert single.baseline.elements == list(small_models.BASELINE.values())


def test_the_model_keeps_its_networks_when_training_goes_on() -> None:
    descriptor = SoapPowerSpectrum(small_models.HYPERS)
    networks = Networks(descriptor.n_features, 2, NetworkSettings(hidden=(4,)), [0])
    model = NetworkModel(descriptor, networks, [0.0, 0.0])
    inputs = arguments(toy.skewed(6), SYMBOLS, CUTOFF)
    before = model(*inputs, False)
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.add_(1.0)
    assert_close(model(*inputs, False), before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_networks_that_do_not_fit_are_refused() -> None:
    descriptor = SoapPowerSpectrum(small_models.HYPERS)
    with pytest.raises(ValueError, match=r"networks must take \d+ features and have 1 or 2 weight sets, got 3 and 1"):
        NetworkModel(descriptor, Networks(3, 2, NetworkSettings(), [0]), [0.0, 0.0])
    fitting = Networks(descriptor.n_features, 2, NetworkSettings(), [0])
    with pytest.raises(ValueError, match="calibration must be a factor of at least 0, got nan"):
        NetworkModel(descriptor, fitting, [0.0, 0.0], calibration=float("nan"))
