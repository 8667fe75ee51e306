"""The contract of every potential, for the toy and the real models, in memory and from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
import small_models
import torch

from rhopot.export import LoadedModel, evaluate, load_model
from rhopot.testing import PotentialContract


class TestToyInMemory(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return toy.in_memory(members=2)


class TestToyFromFile(PotentialContract):
    @pytest.fixture
    def model(self, model_file: Path) -> LoadedModel:
        return load_model(model_file)


class TestLinear(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.linear()


class TestGap(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.gap()


class TestNetworkFromFile(PotentialContract):
    @pytest.fixture
    def model(self, network_file: Path) -> LoadedModel:
        return load_model(network_file)


class TestGapFromFile(PotentialContract):
    @pytest.fixture
    def model(self, gap_file: Path) -> LoadedModel:
        return load_model(gap_file)


@pytest.mark.parametrize("make", [small_models.linear, small_models.gap, small_models.network])
def test_single_precision_stays_close(make: Callable[[torch.dtype], LoadedModel]) -> None:
    low, high = (evaluate(make(dtype), [toy.skewed()], members=True)[0] for dtype in (torch.float32, torch.float64))
    for name in ("energies", "forces", "members"):
        rough, exact = getattr(low, name), getattr(high, name)
        assert rough.dtype == np.float64
        assert 1e-12 < np.abs(rough - exact).max() < 1e-4 * np.abs(exact).max()
