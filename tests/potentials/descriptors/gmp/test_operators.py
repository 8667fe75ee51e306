"""Order-norm operators = their plain-PyTorch twins: values, two derivatives, Jacobian; and what they refuse."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch
from operator_checks import assert_equal, derivatives, flat
from random_graphs import System, random_system
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from rhopot.potentials import operators
from rhopot.potentials.descriptors.gmp import reference

operators.load()
OPS = torch.ops.rhopot


@dataclass(frozen=True)
class Probes:
    """A system and the two arguments that the order norms add."""

    system: System
    n_probes: int
    floor: Tensor

    def extra(self, dtype: torch.dtype = torch.float64) -> tuple[int, Tensor]:
        return self.n_probes, self.floor.to(dtype)

    def arguments(self) -> tuple:
        return (*self.system.arguments(), *self.extra())


def probes(counts: list[int], l_max: int, n_terms: int, n_probes: int, n_species: int = 2, n_knots: int = 12) -> Probes:
    system = random_system(counts, [0] * n_species, l_max, n_terms * n_probes, n_knots)
    generator = torch.Generator().manual_seed(3)
    floor = 0.05 + torch.rand(n_probes * (l_max + 1), generator=generator, dtype=torch.float64)
    return Probes(system, n_probes, floor)


CASES = {
    "third_order": probes([9, 0, 17], l_max=3, n_terms=2, n_probes=10),
    "sixth_order": probes([9, 12], l_max=6, n_terms=4, n_probes=10),
    "eighth_order": probes([9], l_max=8, n_terms=5, n_probes=3),
    "solid_harmonics": probes([9, 3], l_max=4, n_terms=1, n_probes=7),
    "fewer_terms_than_orders": probes([9, 3], l_max=6, n_terms=2, n_probes=8),
    "one_number": probes([11], l_max=0, n_terms=1, n_probes=1),
    "many_probes": probes([70, 2], l_max=1, n_terms=1, n_probes=33),
    "lonely_centres": probes([0, 4, 0], l_max=2, n_terms=2, n_probes=2),
    "no_centres": probes([], l_max=2, n_terms=2, n_probes=2),
}
SMALL = {
    "cartesian": probes([3, 0, 10], l_max=3, n_terms=2, n_probes=2, n_knots=6),
    "solid": probes([4, 2], l_max=2, n_terms=1, n_probes=3, n_knots=6),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_features_equal_their_twin_to_second_order(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    system = case.system.to(dtype)
    found = derivatives(OPS.gmp_features_v1, system, case.extra(dtype))
    exact = (case.n_probes, case.floor.to(dtype).double())
    expected = derivatives(flat(reference.gmp_features), system.to(torch.float64), exact)
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_invariants_equal_their_twin_to_second_order(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    shape = (5, case.system.radial.shape[3] ** 2, case.system.radial.shape[4])
    exact = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype).double()
    results = []
    for function, kind in ((OPS.gmp_invariants_v1, dtype), (reference.gmp_invariants, torch.float64)):
        generator = torch.Generator().manual_seed(2)
        density = exact.to(kind).requires_grad_()
        value = function(density, case.n_probes, case.floor.to(dtype).double().to(kind))
        incoming = torch.randn(value.shape, generator=generator).to(kind).requires_grad_()
        (first,) = torch.autograd.grad(value, density, incoming, create_graph=True)
        direction = torch.randn(first.shape, generator=generator).to(kind)
        second = torch.autograd.grad(first, [density, incoming], direction)
        results.append((value.detach(), first.detach(), *second))
    for actual, wanted in zip(*results, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_jacobian_equals_its_twin(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    system = case.system.to(dtype)
    found = OPS.gmp_jacobian_v1(*system.arguments(), *case.extra(dtype))
    expected = flat(reference.gmp_jacobian)(
        *system.to(torch.float64).arguments(), case.n_probes, case.floor.to(dtype).double()
    )
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("name", SMALL)
def test_derivatives_by_finite_differences(name: str) -> None:
    case = SMALL[name]
    vectors = case.system.edge_vectors.clone().requires_grad_()
    function = lambda x: OPS.gmp_features_v1(*case.system.arguments(x), *case.extra())  # noqa: E731
    assert gradcheck(function, vectors)
    assert gradgradcheck(function, vectors)


def test_derivatives_of_invariants_by_finite_differences() -> None:
    case = SMALL["cartesian"]
    generator = torch.Generator().manual_seed(0)
    density = torch.randn(2, 16, 4, generator=generator, dtype=torch.float64).requires_grad_()
    function = lambda c: OPS.gmp_invariants_v1(c, *case.extra())  # noqa: E731
    assert gradcheck(function, density)
    assert gradgradcheck(function, density)


def test_norms_by_hand() -> None:
    """One probe, two terms: order 2 joins the five l = 2 components with the second radial function of l = 0."""
    density = torch.zeros(1, 9, 2, dtype=torch.float64)
    density[0, 0] = torch.tensor([3.0, 1.5])
    density[0, 1:4, 0] = torch.tensor([1.0, 2.0, 2.0])
    density[0, 4:9, 0] = torch.tensor([0.5, 0.5, 0.5, 0.5, 1.0])
    density[0, 1:9, 1] = 100.0  # l + 2t > 2: not a feature
    floor = torch.tensor([0.1, 0.4, 1e-6], dtype=torch.float64)
    found = OPS.gmp_invariants_v1(density, 1, floor)[0]
    norms = (3.0, 3.0, math.sqrt(2.0 + 2.25))
    expected = [math.hypot(norm, eps) - eps for norm, eps in zip(norms, floor.tolist(), strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_an_empty_density_has_no_features_and_no_derivative_but_a_curvature() -> None:
    """Phi = s / (2 eps) near zero: the norm's kink is rounded off."""
    density = torch.zeros(1, 1, 1, dtype=torch.float64, requires_grad=True)
    floor = torch.tensor([0.25], dtype=torch.float64)
    value = OPS.gmp_invariants_v1(density, 1, floor)
    (derivative,) = torch.autograd.grad(value.sum(), density, create_graph=True)
    (curvature,) = torch.autograd.grad(derivative.sum(), density)
    assert (value.item(), derivative.item(), curvature.item()) == (0.0, 0.0, 4.0)


