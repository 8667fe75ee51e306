"""The loop from a stored Jacobian to forces equals its definition, and its derivative is the adjoint."""

import pytest
import torch
from operator_checks import assert_equal
from torch import Tensor
from torch.autograd import gradcheck

from rhopot.potentials import operators
from rhopot.potentials.density import reference

operators.load()
OPS = torch.ops.rhopot
CASES = {
    "few": ([3, 0, 5], 7, 2),
    "one_feature": ([4], 1, 1),
    "many_features": ([40, 2, 9], 83, 3),
    "whole_packs": ([16, 8], 64, 5),
    "large_committee": ([7, 12], 40, 19),
    "wide_committee": ([9, 1], 21, 8),
    "two_and_a_rest": ([6], 19, 6),
    "seven": ([6], 16, 7),
    "four": ([5], 33, 4),
    "lonely": ([0, 0], 5, 2),
    "nobody": ([], 5, 2),
}


def make(name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    counts, n_features, members = CASES[name]
    generator = torch.Generator().manual_seed(7)
    first_edge = torch.cumsum(torch.tensor([0, *counts]), 0)
    jacobian = torch.randn(sum(counts), 3, n_features, generator=generator, dtype=torch.float64)
    gradient = torch.randn(members, len(counts), n_features, generator=generator, dtype=torch.float64)
    return jacobian.to(dtype), first_edge, gradient.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_equals_its_twin_with_the_gradient(name: str, dtype: torch.dtype) -> None:
    jacobian, first_edge, gradient = make(name, dtype)
    results = []
    for function, kind in ((OPS.jacobian_forces, dtype), (reference.jacobian_forces, torch.float64)):
        leaf = gradient.to(kind).requires_grad_()
        forces = function(jacobian.to(kind), first_edge, leaf)
        incoming = torch.randn(forces.shape, generator=torch.Generator().manual_seed(1)).to(kind)
        (adjoint,) = torch.autograd.grad(forces, leaf, incoming)
        results.append((forces.detach(), adjoint))
    for actual, expected in zip(*results, strict=True):
        assert_equal(actual, expected, dtype)


def test_gradient_by_finite_differences() -> None:
    jacobian, first_edge, gradient = make("few", torch.float64)
    assert gradcheck(lambda x: OPS.jacobian_forces(jacobian, first_edge, x), gradient.requires_grad_())


def test_gradients_need_not_be_contiguous() -> None:
    jacobian, first_edge, gradient = make("many_features", torch.float64)
    turned = gradient.transpose(0, 2).contiguous().transpose(0, 2)
    assert not turned.is_contiguous()
    assert torch.equal(
        OPS.jacobian_forces(jacobian, first_edge, turned), OPS.jacobian_forces(jacobian, first_edge, gradient)
    )


def test_threads_do_not_change_the_numbers() -> None:
    jacobian, first_edge, gradient = make("many_features", torch.float32)
    many = jacobian.repeat(30, 1, 1), torch.cat([first_edge[:-1] + 51 * i for i in range(30)] + [torch.tensor([1530])])
    gradients = gradient.repeat(1, 30, 1)
    one = OPS.jacobian_forces(*many, gradients)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = OPS.jacobian_forces(*many, gradients)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one, two)


def test_what_does_not_fit_is_refused_in_words() -> None:
    jacobian, first_edge, gradient = make("few", torch.float64)
    for change, sentence in (
        ((jacobian.flatten(), first_edge, gradient), r"jacobian must be of shape \(E, 3, F\), got \[168\]"),
        ((jacobian, first_edge, gradient[:, 1:]), r"gradient must be of shape \(K, 3, 7\), got \[2, 2, 7\]"),
        ((jacobian, first_edge, gradient.float()), r"gradient must have the dtype of jacobian \(Double\), got Float"),
        ((jacobian, first_edge[:-1], gradient), "first_edge must rise from 0 to the number of edges"),
        ((jacobian.long(), first_edge, gradient), "jacobian must be float64 or float32, got Long"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            OPS.jacobian_forces(*change)
    with pytest.raises(NotImplementedError, match="jacobian must not require a gradient here"):
        OPS.jacobian_forces(jacobian.clone().requires_grad_(), first_edge, gradient)


def test_second_order_is_refused_in_words() -> None:
    jacobian, first_edge, gradient = make("few", torch.float64)
    forces = OPS.jacobian_forces(jacobian, first_edge, gradient.requires_grad_())
    with pytest.raises(NotImplementedError, match="jacobian_forces has no second derivative; use rhopot"):
        torch.autograd.grad(forces.sum(), gradient, create_graph=True)
