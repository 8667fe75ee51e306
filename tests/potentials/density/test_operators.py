"""Compiled operators = their plain-PyTorch twins: values, first and second derivatives, in float64 and float32."""

import os
import subprocess
import sys

import pytest
import torch
from operator_checks import assert_equal, derivatives, flat
from random_graphs import SMALL, SYSTEMS, System
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from rhopot.potentials import operators
from rhopot.potentials.density import reference
from rhopot.potentials.descriptors.soap import reference as soap

operators.load()
OPS = torch.ops.rhopot
GRAPH_OPERATORS = {
    "density_expansion": (OPS.density_expansion_v1, flat(reference.density_expansion)),
    "soap_power_spectrum": (OPS.soap_power_spectrum_v1, flat(soap.soap_power_spectrum)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("operator", GRAPH_OPERATORS)
def test_graph_operator_equals_its_twin_to_second_order(operator: str, name: str, dtype: torch.dtype) -> None:
    fast, slow = GRAPH_OPERATORS[operator]
    found = derivatives(fast, SYSTEMS[name].to(dtype), ())
    expected = derivatives(slow, SYSTEMS[name].to(dtype).to(torch.float64), ())
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


def random_weights(system: System, sets: int, columns: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(sets, system.n_features, columns, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("members", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_linear_operator_equals_its_twin_to_second_order(
    name: str, shared: bool, members: bool, dtype: torch.dtype
) -> None:
    system = SYSTEMS[name].to(dtype)
    weights = random_weights(system, 1 if shared else system.radial.shape[0], 4, dtype)
    found = derivatives(OPS.soap_linear_v1, system, (weights, members))
    expected = derivatives(flat(soap.soap_linear), system.to(torch.float64), (weights.double(), members))
    assert found[0].shape == (len(system.centre), 4 if members else 1)
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("members", [False, True])
def test_linear_operator_without_a_gradient_gives_the_same_energies(members: bool) -> None:
    system = SYSTEMS["three_species"]
    weights = random_weights(system, 3, 3, torch.float64)
    vectors = system.edge_vectors.clone().requires_grad_()
    with_gradient = OPS.soap_linear_v1(*system.arguments(vectors), weights, members)
    without = OPS.soap_linear_v1(*system.arguments(), weights, members)
    assert with_gradient.requires_grad
    assert not without.requires_grad
    torch.testing.assert_close(without, with_gradient.detach(), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SYSTEMS)
def test_jacobian_equals_its_twin(name: str, dtype: torch.dtype) -> None:
    system = SYSTEMS[name].to(dtype)
    found = OPS.soap_jacobian_v1(*system.arguments())
    expected = flat(soap.soap_jacobian)(*system.to(torch.float64).arguments())
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("degree", "width"), [(0, 1), (2, 8), (3, 5), (6, 11)])
def test_power_spectrum_equals_its_twin_to_second_order(degree: int, width: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(degree)
    exact = torch.randn(4, (degree + 1) ** 2, width, generator=generator, dtype=torch.float64).to(dtype).double()
    results = []
    for function, kind in ((OPS.power_spectrum_v1, dtype), (soap.power_spectrum, torch.float64)):
        generator.manual_seed(3)
        density = exact.to(kind).requires_grad_()
        value = function(density)
        incoming = torch.randn(value.shape, generator=generator).to(kind).requires_grad_()
        (first,) = torch.autograd.grad(value, density, incoming, create_graph=True)
        direction = torch.randn(first.shape, generator=generator).to(kind)
        second = torch.autograd.grad(first, [density, incoming], direction)
        results.append((value.detach(), first.detach(), *second))
    for actual, wanted in zip(*results, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("operator", [*GRAPH_OPERATORS, "soap_linear"])
def test_derivatives_by_finite_differences(operator: str, name: str) -> None:
    system = SMALL[name]
    vectors = system.edge_vectors.clone().requires_grad_()
    if operator == "soap_linear":
        weights = random_weights(system, 1, 2, torch.float64)
        function = lambda x: OPS.soap_linear_v1(*system.arguments(x), weights, True)  # noqa: E731
    else:
        function = lambda x: GRAPH_OPERATORS[operator][0](*system.arguments(x))  # noqa: E731
    assert gradcheck(function, vectors)
    assert gradgradcheck(function, vectors)


def test_power_spectrum_derivatives_by_finite_differences() -> None:
    density = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert gradcheck(OPS.power_spectrum_v1, density)
    assert gradgradcheck(OPS.power_spectrum_v1, density)


def test_gradient_of_a_loss_on_forces_reaches_what_made_the_incoming_gradient() -> None:
    """Force training: the loss depends on g = dE/dr, E = NN(p), so it differentiates through both orders at once."""
    system = SYSTEMS["three_species"]
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(system.n_features, generator=generator, dtype=torch.float64) * 0.01
    found = []
    for function in (OPS.soap_power_spectrum_v1, flat(soap.soap_power_spectrum)):
        parameter = weight.clone().requires_grad_()
        vectors = system.edge_vectors.clone().requires_grad_()
        energy = torch.tanh(function(*system.arguments(vectors)) @ parameter).sum()
        (gradient,) = torch.autograd.grad(energy, vectors, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [parameter, vectors]))
    for actual, wanted in zip(*found, strict=True):
        assert_equal(actual, wanted, torch.float64)


@pytest.mark.parametrize("operator", [*GRAPH_OPERATORS, "soap_linear"])
def test_edge_of_length_zero_contributes_its_value_and_no_derivative(operator: str) -> None:
    system = SYSTEMS["mixed_channels"]
    vectors = system.edge_vectors.clone()
    vectors[2] = 0.0
    fast, slow = GRAPH_OPERATORS.get(operator, (OPS.soap_linear_v1, flat(soap.soap_linear)))
    extra = (random_weights(system, 1, 1, torch.float64), False) if operator == "soap_linear" else ()
    leaf = vectors.clone().requires_grad_()
    value = fast(*system.arguments(leaf), *extra)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_equal(value.detach(), slow(*system.arguments(vectors), *extra), torch.float64)
    assert torch.equal(gradient[2], torch.zeros(3, dtype=torch.float64))
    assert torch.isfinite(gradient).all()


def test_third_order_is_refused_in_words() -> None:
    system = SMALL["two_species"]
    vectors = system.edge_vectors.clone().requires_grad_()
    value = OPS.soap_power_spectrum_v1(*system.arguments(vectors)).square().sum()
    (first,) = torch.autograd.grad(value, vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), vectors, create_graph=True)
    with pytest.raises(NotImplementedError, match="has no third derivative; use rhopot"):
        torch.autograd.grad(second.sum(), vectors)


def test_threads_do_not_change_the_numbers() -> None:
    system = SYSTEMS["lonely_centres"]
    many = System(
        **{
            **system.__dict__,
            "edge_vectors": system.edge_vectors.repeat(40, 1),
            "neighbour": system.neighbour.repeat(40),
            "centre": system.centre.repeat(40),
            "first_edge": torch.cat([system.first_edge[:-1] + 7 * i for i in range(40)] + [torch.tensor([280])]),
        }
    )
    one = OPS.soap_power_spectrum_v1(*many.arguments())
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = OPS.soap_power_spectrum_v1(*many.arguments())
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["baseline", "v3"])
def test_every_instruction_set_gives_the_same_numbers(variant: str, tmp_path) -> None:
    system = SYSTEMS["three_species"]
    vectors = system.edge_vectors.clone().requires_grad_()
    here = OPS.soap_power_spectrum_v1(*system.arguments(vectors))
    (gradient,) = torch.autograd.grad(here.sum(), vectors)
    torch.save(system.arguments(), tmp_path / "arguments.pt")
    script = (
        "import sys, torch\n"
        "from rhopot.potentials import operators\n"
        "operators.load()\n"
        "arguments = torch.load(sys.argv[1])\n"
        "arguments[0].requires_grad_()\n"
        "p = torch.ops.rhopot.soap_power_spectrum_v1(*arguments)\n"
        "g, = torch.autograd.grad(p.sum(), arguments[0])\n"
        "torch.save((operators.kernel_variant(), p.detach(), g), sys.argv[2])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "arguments.pt"), str(tmp_path / "result.pt")]
    subprocess.run(command, check=True, env={**os.environ, "RHOPOT_KERNELS": variant})
    used, spectrum, other = torch.load(tmp_path / "result.pt")
    assert used in (variant, "baseline")
    assert_equal(spectrum, here.detach(), torch.float64)
    assert_equal(other, gradient, torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("wish", ["v5", "AVX2", "V3"])
def test_an_unknown_instruction_set_is_refused(wish: str) -> None:
    script = "from rhopot.potentials import operators; print(operators.kernel_variant())"
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env={**os.environ, "RHOPOT_KERNELS": wish}, capture_output=True, text=True)
    assert run.returncode != 0
    assert f"RHOPOT_KERNELS must be baseline, v3 or v4, got '{wish}'; unset it" in run.stderr
    empty = subprocess.run(command, env={**os.environ, "RHOPOT_KERNELS": ""}, capture_output=True, text=True)
    assert empty.stdout.strip() in ("baseline", "v3", "v4")
