"""How a fast operator is compared with its twin: values, first and second derivatives, relative to the largest."""

import torch
from random_graphs import System
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.graph.atomic_graph import AtomicGraph

# float64: rounding of sums of a few hundred terms; float32: the same, in units of its own 6e-8
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


def flat(twin):
    """A twin with the argument list of its operator."""
    return lambda *arguments: twin(AtomicGraph(*arguments[:5]), RadialTable(*arguments[5:10]), *arguments[10:])


def assert_equal(actual: Tensor, expected: Tensor, dtype: torch.dtype, times: float = 1.0) -> None:
    """Equal to a fraction (`times` the tolerance) of the largest number: a sum's rounding follows its largest terms."""
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    allowed = times * TOLERANCE[dtype] * max(largest, 1e-30)
    torch.testing.assert_close(actual.double(), expected.double(), rtol=0.0, atol=allowed)


def derivatives(function, system: System, extra: tuple, seed: int = 1) -> tuple[Tensor, ...]:
    """Value, gradient for a random incoming one, and both gradients of that gradient for another random one."""
    generator = torch.Generator().manual_seed(seed)
    dtype = system.edge_vectors.dtype
    vectors = system.edge_vectors.clone().requires_grad_()
    value = function(*system.arguments(vectors), *extra)
    incoming = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    (first,) = torch.autograd.grad(value, vectors, incoming, create_graph=True)
    direction = torch.randn(first.shape, generator=generator, dtype=torch.float64).to(dtype)
    # a constant term keeps the graph connected where a system has no edges
    second = torch.autograd.grad((first * direction).sum() + 0 * incoming.sum(), [vectors, incoming], allow_unused=True)
    (plain,) = torch.autograd.grad(function(*system.arguments(vectors), *extra), vectors, incoming.detach())
    dense = [torch.zeros_like(x) if g is None else g for g, x in zip(second, (vectors, incoming), strict=True)]
    return value.detach(), plain, first.detach(), *dense
