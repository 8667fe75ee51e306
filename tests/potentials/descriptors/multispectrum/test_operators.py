"""The C++ operator of multispectra equals its definition in plain PyTorch: values, adjoint and second derivative."""

import numpy as np
import pytest
import torch

from rhopot.potentials import operators
from rhopot.potentials.descriptors.multispectrum.reference import multispectrum
from rhopot.potentials.descriptors.multispectrum.tables import term_tables
from rhopot.potentials.descriptors.multispectrum.terms import Terms, choose_terms

operators.load()
OPS = torch.ops.rhopot
CASES = {
    "all_orders": choose_terms(np.outer(0.8 ** np.arange(4), [1.0, 0.6, 0.5]), (None, 80, 90), (3, 3, 2)),
    "long_runs": choose_terms(np.outer(0.8 ** np.arange(3), 0.9 ** np.arange(7)), (None, None, 0), (2, 2, 0)),
    "second_order": choose_terms(np.outer(0.8 ** np.arange(5), [1.0, 0.6]), (None, 0, 0), (4, 0, 0)),
    "fourth_order": choose_terms(np.outer(0.8 ** np.arange(4), [1.0, 0.6]), (0, 0, 400), (0, 0, 3)),
}


def density(terms: Terms, n: int, seed: int) -> torch.Tensor:
    """Return random densities (n, (L+1)^2, U) that the terms fit."""
    degrees = np.concatenate([terms.two[:, 0], terms.pairs[:, [0, 2, 4]].ravel(), [0]])
    channels = np.concatenate([terms.one, terms.two[:, 1:].ravel(), terms.pairs[:, [1, 3]].ravel(), terms.three[:, 1]])
    generator = torch.Generator().manual_seed(seed)
    shape = (n, (int(degrees.max()) + 1) ** 2, int(channels.max()) + 1)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 3, 8, 21])
@pytest.mark.parametrize("name", CASES)
def test_values_adjoint_and_second_derivative(name: str, n: int) -> None:
    terms = CASES[name]
    tables = term_tables(terms)
    c = density(terms, n, 0)
    h, v = torch.randn(n, terms.n_features, dtype=torch.float64), torch.randn_like(c)
    results = []
    for function in (lambda x: OPS.multispectrum_v1(x, *tables), lambda x: multispectrum(x, tables)):
        x, weight = c.clone().requires_grad_(), h.clone().requires_grad_()
        values = function(x)
        (gradient,) = torch.autograd.grad(values, x, weight, create_graph=True)
        second = torch.autograd.grad((gradient * v).sum(), (x, weight))
        results.append((values.detach(), gradient.detach(), *second))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name: str) -> None:
    terms = CASES[name]
    c = density(terms, 9, 1)
    found = OPS.multispectrum_v1(c.float(), *term_tables(terms))
    torch.testing.assert_close(found.double(), multispectrum(c, term_tables(terms)), rtol=2e-4, atol=2e-3)


def test_derivative_along_a_tangent() -> None:
    terms = CASES["all_orders"]
    c, tangent = density(terms, 5, 2), density(terms, 5, 3)
    found = OPS.multispectrum_derivative_v1(c, tangent, *term_tables(terms))
    expected = torch.func.jvp(lambda x: multispectrum(x, term_tables(terms)), (c,), (tangent,))[1]
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
