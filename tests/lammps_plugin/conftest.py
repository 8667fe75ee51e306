"""Model files for the LAMMPS tests, written once."""

from pathlib import Path

import global_toy
import many_body_toy as toy
import pytest
import small_models
import torch

from rhopot.export import ModelCard, Uncertainty, script
from rhopot.export.card import ForceRadii

CALIBRATED = Uncertainty(
    members=8,
    force_factors={"Li": 0.7, "Si": 1.9},
    force_radii={"Li": ForceRadii(multiple=3.0, floor=0.02), "Si": ForceRadii(multiple=2.2, floor=0.4)},
)
FILES: dict[str, tuple[torch.nn.Module, ModelCard]] = {
    "many_body.pt": (toy.ManyBody(8), toy.card(8)),
    "calibrated.pt": (toy.ManyBody(8), toy.card(8, uncertainty=CALIBRATED)),
    "float32.pt": (toy.ManyBody(0, torch.float32), toy.card(0, "float32")),
    "fingerprint.pt": (toy.Fingerprint(), toy.card()),
    "constant.pt": (toy.Constant(), toy.card()),
    "raising.pt": (toy.Raising(), toy.card()),
    "out_of_memory.pt": (toy.OutOfMemory(), toy.card()),
    "not_a_number.pt": (toy.NotANumber(), toy.card()),
}
FILES |= {f"whole_{fault}.pt": (global_toy.Whole(fault), global_toy.card()) for fault in global_toy.FAULTS}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the FILES and, on SOAP features, linear.pt, gap.pt, network.pt (a committee), network_per_element.pt,
    angular_1.pt to angular_3.pt and point_scattering_2.pt (of so many layers of messages), and scattering.pt, which is
    global.

    They are written without the self-check that `save_model` makes: some would not pass it.
    """
    folder = tmp_path_factory.mktemp("models")
    for name, (module, card) in FILES.items():
        archive = script.serialise(script.compile_module(module), {"rhopot.json": card.to_json()})
        (folder / name).write_bytes(archive)
    networks = (small_models.network(), small_models.network(per_element=True, members=0))
    for layers in (1, 2, 3):
        small_models.write(small_models.angular(layers=layers), folder / f"angular_{layers}.pt")
    small_models.write(small_models.point_scattering(), folder / "point_scattering_2.pt")  # layers: the default
    for model in (small_models.linear(), small_models.gap(), *networks, small_models.scattering()):
        small_models.write(model, folder / f"{model.name}.pt")
    return folder


@pytest.fixture(scope="session")
def scattering(models: Path) -> Path:
    return models / "scattering.pt"


@pytest.fixture(scope="session", params=["many_body.pt", "angular_3.pt"], ids=["local", "layers"])
def model_of_each_kind(models: Path, request: pytest.FixtureRequest) -> Path:
    """A local model without and one with messages between atoms."""
    return models / str(request.param)


@pytest.fixture(scope="session")
def many_body(models: Path) -> Path:
    return models / "many_body.pt"
