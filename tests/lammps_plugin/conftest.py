"""Model files for the LAMMPS tests, written once."""

from pathlib import Path

import many_body_toy as toy
import pytest
import torch

from rhopot.export import save_model, script


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with many_body.pt (8 members), float32.pt, fingerprint.pt, and two that no check would let pass."""
    folder = tmp_path_factory.mktemp("models")
    probe = [toy.tiny()]
    save_model(toy.ManyBody(8), toy.card(8), folder / "many_body.pt", probe)
    save_model(toy.ManyBody(0, torch.float32), toy.card(0, "float32"), folder / "float32.pt", probe)
    save_model(toy.Fingerprint(), toy.card(), folder / "fingerprint.pt", probe)
    for name, module in (("constant.pt", toy.Constant()), ("raising.pt", toy.Raising())):
        archive = script.serialise(script.compile_module(module), {"rhopot.json": toy.card().to_json()})
        (folder / name).write_bytes(archive)
    return folder


@pytest.fixture(scope="session")
def many_body(models: Path) -> Path:
    return models / "many_body.pt"
