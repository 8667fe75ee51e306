"""Compiled angular filters = their twin in PyTorch: values, first and second derivatives, float64 and float32."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rhopot.potentials import operators
from rhopot.potentials.models.angular import reference

operators.load()

COUNTS = (5, 0, 1, 2, 11, 17)  # edges of each centre: none, alone, part of a pack, more than one pack
N_GAUSSIANS = 10  # more than are not small at a time in float32


def problem(
    n_filters: int, dtype: torch.dtype = torch.float64, heads: int = 1, seed: int = 0
) -> tuple[Tensor, Tensor, int, int, float]:
    """Rows, first edges, number of the Gaussians, heads, and width of the Gaussians, of a few centres."""
    stream = torch.Generator().manual_seed(seed)
    n = sum(COUNTS)
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=stream, dtype=torch.float64), dim=1)
    weight = torch.rand(n, heads, generator=stream, dtype=torch.float64)
    coefficients = 2.0 * torch.randn(n, N_GAUSSIANS * n_filters, generator=stream, dtype=torch.float64)
    first = torch.tensor([0, *COUNTS]).cumsum(0)
    return torch.cat([coefficients, direction, weight], 1).to(dtype), first, N_GAUSSIANS, heads, 0.12


def first_and_second(function, rows: Tensor, *others: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The values, their gradient against fixed numbers, and the two derivatives of a product with that gradient."""
    stream = torch.Generator().manual_seed(1)
    rows = rows.clone().requires_grad_(True)
    value = function(rows, *others)
    h = torch.randn(value.shape, generator=stream, dtype=torch.float64).to(rows.dtype).requires_grad_(True)
    (gradient,) = torch.autograd.grad(value, rows, h, create_graph=True)
    v = torch.randn(gradient.shape, generator=stream, dtype=torch.float64).to(rows.dtype)
    return value.detach(), gradient.detach(), *torch.autograd.grad(gradient, (rows, h), v)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 3e-5)])
@pytest.mark.parametrize(("n_filters", "heads"), [(8, 1), (8, 4), (24, 1), (24, 3), (32, 2)])
def test_operator_and_reference_agree(n_filters: int, heads: int, dtype: torch.dtype, limit: float) -> None:
    given = problem(n_filters, dtype, heads)
    exact = first_and_second(reference.angular_filters, *problem(n_filters, heads=heads))
    for found, wanted in zip(first_and_second(torch.ops.rhopot.angular_filters_v1, *given), exact, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=limit * float(wanted.abs().max()))


def test_derivatives_are_those_of_finite_differences() -> None:
    rows, *others = problem(16, heads=2)
    rows = rows[:8].clone().requires_grad_(True)
    first = torch.tensor([0, 5, 8])

    def filters(x: Tensor) -> Tensor:
        return torch.ops.rhopot.angular_filters_v1(x, first, *others[1:])

    assert torch.autograd.gradcheck(filters, (rows,))
    assert torch.autograd.gradgradcheck(filters, (rows,))


def ssp(x: float) -> float:
    return math.log(0.5 * (1 + math.exp(x)))


def test_two_edges_by_hand() -> None:
    """Perpendicular edges: of Gaussians at -1, 0 and 1 the one at 0 for the other edge, that at 1 for itself."""
    rows = torch.zeros(2, 3 * 8 + 4, dtype=torch.float64)
    rows[0, 8:16], rows[1, 8:16] = 1.0, -2.0
    rows[0, 16:24] = 3.0
    rows[0, 24], rows[1, 25] = 1.0, 1.0
    rows[:, 27] = torch.tensor([0.5, 0.25], dtype=torch.float64)
    found = torch.ops.rhopot.angular_filters_v1(rows, torch.tensor([0, 2]), 3, 1, 0.05)
    expected = [0.25 * ssp(1.0) + 0.5 * ssp(3.0), 0.5 * ssp(-2.0)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64)[:, None].expand(2, 8))


def test_large_arguments_do_not_overflow() -> None:
    rows, *others = problem(8, torch.float32)
    rows[:, :-4] *= 1e4
    found = first_and_second(torch.ops.rhopot.angular_filters_v1, rows, *others)
    assert all(torch.isfinite(each).all() for each in found)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: (a[0][:, :-1], *a[1:]), "with D a multiple of 8"),
        (lambda a: (a[0], a[1][:-1], *a[2:]), "first_edge"),
        (lambda a: (*a[:4], 0.0), "width must be positive, got 0"),
        (lambda a: (*a[:2], 1, *a[3:]), "n_gaussians must lie in"),
        (lambda a: (*a[:3], 3, a[4]), "with D a multiple of 24"),
        (lambda a: (*a[:3], 0, a[4]), "n_heads must be at least 1"),
    ],
)
def test_what_is_refused(change, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        torch.ops.rhopot.angular_filters_v1(*change(problem(8)))
