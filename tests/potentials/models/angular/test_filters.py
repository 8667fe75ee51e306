"""Filters of angular networks as functions of distance and angle: what a third atom adds to the sum over neighbors."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
import torch
from torch.testing import assert_close

from rhopot.export import script
from rhopot.potentials.models.angular.filters import filter_responses, filtering_layers


@pytest.mark.parametrize("compiled", [False, True])
def test_response_is_what_the_layer_sums_over_another_neighbor(compiled: bool) -> None:
    """Of two neighbors j and k: k's filters, j = k taken off, are the response at k's distance and angle to j."""
    model = small_models.angular(members=2).module
    layer, basis = filtering_layers(model)[1], model.descriptor
    cosines, distance, k = torch.tensor([-0.7, 0.2, 0.95], dtype=torch.float64), 2.1, 1

    def summed(radial: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
        """Sums over neighbors that count by f_c alone, in one star."""
        rows = torch.cat([radial @ layer.bases[k], tail[:, :3], tail[:, 3:].expand(-1, layer.heads)], dim=1)
        return layer.sums_of_angles(rows, torch.tensor([0, len(rows)]))

    expected = []
    for cosine in cosines.tolist():
        vectors = torch.tensor([[3.0, 0.0, 0.0], [cosine * distance, (1 - cosine**2) ** 0.5 * distance, 0.0]]).double()
        radial, tail = basis.edges(vectors)
        both, alone = summed(radial, tail)[1], summed(radial[1:], tail[1:])[0]
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
