from __future__ import annotations

from pathlib import Path

import pytest
from toy_model import ToyModel, cluster, rattled, toy_card

from rhopot.export import save_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model with three members, exported once with the whole self-check."""
    path = tmp_path_factory.mktemp("models") / "toy.pt"
    save_model(ToyModel(members=3), toy_card(members=3), path, [rattled(), cluster()])
    return path
