"""Filters of angular networks as functions of distance and angle: what a third atom adds to the sum over neighbors."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
import torch
from torch.testing import assert_close

from rhopot.export import script
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.angular.filters import filter_responses, filtering_layers


@pytest.mark.parametrize("compiled", [False, True])
def test_response_is_what_the_layer_sums_over_another_neighbor(compiled: bool) -> None:
    """Of two neighbors j and k: k's filters, j = k taken off, are the response at k's distance and angle to j."""
    model = small_models.angular(members=2).module
    layer, basis = filtering_layers(model)[1], model.descriptor
    cosines, distance, k = torch.tensor([-0.7, 0.2, 0.95], dtype=torch.float64), 2.1, 1
    torch.nn.init.zeros_(layer.weight_features)  # every neighbor counts by f_c alone
    expected = []
    for cosine in cosines.tolist():
        vectors = torch.tensor([[3.0, 0.0, 0.0], [cosine * distance, (1 - cosine**2) ** 0.5 * distance, 0.0]]).double()
        radial, tail = basis.edges(vectors)
        graph = AtomicGraph(vectors, *(torch.tensor(x) for x in ([0, 2], [1, 2], [0], [0, 1, 0])))
        x = torch.ones(3, 6, dtype=torch.float64)
        both = layer.summed_filters(x, radial, tail, graph.neighbour, graph.first_edge, k)[1]
        alone = layer.summed_filters(x, radial[1:], tail[1:], graph.neighbour[1:], torch.tensor([0, 1]), k)[0]
        expected.append(tail[1, 3] * ((both - alone) / tail[0, 3]) @ layer.filters[k])
    source = script.compile_module(model) if compiled else model
    found = filter_responses(
        source.descriptor, filtering_layers(source)[1], torch.tensor([distance, 4.0]), cosines, member=k
    )
    assert_close(found[:, 0].t(), torch.stack(expected), rtol=0, atol=1e-6)  # distances in float32 above
    assert found.shape == (6, 2, 3)
    assert float(found[:, 1].abs().max()) == 0.0, "at the cutoff"
    assert np.ptp(found[:, 0].numpy(), axis=1).min() > 1e-3


def test_models_without_angles_have_no_filters() -> None:
    assert filtering_layers(small_models.network().module) == []
    assert filtering_layers(small_models.linear().module) == []
