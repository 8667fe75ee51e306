"""The many-body toy through the contract of every potential, as an exported file and in memory."""

from __future__ import annotations

from pathlib import Path

import many_body_toy as toy
import pytest
from contracts.potential import PotentialContract

from rhopot.export import LoadedModel, load_model


class TestToyInMemory(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return toy.in_memory(members=2)


class TestToyFromFile(PotentialContract):
    @pytest.fixture
    def model(self, model_file: Path) -> LoadedModel:
        return load_model(model_file)
