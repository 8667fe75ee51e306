"""Members of networks that learn features: each alone is what the columns say of it, at the cost of one network."""

from __future__ import annotations

import many_body_toy as toy
import pytest
import small_models
import torch
from torch.testing import assert_close

from rhopot.export import LoadedModel
from rhopot.testing.spectrum import arguments

MAKERS = {"angular": small_models.angular, "point_scattering": small_models.point_scattering}


@pytest.fixture(params=MAKERS)
def model(request: pytest.FixtureRequest) -> LoadedModel:
    made: LoadedModel = MAKERS[request.param]()
    return made


def test_columns_follow_from_the_energies_of_each_network(model: LoadedModel) -> None:
    graph = arguments(toy.skewed(), small_models.SYMBOLS, model.card.cutoff)
    graph.edge_vectors.requires_grad_(True)
    columns, of_networks, factor = model.module.members_apart(*graph)
    assert_close(columns, model.module(*graph, True), rtol=0, atol=1e-14)

    def gradient(energies: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(energies.sum(), graph.edge_vectors, retain_graph=True)[0]

    mean = gradient(columns[:, 0])
    assert len(of_networks) == small_models.N_MEMBERS
    for k, energies in enumerate(of_networks):
        assert_close(columns[:, 1 + k], columns[:, 0] + factor * (energies - columns[:, 0]), rtol=0, atol=1e-12)
        assert_close(gradient(columns[:, 1 + k]), mean + factor * (gradient(energies) - mean), rtol=0, atol=1e-12)


def nodes(energies: torch.Tensor) -> set[object]:
    """All that a derivative of the energies passes through."""
    found: set[object] = set()
    waiting = [energies.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [next_node for next_node, _ in node.next_functions]
    return found


def test_derivatives_of_one_network_pass_through_no_other(model: LoadedModel) -> None:
    """What two have in common are edges and their basis; stacked, each would pass through the other."""
    graph = arguments(toy.skewed(), small_models.SYMBOLS, model.card.cutoff)
    graph.edge_vectors.requires_grad_(True)
    _, of_networks, _ = model.module.members_apart(*graph)
    first, second = (nodes(energies) for energies in of_networks[:2])
    assert len(first - second) > 0.5 * len(first & second)
