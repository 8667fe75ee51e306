"""Compiled symmetry functions = their twins in PyTorch: values, first and second derivatives, float64 and float32."""

import os
import subprocess
import sys

import pytest
import torch
from operator_checks import assert_equal, derivatives
from symmetry_systems import SMALL, SYSTEMS, random_system

from rhopot.potentials import operators
from rhopot.potentials.descriptors.symmetry_functions import reference
from rhopot.potentials.graph.atomic_graph import AtomicGraph

operators.load()
FAST, JACOBIAN = torch.ops.rhopot.symmetry_functions_v1, torch.ops.rhopot.symmetry_jacobian_v1


def flat(twin):  # type: ignore[no-untyped-def]
    """A twin with the argument list of its operator."""
    return lambda *arguments: twin(AtomicGraph(*arguments[:5]), reference.SymmetryGrid(*arguments[5:]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SYSTEMS)
def test_operator_equals_its_twin_to_second_order(name: str, dtype: torch.dtype) -> None:
    system = SYSTEMS[name].to(dtype)
    found = derivatives(FAST, system, ())
    expected = derivatives(flat(reference.symmetry_functions), system.to(torch.float64), ())
    for actual, wanted in zip(found, expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", SYSTEMS)
def test_jacobian_equals_its_twin(name: str, dtype: torch.dtype) -> None:
    system = SYSTEMS[name].to(dtype)
    expected = flat(reference.symmetry_jacobian)(*system.to(torch.float64).arguments())
    for actual, wanted in zip(JACOBIAN(*system.arguments()), expected, strict=True):
        assert_equal(actual, wanted, dtype)


@pytest.mark.parametrize("name", SMALL)
def test_derivatives_by_finite_differences(name: str) -> None:
    system = SMALL[name]
    vectors = system.edge_vectors.clone().requires_grad_()
    function = lambda x: FAST(*system.arguments(x))  # noqa: E731
    assert torch.autograd.gradcheck(function, vectors)
    assert torch.autograd.gradgradcheck(function, vectors)


def test_gradient_of_a_loss_on_forces_reaches_parameters_and_positions() -> None:
    """Force training: the loss depends on g = dE/dr, E = NN(G), so it differentiates through both orders at once."""
    system = SYSTEMS["three_species"]
    n_features = FAST(*system.arguments()).shape[1]
    weight = torch.randn(n_features, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = []
    for function in (FAST, flat(reference.symmetry_functions)):
        parameter, vectors = weight.clone().requires_grad_(), system.edge_vectors.clone().requires_grad_()
        energy = torch.tanh(function(*system.arguments(vectors)) @ parameter).sum()
        (gradient,) = torch.autograd.grad(energy, vectors, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [parameter, vectors]))
    for actual, wanted in zip(*found, strict=True):
        assert_equal(actual, wanted, torch.float64)


@pytest.mark.parametrize("function", [FAST, flat(reference.symmetry_functions)], ids=["compiled", "reference"])
def test_coincident_atoms_contribute_values_and_finite_derivatives(function) -> None:
    system = SYSTEMS["cosine"]
    vectors = system.edge_vectors.clone()
    vectors[3] = 0.0
    vectors[5] = vectors[6]
    expected = flat(reference.symmetry_functions)(*system.arguments(vectors))
    vectors.requires_grad_()
    value = function(*system.arguments(vectors))
    (gradient,) = torch.autograd.grad(value.square().sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), vectors)
    assert_equal(value.detach(), expected, torch.float64)
    assert bool(torch.isfinite(gradient).all())
    assert bool(torch.isfinite(second).all())
    assert float(value[0].detach().abs().max()) > 0


@pytest.mark.parametrize("function", [FAST, flat(reference.symmetry_functions)], ids=["compiled", "reference"])
def test_a_vector_that_is_not_a_number_shows_in_its_centre_alone(function) -> None:
    system = SYSTEMS["three_species"]
    vectors = system.edge_vectors.clone()
    vectors[2, 1] = float("nan")
    bad = torch.isnan(function(*system.arguments(vectors))).any(dim=1)
    assert bad.tolist() == [True, False, False]


def test_third_order_is_refused_in_words() -> None:
    system = SMALL["two_species"]
    vectors = system.edge_vectors.clone().requires_grad_()
    (first,) = torch.autograd.grad(FAST(*system.arguments(vectors)).square().sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), vectors, create_graph=True)
    with pytest.raises(NotImplementedError, match="has no third derivative; use rhopot"):
        torch.autograd.grad(second.sum(), vectors)


def test_threads_do_not_change_the_numbers() -> None:
    system = random_system([9] * 60, 2, seed=11)
    one = JACOBIAN(*system.arguments())
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = JACOBIAN(*system.arguments())
    finally:
        torch.set_num_threads(threads)
    for alone, together in zip(one, two, strict=True):
        assert torch.equal(alone, together)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["baseline", "v3"])
def test_every_instruction_set_gives_the_same_numbers(variant: str, tmp_path) -> None:
    system = SYSTEMS["three_species"]
    torch.save((system.arguments(), *JACOBIAN(*system.arguments())), tmp_path / "here.pt")
    script = (
        "import sys, torch\n"
        "from rhopot.potentials import operators\n"
        "operators.load()\n"
        "arguments, *expected = torch.load(sys.argv[1])\n"
        "assert operators.kernel_variant() == sys.argv[2]\n"
        "for a, b in zip(torch.ops.rhopot.symmetry_jacobian_v1(*arguments), expected):\n"
        "    torch.testing.assert_close(a, b, rtol=0.0, atol=1e-13 * float(b.abs().max()))\n"
    )
    environment = {**os.environ, "RHOPOT_KERNELS": variant}
    command = [sys.executable, "-c", script, str(tmp_path / "here.pt"), variant]
    subprocess.run(command, check=True, env=environment)


GOOD = SYSTEMS["three_species"].arguments()
BAD = {
    "vectors": (0, GOOD[0].flatten(), r"edge_vectors must be of shape \(E, 3\)"),
    "half": (0, GOOD[0].half(), "edge_vectors must be float64 or float32, got Half"),
    "dtype": (5, GOOD[5].float(), r"radial must have the dtype of edge_vectors \(Double\), got Float"),
    "radial": (5, GOOD[5][:, 0], r"radial must be of shape \(N2, 2\)"),
    "offsets": (1, GOOD[1][:-1], "first_edge must have one entry per centre and one more"),
    "neighbour": (2, GOOD[2] + 9, "neighbour must lie in"),
    "species": (4, GOOD[4] + 3, "species must lie in"),
    "zeta": (7, [0], r"zeta must lie in \[1, 64\], got 0"),
    "sign": (8, [2], r"sign must be \+1 or -1, got 2"),
    "cutoff": (9, 0.0, "cutoff must be positive, got 0"),
    "width": (10, 9.0, r"cutoff_width must lie in \(0, cutoff\], got 9"),
    "fade": (11, "step", "cutoff_function must be quintic or shifted_cosine, got step"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_that_do_not_fit_are_refused_with_a_sentence(case: str) -> None:
    position, value, sentence = BAD[case]
    arguments = [*GOOD[:position], value, *GOOD[position + 1 :]]
    with pytest.raises((ValueError, TypeError), match=sentence):
        FAST(*arguments)
