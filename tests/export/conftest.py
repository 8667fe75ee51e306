from __future__ import annotations

from pathlib import Path

import many_body_toy as toy
import pytest
import small_models

from rhopot.export import save_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model with three members, exported once with the whole self-check."""
    path = tmp_path_factory.mktemp("models") / "toy.pt"
    save_model(toy.ManyBody(members=3), toy.card(members=3), path, [toy.skewed(), toy.cluster()])
    return path


@pytest.fixture(scope="session")
def gap_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sparse-kernel model on compiled operators, exported once with the whole self-check."""
    path, model = tmp_path_factory.mktemp("models") / "gap.pt", small_models.gap()
    save_model(model.module, model.card, path, [toy.skewed(), toy.cluster()])
    return path


@pytest.fixture(scope="session")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committee of two small networks, exported once with the whole self-check."""
    path, model = tmp_path_factory.mktemp("models") / "network.pt", small_models.network()
    save_model(model.module, model.card, path, [toy.skewed(), toy.cluster()])
    return path


@pytest.fixture(scope="session")
def scattering_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small global model, exported once with the whole self-check."""
    path, model = tmp_path_factory.mktemp("models") / "scattering.pt", small_models.scattering()
    save_model(model.module, model.card, path, [toy.skewed(), toy.slab(), toy.cluster()])
    return path