def test_columns_beyond_the_order_are_not_read() -> None:
    case = CASES["sixth_order"]
    table = case.system.radial.clone()
    for degree in range(7):
        table[..., degree, 10 * ((6 - degree) // 2 + 1) :] = 1e30
    spoilt = System(**{**case.system.__dict__, "radial": table})
    for found, expected in zip(
        derivatives(OPS.gmp_features_v1, spoilt, case.extra())[:2],
        derivatives(OPS.gmp_features_v1, case.system, case.extra())[:2],
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)


def test_edge_of_length_zero_contributes_its_value_and_no_derivative() -> None:
    case = CASES["third_order"]
    vectors = case.system.edge_vectors.clone()
    vectors[2] = 0.0
    leaf = vectors.clone().requires_grad_()
    value = OPS.gmp_features_v1(*case.system.arguments(leaf), *case.extra())
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_equal(
        value.detach(), flat(reference.gmp_features)(*case.system.arguments(vectors), *case.extra()), torch.float64
    )
    assert torch.equal(gradient[2], torch.zeros(3, dtype=torch.float64))
    assert torch.isfinite(gradient).all()


class Scripted(torch.nn.Module):
    """The operators as a model file calls them."""

    def __init__(self, case: Probes) -> None:
        super().__init__()
        self.n_probes = case.n_probes
        self.register_buffer("radial", case.system.radial)
        self.register_buffer("channel", case.system.species_channel)
        self.register_buffer("floor", case.floor)

    def forward(
        self, vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        return torch.ops.rhopot.gmp_features_v1(
            vectors,
            first_edge,
            neighbour,
            centre,
            species,
            self.radial,
            4.0,
            self.channel,
            1,
            0.7,
            self.n_probes,
            self.floor,
        )


def test_scripted_and_reloaded_gives_the_same(tmp_path) -> None:
    case = CASES["third_order"]
    torch.jit.script(Scripted(case)).save(tmp_path / "scripted.pt")
    module = torch.jit.load(tmp_path / "scripted.pt")
    gradients = []
    for function in (module, Scripted(case)):
        vectors = case.system.edge_vectors.clone().requires_grad_()
        value = function(vectors, *case.system.arguments()[1:5])
        gradients.append(torch.autograd.grad(value.square().sum(), vectors)[0])
    assert torch.equal(*gradients)


def test_third_order_is_refused_in_words() -> None:
    case = SMALL["cartesian"]
    vectors = case.system.edge_vectors.clone().requires_grad_()
    value = OPS.gmp_features_v1(*case.system.arguments(vectors), *case.extra()).square().sum()
    (first,) = torch.autograd.grad(value, vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), vectors, create_graph=True)
    with pytest.raises(NotImplementedError, match="has no third derivative; use rhopot"):
        torch.autograd.grad(second.sum(), vectors)


FLOOR = CASES["third_order"].floor


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_channels": 2}, "n_channels must be 1, because the densities of all species are summed, got 2"),
        ({"n_probes": 6}, "n_probes must divide the 20 columns into 1 to 2 terms, got 6"),
        ({"n_probes": 5}, "n_probes must divide the 20 columns into 1 to 2 terms, got 5"),
        ({"n_probes": 0}, "n_probes must divide the 20 columns into 1 to 2 terms, got 0"),
        ({"floor": FLOOR[1:]}, r"floor must have one entry per feature \(40\), got shape \[39\]"),
        ({"floor": FLOOR.float()}, r"floor must have the dtype of the others \(Double\) and be on the CPU, got Float"),
        ({"floor": FLOOR - 0.6}, "floor must be positive with a square that Double can hold, got -0"),
        ({"floor": FLOOR * 1e-200}, "floor must be positive with a square that Double can hold, got"),
    ],
    ids=["channels", "remainder", "terms", "none", "count", "dtype", "negative", "underflow"],
)
@pytest.mark.parametrize("operator", ["gmp_features_v1", "gmp_jacobian_v1"])
def test_arguments_that_do_not_fit_are_refused_in_words(operator: str, change: dict, sentence: str) -> None:
    names = [argument.name for argument in getattr(OPS, operator).default._schema.arguments]
    good = dict(zip(names, CASES["third_order"].arguments(), strict=True))
    with pytest.raises((ValueError, TypeError), match=sentence):
        getattr(OPS, operator)(**{**good, **change})


