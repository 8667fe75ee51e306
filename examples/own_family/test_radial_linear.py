"""The family by itself: its descriptor owes physics and calculus what every descriptor does, and so does a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ase.io import read
from radial_linear import FAMILY, RadialFeatures, RadialSettings
from torch import nn

from rhopot.export import LoadedModel, load_model
from rhopot.potentials.commands import main
from rhopot.potentials.config.reference import reference
from rhopot.testing import DescriptorContract, PotentialContract

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("RHOPOT_DATA", HERE.parent / "data" / "lisi_gpaw"))  # RHOPOT_DATA: for a copy elsewhere


class TestDescriptor(DescriptorContract):
    """Invariances, smoothness, derivatives and TorchScript of the features."""

    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        """Three Gaussians for each of two elements."""
        return RadialFeatures(RadialSettings(symbols=("Li", "Si"), cutoff=4.5, centers=(1.5, 2.5, 3.5)))


class TestModel(PotentialContract):
    """Invariances, derivatives, additivity and dynamics of a trained model."""

    noise = 1e-8  # eV and eV/A: weights reach a thousand eV

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
        """The ready configuration, trained on four relaxation paths."""
        run = tmp_path_factory.mktemp("radial") / "run"
        files = [str(DATA / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0")]
        assert main(["train", str(HERE / "radial_linear.yaml"), f"data.train={files}", f"output={run}"]) == 0
        return load_model(run / "model.pt")


def test_what_is_learned_from_the_data_is_in_the_settings() -> None:
    """The settings of a descriptor make the same one again, without data."""
    frames = read(DATA / "Li8Si24_0.xyz", ":")
    made = FAMILY.descriptor_for(RadialSettings(n_centers=5), frames, ("Li", "Si"))
    assert made.settings.centers == tuple(sorted(made.settings.centers))
    assert 2.0 < made.settings.centers[0] < made.settings.centers[-1] < 5.0
    again = FAMILY.descriptor_for(made.settings, (), ("Li", "Si"))
    assert (FAMILY.features(again, frames[3]) == FAMILY.features(made, frames[3])).all()
    with pytest.raises(ValueError, match=r"descriptor\.centers must be given where no two atoms are within"):
        FAMILY.descriptor_for(RadialSettings(), (), ("Li", "Si"))


def test_every_setting_has_a_meaning_and_a_default() -> None:
    """They stand in the reference of the configuration, where the family is installed."""
    keys = {key.name: key for key in reference("radial_linear") if key.path[0] == "descriptor"}
    assert (keys["descriptor.n_centers"].default, keys["descriptor.width"].unit) == (12, "A")
    assert all(key.meaning for key in keys.values())
