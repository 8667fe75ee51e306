"""Gaussian bases of distances and angles: the contract of descriptors, and their sums written with loops."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from torch.testing import assert_close

from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.testing import DescriptorContract, structures
from rhopot.testing.spectrum import arguments

SETTINGS = AngularSettings(symbols=("Li", "Si"), cutoff=4.5, n_radial=4, n_angular=3)


class TestAngularBasis(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return AngularBasis(SETTINGS)


def test_neighboring_gaussians_cross_one_standard_deviation_from_their_centers() -> None:
    basis = AngularBasis(SETTINGS)
    assert basis.distances.tolist() == [0.0, 1.5, 3.0, 4.5]
    assert basis.distance_width == pytest.approx(0.75)
    assert basis.cosines.tolist() == [-1.0, 0.0, 1.0]
    assert basis.cosine_width == pytest.approx(0.5)


def test_features_are_sums_over_neighbors_and_pairs_of_them() -> None:
    basis, graph = AngularBasis(SETTINGS), arguments(structures.tiny(), ("Li", "Si"), 4.5)
    kind, vectors = graph.species[graph.neighbour].numpy(), graph.edge_vectors.numpy()
    r = np.linalg.norm(vectors, axis=1)
    x = r / 4.5
    fade = 1 - 10 * x**3 + 15 * x**4 - 6 * x**5
    expected = np.zeros((len(graph.centre), 2 * 4 + 3 * 3))
    for i in range(len(graph.centre)):
        edges = range(int(graph.first_edge[i]), int(graph.first_edge[i + 1]))
        for j in edges:
            expected[i, 4 * kind[j] : 4 * kind[j] + 4] += fade[j] * np.exp(-((r[j] - np.arange(4) * 1.5) ** 2) / 1.125)
            for k in edges:
                if j != k:
                    cosine = vectors[j] @ vectors[k] / r[j] / r[k]
                    first = 8 + 3 * (kind[j] + kind[k])  # Li-Li, Li-Si, Si-Si
                    angular = np.exp(-((cosine - np.array([-1, 0, 1])) ** 2) / 0.5)
                    expected[i, first : first + 3] += fade[j] * fade[k] * angular
    assert_close(basis(graph).numpy(), expected, rtol=0, atol=1e-12)
