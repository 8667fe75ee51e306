"""Families: what adding an element to the data does to features and parameters."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rhopot.potentials.descriptors.gmp import GmpSettings
from rhopot.potentials.families import find_family
from rhopot.potentials.families.registry import OURS
from rhopot.potentials.models import Networks, NetworkSettings
from rhopot.testing import structures

FEW, MORE = ("Li", "Si"), ("Li", "Si", "Ge")


def sizes(name: str, symbols: tuple[str, ...]) -> tuple[int, int]:
    """Number of features and of parameters of a family's own defaults."""
    family = find_family(name)
    descriptor = family.descriptor_for(family.descriptor_settings(cutoff=4.0), (), symbols)
    networks = Networks(descriptor.n_features, len(symbols), family.regressor_settings(), [0])
    return descriptor.n_features, sum(parameter.numel() for parameter in networks.parameters())


def test_another_element_changes_nothing_in_size_with_one_network_for_all() -> None:
    features, parameters = sizes("gmp_snn", FEW)
    assert (features, parameters) == sizes("gmp_snn", MORE)
    settings = GmpSettings()
    assert features == settings.n_probes * (settings.max_order + 1)
    widths = (features, *NetworkSettings().hidden, 1)
    assert parameters == sum((before + 1) * after for before, after in pairwise(widths))


def test_another_element_adds_features_and_a_network_where_each_has_its_own() -> None:
    (few, parameters), (more, others) = sizes("bpnn", FEW), sizes("bpnn", MORE)
    assert more > few
    assert others > 1.5 * parameters


@pytest.mark.parametrize("name", OURS)
def test_every_family_describes_itself_from_the_settings_of_a_card(name: str) -> None:
    family = find_family(name)
    settings = family.descriptor_settings.model_validate({"symbols": list(FEW)})
    title, *lines = family.describe(settings)
    assert title == family.title
    assert any("cutoff" in line or "widths" in line for line in lines), "how far it sees"
    descriptor = family.descriptor_for(settings, [structures.skewed()], FEW)
    assert family.reach(descriptor.settings) > 0
    assert descriptor.n_features > 0
    assert all("doi:" in reference or "PhD thesis" in reference for reference in family.references)
