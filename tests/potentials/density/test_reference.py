"""The plain PyTorch operators against sums written out by hand, and their own derivatives.

The compiled operators are held to these by `test_operators`, so what is checked here holds for both.
"""

import numpy as np
import pytest
import torch
from operator_checks import flat
from random_graphs import CUTOFF, random_system
from torch.testing import assert_close

from rhopot.potentials.density import reference
from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.density.hermite import evaluate_hermite
from rhopot.potentials.descriptors.features import linear_read_out
from rhopot.potentials.descriptors.soap import reference as soap
from rhopot.potentials.graph.atomic_graph import edge_centres

SYSTEM = random_system([3, 0, 5], [0, 1], l_max=2, n_radial=2)


def test_density_is_the_sum_over_neighbours_and_the_centre() -> None:
    density = flat(reference.density_expansion)(*SYSTEM.arguments())
    n_radial = SYSTEM.radial.shape[4]
    for i in range(3):
        expected = torch.zeros(9, 2 * n_radial, dtype=torch.float64)
        own = int(SYSTEM.species[SYSTEM.centre[i]])
        expected[0, own * n_radial : (own + 1) * n_radial] += 0.7 * SYSTEM.radial[own, 0, 0, 0] / np.sqrt(4 * np.pi)
        for e in range(int(SYSTEM.first_edge[i]), int(SYSTEM.first_edge[i + 1])):
            kind = int(SYSTEM.species[SYSTEM.neighbour[e]])
            vector = SYSTEM.edge_vectors[e]
            length = vector.norm()
            values = evaluate_hermite(length[None], torch.tensor([kind]), SYSTEM.radial, CUTOFF)[0]
            harmonics = real_spherical_harmonics(vector / length, 2)
            for lm in range(9):
                block = slice(kind * n_radial, (kind + 1) * n_radial)
                expected[lm, block] += values[int(np.sqrt(lm))] * harmonics[lm]
        assert_close(density[i], expected, rtol=1e-12, atol=1e-13)


def test_power_spectrum_sums_over_m_in_the_stated_order() -> None:
    density = flat(reference.density_expansion)(*SYSTEM.arguments())
    features = soap.power_spectrum(density)
    index = 0
    for u in range(4):
        for v in range(u, 4):
            for degree in range(3):
                rows = slice(degree**2, (degree + 1) ** 2)
                value = (density[:, rows, u] * density[:, rows, v]).sum(dim=1) / np.sqrt(2 * degree + 1)
                expected = value * (np.sqrt(2.0) if u != v else 1.0)
                assert_close(features[:, index], expected, rtol=1e-12, atol=1e-13)
                index += 1
    assert index == features.shape[1]


def test_species_that_share_a_channel_add() -> None:
    shared = random_system([4, 2], [0, 0], l_max=2, n_radial=2)
    apart = random_system([4, 2], [0, 1], l_max=2, n_radial=2)
    density = flat(reference.density_expansion)(*apart.arguments())
    expected = density[..., :2] + density[..., 2:]
    assert_close(flat(reference.density_expansion)(*shared.arguments()), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("operator", ["density_expansion", "soap_power_spectrum"])
def test_derivatives_by_finite_differences(operator: str) -> None:
    function = flat(getattr(reference if operator == "density_expansion" else soap, operator))
    vectors = SYSTEM.edge_vectors.clone().requires_grad_(True)
    torch.autograd.gradcheck(lambda v: function(*SYSTEM.arguments(v)), (vectors,))
    torch.autograd.gradgradcheck(lambda v: function(*SYSTEM.arguments(v)), (vectors,))


def test_jacobian_equals_autograd() -> None:
    features, derivatives = flat(soap.soap_jacobian)(*SYSTEM.arguments())

    def spectrum(vectors: torch.Tensor) -> torch.Tensor:
        return flat(soap.soap_power_spectrum)(*SYSTEM.arguments(vectors))

    full = torch.autograd.functional.jacobian(spectrum, SYSTEM.edge_vectors)
    centres = edge_centres(SYSTEM.first_edge)
    expected = torch.stack([full[centres[e], :, e].T for e in range(len(centres))])
    assert_close(features, spectrum(SYSTEM.edge_vectors), rtol=1e-12, atol=1e-13)
    assert_close(derivatives, expected, rtol=1e-11, atol=1e-12)


def test_table_is_differentiable() -> None:
    vectors = SYSTEM.edge_vectors
    table = SYSTEM.radial.clone().requires_grad_(True)
    graph = (SYSTEM.first_edge, SYSTEM.neighbour, SYSTEM.centre, SYSTEM.species)
    density = flat(reference.density_expansion)(vectors, *graph, table, CUTOFF, SYSTEM.species_channel, 2, 1.0)
    (derivative,) = torch.autograd.grad(density.square().sum(), table)
    assert float(derivative.abs().max()) > 0.0
    assert bool(torch.isfinite(derivative).all())


def test_edge_of_length_zero_has_no_derivative_and_no_nan() -> None:
    vectors = SYSTEM.edge_vectors.clone()
    vectors[1] = 0.0
    vectors.requires_grad_(True)
    value = flat(soap.soap_power_spectrum)(*SYSTEM.arguments(vectors)).sum()
    (derivative,) = torch.autograd.grad(value, vectors, create_graph=True)
    (second,) = torch.autograd.grad(derivative.square().sum(), vectors)
    assert bool(torch.isfinite(value.detach()))
    assert bool(torch.isfinite(second).all())
    assert bool(torch.isfinite(derivative.detach()).all())
    assert_close(derivative[1].detach(), torch.zeros(3, dtype=torch.float64), rtol=0, atol=0)


def test_linear_read_out_uses_the_weights_of_the_centre() -> None:
    features = torch.eye(3, dtype=torch.float64)
    weights = torch.arange(12.0, dtype=torch.float64).reshape(2, 3, 2)
    kinds = torch.tensor([1, 0, 1])
    expected = torch.stack([weights[1, 0], weights[0, 1], weights[1, 2]])
    assert_close(linear_read_out(features, kinds, weights, True), expected)
    assert_close(linear_read_out(features, kinds, weights, False), expected[:, :1])
    assert_close(linear_read_out(features, kinds, weights[:1], True), weights[0])
