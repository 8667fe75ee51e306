"""Training of angular networks, from a fit problem to a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.networks.graph_source import GraphModel, GraphSource
from rhopot.potentials.families.networks.standardise import energy_scale_and_shift
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.gradient.fit import Trainable, train_committee
from rhopot.potentials.fitting.gradient.labels import trained_quantities
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.angular.angular_model import AngularModel
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.angular.settings import AngularNetworkSettings
from rhopot.potentials.structures import Frame

STRIDE = 1_000_003  # between the seeds of two members


class TrainableAngular(GraphModel):
    """Angular networks in training."""

    def __init__(self, basis: AngularBasis, networks: AngularNetworks) -> None:
        super().__init__()
        self.basis, self.networks, self.n_members = basis, networks, networks.n_members

    def energies(self, graph: AtomicGraph) -> Tensor:
        """Return the energies (K, C) in eV of the atoms, without baseline."""
        found: Tensor = self.networks(*self.basis.edges(graph.edge_vectors), graph)
        return found


def fit_angular(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Train angular networks, with early stopping on the validation set; the model is in float64."""
    network: AngularNetworkSettings = settings.regressor
    training: TrainingSettings = settings.training
    basis = problem.descriptor
    assert isinstance(basis, AngularBasis)

    def prepare() -> Trainable:
        return _prepare(problem, basis, network, training)

    found = train_committee(problem, training, prepare, [network.model_dump_json()])
    assert isinstance(found.model, TrainableAngular)
    networks = copy.deepcopy(found.model.networks).to("cpu", torch.float64)
    factor = 1.0 if found.calibration is None else found.calibration.factor
    model = AngularModel(basis, networks, problem.baseline, problem.pair, factor)
    shape = network.describe(basis.settings.n_radial, basis.settings.n_angular)
    report = {"regressor": network.model_dump(), **found.report, "networks": shape}
    return FitResult(model, model, report, found.force_calibration)


def _prepare(
    problem: FitProblem, basis: AngularBasis, network: AngularNetworkSettings, training: TrainingSettings
) -> Trainable:
    dtype = torch.float32 if training.dtype == "float32" else torch.float64
    communicator = problem.communicator

    def source(name: str, frames: Sequence[Frame]) -> GraphSource:
        stage = f"edges, {name}"
        problem.progress.start(stage, len(frames))
        return GraphSource(problem, frames, training.loss, dtype, lambda done: problem.progress.advance(stage, done))

    train, validation = source("train", problem.train), source("validation", problem.validation)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, communicator)
    seeds = [problem.seed + STRIDE * k for k in range(max(problem.members, 1))]
    networks = AngularNetworks(basis, network, seeds)
    networks.prepare(mean_neighbours(basis, train, communicator), scale, shift)
    if communicator.rank == 0:
        shape = network.describe(basis.settings.n_radial, basis.settings.n_angular)
        problem.progress.message(f"{len(seeds)} x {shape}")
    model = TrainableAngular(copy.deepcopy(basis), networks).to(dtype)
    return Trainable(model, train, validation, trained_quantities(train.labels, problem.targets, communicator))


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
