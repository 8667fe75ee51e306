"""Channels: the published table for Li and Si, the periodic table by its groups, tables of one's own."""

import math

import pytest

from rhopot.potentials.descriptors.scattering import ScatteringSettings
from rhopot.potentials.descriptors.scattering.channels import channel_weights, default_channels, valence_electrons


def test_lithium_and_silicon_have_the_published_channels() -> None:
    settings = ScatteringSettings(symbols=("Li", "Si"))
    assert list(settings.channel_table) == ["lithium", "silicon", "valence", "ionic", "kinetic"]
    assert settings.weights == [[3, 0], [0, 14], [1, 4], [2, 10], [math.sqrt(3), math.sqrt(14)]]


@pytest.mark.parametrize(
    ("symbol", "electrons"),
    [
        ("H", 1),
        ("He", 2),
        ("O", 6),
        ("Ar", 8),
        ("Fe", 8),
        ("Zn", 12),
        ("Ga", 3),
        ("I", 7),
        ("Hf", 4),
        ("Tl", 3),
        ("Rn", 8),
    ],
)
def test_valence_electrons_follow_the_groups(symbol: str, electrons: int) -> None:
    assert valence_electrons(symbol) == electrons


def test_channels_of_other_elements() -> None:
    table = default_channels(("Ga", "As", "O"))
    assert list(table) == ["gallium", "arsenic", "oxygen", "valence", "ionic", "kinetic"]
    assert table["ionic"] == {"Ga": 28, "As": 28, "O": 2}


def test_a_species_that_a_channel_does_not_name_weighs_nothing() -> None:
    assert channel_weights({"cation": {"Li": 1.0}}, ("Si", "Li")) == [[0.0, 1.0]]
