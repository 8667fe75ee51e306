"""Training of networks of point scattering, from a fit problem to a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rhopot.potentials.descriptors.point_scattering import PointWavelets
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.networks.graph_source import GraphSource
from rhopot.potentials.families.networks.learned import train_learned
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.point_scattering.network import PointScatteringNetworks
from rhopot.potentials.models.point_scattering.point_scattering_model import PointScatteringModel
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings

# Training atoms, about, from which the constants of features are taken.
MOST_ATOMS = 20_000


def fit_point_scattering(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Train networks of point scattering, with early stopping on the validation set; the model is in float64."""
    network: PointScatteringNetworkSettings = settings.regressor
    wavelets = problem.descriptor
    assert isinstance(wavelets, PointWavelets)

    def make(seeds: Sequence[int], train: GraphSource, scale: float, shift: float) -> PointScatteringNetworks:
        networks = PointScatteringNetworks(wavelets, network, seeds)
        networks.prepare(wavelets, list(_some_graphs(problem, train)), problem.communicator.sum, scale, shift)
        return networks

    shape = network.describe(len(wavelets.settings.wavelets), wavelets.l_max + 1)
    return train_learned(problem, network, settings.training, make, PointScatteringModel, shape)


def _some_graphs(problem: FitProblem, train: GraphSource) -> Iterator[AtomicGraph]:
    """This process's share of some training structures, evenly chosen, in float64."""
    step = max(1, sum(len(frame) for frame in problem.train) // MOST_ATOMS)
    communicator = problem.communicator
    for k in range(len(train.n_atoms)):
        if (k * communicator.size + communicator.rank) % step == 0:
            graph = train.batch([k]).graph
            yield with_vectors(graph, graph.edge_vectors.double())
