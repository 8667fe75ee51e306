"""Multispectra of environments: what every descriptor owes, learned settings, and their messages."""

import ase
import pytest
import torch
from torch import nn

from rhopot.potentials import operators
from rhopot.potentials.descriptors.multispectrum.multispectrum import Multispectrum, learn
from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.testing import structures
from rhopot.testing.descriptor import DescriptorContract, few_edges, graph

operators.load()
SMALL = {"cutoff": 4.5, "n_max": 6, "l_max": 3, "density_width": 0.5, "cutoff_width": 2.5, "symbols": ("Li", "Si")}
FRAMES: list[ase.Atoms] = [structures.skewed(), structures.tiny()]


def learned(**changes: object) -> MultispectrumSettings:
    given = {**SMALL, "l_three": 3, "l_four": 2, "n_three": 60, "n_four": 40, "optimal_basis": {"q_max": 3}, **changes}
    return learn(MultispectrumSettings.model_validate(given), FRAMES)


class TestMixed(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return Multispectrum(learned(species_mode="mixed"))


class TestSeparate(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return Multispectrum(learned(species_mode="separate", n_two=30, n_four=0))


class TestPseudoSpecies(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return Multispectrum(learned(species_mode="mixed", optimal_basis=None, n_max=3, n_two=30, n_pseudo=1))


class TestPrimitive(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return Multispectrum(learned(optimal_basis=None, n_max=3, n_two=30))


def test_the_plain_twin_gives_the_same() -> None:
    fast = Multispectrum(learned())
    plain = Multispectrum(fast.settings, reference=True)
    inputs = graph(fast, structures.skewed())
    torch.testing.assert_close(fast(inputs), plain(inputs), rtol=1e-10, atol=1e-12)
    for found, expected in zip(fast.jacobian(few_edges(7, 1)), plain.jacobian(few_edges(7, 1)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_learned_settings_make_the_same_descriptor_without_data() -> None:
    settings = learned()
    again = MultispectrumSettings.model_validate_json(settings.model_dump_json())
    assert learn(again, ()) is again
    one, other = Multispectrum(settings).state_dict(), Multispectrum(again).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("mode", ["mixed", "separate"])
def test_sizes_are_those_of_the_density(mode: str) -> None:
    """Root mean square of c_lmu over environments and m, from the densities in the learned basis themselves."""
    settings = learned(species_mode=mode)
    descriptor = Multispectrum(settings)
    density = torch.cat(
        [torch.ops.rhopot.density_expansion_v1(*graph(descriptor, atoms), *descriptor.table()) for atoms in FRAMES]
    )
    for degree, sizes in enumerate(settings.sizes or ()):
        found = density[:, degree**2 : (degree + 1) ** 2].square().mean(dim=(0, 1)).sqrt()
        torch.testing.assert_close(found, torch.tensor(sizes, dtype=torch.float64), rtol=1e-6, atol=1e-9)


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"sizes must be learned from data first, got none"):
        Multispectrum(MultispectrumSettings.model_validate({**SMALL, "l_three": 3}))
    with pytest.raises(ValueError, match=r"l_three and l_four must be at most l_max \(3\), got 4 and 3"):
        MultispectrumSettings.model_validate(SMALL)
