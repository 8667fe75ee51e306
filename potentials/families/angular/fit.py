"""Training of angular networks, from a fit problem to a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.networks.graph_source import GraphSource
from rhopot.potentials.families.networks.learned import train_learned
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.models.angular.angular_model import AngularModel
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.angular.settings import AngularNetworkSettings


def fit_angular(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Train angular networks, with early stopping on the validation set; the model is in float64."""
    network: AngularNetworkSettings = settings.regressor
    basis = problem.descriptor
    assert isinstance(basis, AngularBasis)

    def make(seeds: Sequence[int], train: GraphSource, scale: float, shift: float) -> AngularNetworks:
        networks = AngularNetworks(basis, network, seeds)
        networks.prepare(mean_neighbours(basis, train, problem.communicator), scale, shift)
        return networks

    shape = network.describe(basis.settings.n_radial, basis.settings.n_angular)
    return train_learned(problem, network, settings.training, make, AngularModel, shape)


def mean_neighbours(basis: AngularBasis, source: GraphSource, communicator: Communicator) -> float:
    """Mean of the sum of f_c over the neighbors of an atom of the training structures, at least 1."""
    sums = torch.zeros(2, dtype=torch.float64)
    for k in range(len(source.n_atoms)):
        graph = source.batch([k]).graph
        sums += torch.tensor(
            [float(basis.edges(graph.edge_vectors.double())[1][:, 3].sum()), float(len(graph.species))],
            dtype=torch.float64,
        )
    total, count = communicator.sum(sums).tolist()
    return max(total / max(count, 1.0), 1.0)
