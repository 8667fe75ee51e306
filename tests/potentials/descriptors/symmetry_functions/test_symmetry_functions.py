"""Symmetry functions: everything a descriptor owes, closed forms, and the order of the features."""

import math

import ase
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctions, SymmetryFunctionSettings, reference
from rhopot.testing.descriptor import SYMBOLS, DescriptorContract, features, graph

HYPERS = SymmetryFunctionSettings(
    symbols=SYMBOLS,
    cutoff=4.5,
    g2_etas=(0.5, 4.0),
    g2_shifts=(0.0, 1.5),
    g4_etas=(0.1, 1.0),
    g4_zetas=(1, 2, 4),
)


class TestSymmetryFunctions(DescriptorContract):
    @pytest.fixture(scope="class", params=["compiled", "reference"])
    @classmethod
    def descriptor(cls, request: pytest.FixtureRequest) -> nn.Module:
        return SymmetryFunctions(HYPERS, reference=request.param == "reference")


class TestLateFade(DescriptorContract):
    """Another width of the cutoff function, and eta in A^-2."""

    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        changed = {"cutoff_width": 1.5, "eta_unit": "1/A^2", "g2_etas": (0.1, 0.6), "g4_etas": (0.02,)}
        return SymmetryFunctions(SymmetryFunctionSettings.model_validate({**HYPERS.model_dump(), **changed}))


def fade(distance: float) -> float:
    """Quintic over the whole cutoff."""
    t = min(distance / HYPERS.cutoff, 1.0)
    return 1 - 10 * t**3 + 15 * t**4 - 6 * t**5


@pytest.mark.parametrize("plain", [False, True])
def test_dimer_is_the_closed_form_of_g2(plain: bool) -> None:
    r = 2.3
    values = features(SymmetryFunctions(HYPERS, reference=plain), ase.Atoms("LiSi", [(0, 0, 0), (0, 0, r)]))
    g2 = [
        math.exp(-eta / HYPERS.cutoff**2 * (r - shift) ** 2) * fade(r)
        for eta in HYPERS.g2_etas
        for shift in HYPERS.g2_shifts
    ]
    expected = torch.zeros_like(values)
    expected[0, 4:8] = torch.tensor(g2, dtype=torch.float64)  # Li sees Si, the second species
    expected[1, :4] = torch.tensor(g2, dtype=torch.float64)
    assert_close(values, expected, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("plain", [False, True])
def test_trimer_is_the_closed_form_of_g4(plain: bool) -> None:
    """Li between Li and Si at 2 and 2.5 A under 70 degrees: one term in the pair Li-Si of the first atom."""
    a, b, angle = 2.0, 2.5, math.radians(70.0)
    side = math.sqrt(a * a + b * b - 2 * a * b * math.cos(angle))
    atoms = ase.Atoms("LiLiSi", [(0, 0, 0), (a, 0, 0), (b * math.cos(angle), b * math.sin(angle), 0)])
    values = features(SymmetryFunctions(HYPERS, reference=plain), atoms)[0]
    g4 = [
        2.0 ** (1 - zeta)
        * (1 + sign * math.cos(angle)) ** zeta
        * math.exp(-eta / HYPERS.cutoff**2 * (a * a + b * b + side * side))
        * fade(a) * fade(b) * fade(side)
        for eta in HYPERS.g4_etas
        for zeta in HYPERS.g4_zetas
        for sign in HYPERS.g4_signs
    ]  # fmt: skip
    expected = torch.zeros(3 * 12, dtype=torch.float64)
    expected[12:24] = torch.tensor(g4, dtype=torch.float64)  # pairs: Li-Li, Li-Si, Si-Si
    assert_close(values[8:], expected, rtol=0.0, atol=1e-14)


def test_a_pair_of_neighbours_farther_apart_than_the_cutoff_does_not_count() -> None:
    atoms = ase.Atoms("Li3", [(0, 0, 0), (2.4, 0, 0), (-2.4, 0, 0)])
    values = features(SymmetryFunctions(HYPERS), atoms)
    assert_close(values[:, 8:], torch.zeros_like(values[:, 8:]), rtol=0.0, atol=0.0)
    assert float(values[0, 0]) > 0.1


def test_relabelling_species_permutes_the_features() -> None:
    atoms = ase.Atoms("LiLiSi", [(0, 0, 0), (2.0, 0.3, 0), (0.2, 2.4, 0)])
    other = ase.Atoms("SiSiLi", atoms.positions)
    a, b = (features(SymmetryFunctions(HYPERS), x) for x in (atoms, other))
    blocks = [torch.arange(4, 8), torch.arange(4), *(8 + 12 * p + torch.arange(12) for p in (2, 1, 0))]
    assert_close(b, a[:, torch.cat(blocks)], rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("kind", ["quintic", "shifted_cosine"])
@pytest.mark.parametrize("width", [4.0, 1.1])
def test_fade_is_the_cutoff_function_of_the_engine(kind: str, width: float) -> None:
    r = np.linspace(0.0, 4.4, 89)
    expected = CutoffFunction(kind, 4.0, width)(r)[0]  # type: ignore[arg-type]
    none = torch.zeros(0)
    grid = reference.SymmetryGrid(none, none, [], [], 4.0, width, kind, 1)
    assert_close(reference.fade(torch.from_numpy(r), grid).numpy(), expected, rtol=0.0, atol=1e-15)


def test_cosine_is_that_of_the_paper() -> None:
    settings = SymmetryFunctionSettings(symbols=("Si",), set=1, cutoff=10.0, cutoff_function="shifted_cosine")
    r = 3.0
    value = features_of_si(settings, ase.Atoms("Si2", [(0, 0, 0), (0, r, 0)]))[0, 0]
    assert_close(float(value), math.exp(-0.05 * (r / 10) ** 2) * 0.5 * (1 + math.cos(math.pi * r / 10)))


def features_of_si(settings: SymmetryFunctionSettings, atoms: ase.Atoms) -> Tensor:
    """Return the features of a structure of silicon."""
    descriptor = SymmetryFunctions(settings)
    made = graph(descriptor, atoms)
    return descriptor(made._replace(species=torch.zeros_like(made.species)))


def test_no_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="symbols must name at least one element, got none"):
        SymmetryFunctions(SymmetryFunctionSettings())
