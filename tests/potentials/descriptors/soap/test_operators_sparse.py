"""The sparse-kernel operator = its plain-PyTorch twin to second order, for every corner of its arguments."""

from dataclasses import dataclass

import pytest
import torch
from operator_checks import assert_equal, derivatives, flat
from random_graphs import SMALL, SYSTEMS, System
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from rhopot.potentials import operators
from rhopot.potentials.descriptors.dot_product import unit_rows
from rhopot.potentials.descriptors.soap import reference

operators.load()
OPS = torch.ops.rhopot
# A single feature divided by its norm is a constant: nothing to compare but rounding.
NAMES = [name for name, system in SYSTEMS.items() if system.n_features > 1]


@dataclass(frozen=True)
class Model:
    """What the operator takes beside the graph."""

    points: Tensor
    first_point: list[int]
    weights: Tensor
    zeta: int
    features: Tensor | None

    def arguments(self, dtype: torch.dtype, members: bool) -> tuple:
        return self.points.to(dtype), self.first_point, self.weights.to(dtype), self.zeta, self.features, members


def random_model(system: System, zeta: int = 4, selected: bool = False, columns: int = 4, seed: int = 9) -> Model:
    """Points of every species (the last of several has none), near random spectra so that kernels are not all tiny."""
    generator = torch.Generator().manual_seed(seed)
    n_species, n_features = system.radial.shape[0], system.n_features
    features = torch.randperm(n_features, generator=generator)[: max(1, 2 * n_features // 3)] if selected else None
    width = n_features if features is None else len(features)
    counts = [11 + 3 * a for a in range(n_species)]
    if n_species > 2:
        counts[-1] = 0
    first_point = [0]
    for count in counts:
        first_point.append(first_point[-1] + count)
    points = 0.3 + torch.randn(first_point[-1], width, generator=generator, dtype=torch.float64)
    weights = torch.randn(first_point[-1], columns, generator=generator, dtype=torch.float64)
    return Model(unit_rows(points)[0], first_point, weights, zeta, features)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("members", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_operator_equals_its_twin_to_second_order(name: str, members: bool, dtype: torch.dtype) -> None:
    system, model = SYSTEMS[name], random_model(SYSTEMS[name])
    found = derivatives(OPS.soap_gap_v1, system.to(dtype), model.arguments(dtype, members))
    exact = model.arguments(dtype, members)
    rounded = (exact[0].double(), exact[1], exact[2].double(), *exact[3:])
    expected = derivatives(flat(reference.soap_gap), system.to(dtype).to(torch.float64), rounded)
    assert found[0].shape == (len(system.centre), 4 if members else 1)
    for actual, wanted in zip(found, expected, strict=True):
        # weights of either sign: the largest number is what is left of sums of numbers a few times larger
        assert_equal(actual, wanted, dtype, times=5.0)


@pytest.mark.parametrize("zeta", [1, 2, 3, 7])
@pytest.mark.parametrize("selected", [False, True])
def test_every_power_and_a_choice_of_features(zeta: int, selected: bool) -> None:
    system = SYSTEMS["three_species"]
    extra = random_model(system, zeta, selected).arguments(torch.float64, True)
    found, expected = (derivatives(f, system, extra) for f in (OPS.soap_gap_v1, flat(reference.soap_gap)))
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, torch.float64)


@pytest.mark.parametrize("name", SMALL)
def test_derivatives_by_finite_differences(name: str) -> None:
    system = SMALL[name]
    vectors = system.edge_vectors.clone().requires_grad_()
    extra = random_model(system, 2, columns=2).arguments(torch.float64, True)
    assert gradcheck(lambda x: OPS.soap_gap_v1(*system.arguments(x), *extra), vectors)
    assert gradgradcheck(lambda x: OPS.soap_gap_v1(*system.arguments(x), *extra), vectors)


def test_more_centres_than_a_piece_holds_in_any_order_of_species() -> None:
    """Pieces of at most 128 centres of one species: copies of one graph give copies of its energies and gradients."""
    system = SYSTEMS["three_species"]
    copies, edges = 70, len(system.edge_vectors)
    offsets = torch.cat([system.first_edge[:-1] + k * edges for k in range(copies)] + [torch.tensor([copies * edges])])
    many = System(
        **{
            **system.__dict__,
            "edge_vectors": system.edge_vectors.repeat(copies, 1),
            "neighbour": system.neighbour.repeat(copies),
            "centre": system.centre.repeat(copies),
            "first_edge": offsets,
        }
    )
    extra = random_model(system).arguments(torch.float64, True)
    results = []
    for graph in (system, many):
        vectors = graph.edge_vectors.clone().requires_grad_()
        energies = OPS.soap_gap_v1(*graph.arguments(vectors), *extra)
        results.append((energies.detach(), torch.autograd.grad(energies[:, 0].sum(), vectors)[0]))
    for one, all_of_them in zip(*results, strict=True):
        assert_equal(all_of_them, one.repeat(copies, 1), torch.float64)


def test_without_a_gradient_the_energies_are_the_same() -> None:
    system = SYSTEMS["two_of_three_share"]
    extra = random_model(system).arguments(torch.float64, False)
    vectors = system.edge_vectors.clone().requires_grad_()
    with_gradient, without = (OPS.soap_gap_v1(*system.arguments(v), *extra) for v in (vectors, None))
    assert with_gradient.requires_grad
    assert not without.requires_grad
    torch.testing.assert_close(without, with_gradient.detach(), rtol=0.0, atol=0.0)


def test_a_centre_without_density_has_no_energy_and_no_derivative() -> None:
    system = SYSTEMS["lonely_centres"]
    bare = System(**{**system.__dict__, "center_weight": 0.0})
    extra = random_model(bare).arguments(torch.float64, True)
    vectors = bare.edge_vectors.clone().requires_grad_()
    energies = OPS.soap_gap_v1(*bare.arguments(vectors), *extra)
    (gradient,) = torch.autograd.grad(energies.sum(), vectors)
    assert torch.equal(energies[[0, 2, 3]], torch.zeros(3, 4, dtype=torch.float64))
    assert bool((energies[1] != 0).all())
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"zeta": 0}, "zeta must be at least 1, got 0"),
        ({"first_point": [0, 5, 11]}, r"first_point must rise from 0 to the number of points \(39\) in 4 entries"),
        ({"first_point": [0, 20, 11, 39]}, "first_point must rise from 0"),
        ({"points": torch.zeros(39, 7, dtype=torch.float64)}, "points must be of shape"),
        ({"points": torch.zeros(39, 180)}, "points and weights must have the dtype of edge_vectors"),
        ({"weights": torch.zeros(3, 1, dtype=torch.float64)}, r"weights must be of shape \(39, >= 1\), got \[3, 1\]"),
        ({"features": torch.tensor([180])}, r"features must lie in \[0, 180\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_do_not_fit_are_refused_in_words(change: dict, sentence: str) -> None:
    system = SYSTEMS["three_species"]
    first = {"first_point": [0, 11, 25, 39]}
    model = random_model(system)
    model = Model(
        **{**model.__dict__, **first, "points": torch.zeros(39, 180, dtype=torch.float64),
           "weights": torch.zeros(39, 1, dtype=torch.float64), **change}
    )  # fmt: skip
    arguments = (model.points, model.first_point, model.weights, model.zeta, model.features, False)
    with pytest.raises((ValueError, TypeError), match=sentence):
        OPS.soap_gap_v1(*system.arguments(), *arguments)


@pytest.mark.parametrize("argument", ["points", "weights"])
def test_parameters_that_require_a_gradient_are_refused(argument: str) -> None:
    system = SYSTEMS["one_species"]
    model = random_model(system)
    getattr(model, argument).requires_grad_()
    with pytest.raises(NotImplementedError, match=f"{argument} must not require a gradient here"):
        OPS.soap_gap_v1(*system.arguments(), *model.arguments(torch.float64, False))
