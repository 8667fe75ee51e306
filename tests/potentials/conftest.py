"""A small model file for workflows that run LAMMPS, written without the self-check that `save_model` makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_models

from rhopot.export import script


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = small_models.linear()
    archive = script.serialise(script.compile_module(model.module), {"rhopot.json": model.card.to_json()})
    path = tmp_path_factory.mktemp("model") / "linear.pt"
    path.write_bytes(archive)
    return path