def test_gradients_that_would_be_silently_missing_are_refused() -> None:
    case = CASES["third_order"]
    with pytest.raises(NotImplementedError, match="floor must not require a gradient here"):
        OPS.gmp_features_v1(*case.system.arguments(), 10, case.floor.clone().requires_grad_())
    vectors = case.system.edge_vectors.clone().requires_grad_()
    with pytest.raises(NotImplementedError, match="edge_vectors must not require a gradient here"):
        OPS.gmp_jacobian_v1(*case.system.arguments(vectors), *case.extra())


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["baseline", "v3"])
def test_every_instruction_set_gives_the_same_numbers(variant: str, tmp_path) -> None:
    case = CASES["sixth_order"]
    vectors = case.system.edge_vectors.clone().requires_grad_()
    here = OPS.gmp_features_v1(*case.system.arguments(vectors), *case.extra())
    (gradient,) = torch.autograd.grad(here.sum(), vectors)
    _, jacobian = OPS.gmp_jacobian_v1(*case.arguments())
    torch.save(case.arguments(), tmp_path / "arguments.pt")
    script = (
        "import sys, torch\n"
        "from rhopot.potentials import operators\n"
        "operators.load()\n"
        "arguments = torch.load(sys.argv[1])\n"
        "_, jacobian = torch.ops.rhopot.gmp_jacobian_v1(*arguments)\n"
        "arguments[0].requires_grad_()\n"
        "p = torch.ops.rhopot.gmp_features_v1(*arguments)\n"
        "g, = torch.autograd.grad(p.sum(), arguments[0])\n"
        "f = torch.ops.rhopot.jacobian_forces(jacobian, arguments[1], torch.ones(1, *p.shape).double())\n"
        "torch.save((operators.kernel_variant(), p.detach(), g, jacobian, f[0]), sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "arguments.pt"), str(tmp_path / "result.pt")]
    subprocess.run(command, check=True, env={**os.environ, "RHOPOT_KERNELS": variant})
    used, *found = torch.load(tmp_path / "result.pt")
    assert used in (variant, "baseline")
    for actual, expected in zip(found, (here.detach(), gradient, jacobian, gradient), strict=True):
        assert_equal(actual, expected, torch.float64)
