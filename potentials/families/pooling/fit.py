"""Training of pooling networks, from a fit problem to a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.families.angular.fit import mean_neighbours
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.networks.fit import STRIDE
from rhopot.potentials.families.networks.jacobians import sums_of_images
from rhopot.potentials.families.networks.standardise import energy_scale_and_shift
from rhopot.potentials.families.pooling.molecules import MoleculeBatch, MoleculeModel, MoleculeSource
from rhopot.potentials.fitting.gradient.fit import Trainable, train_committee
from rhopot.potentials.fitting.gradient.labels import trained_quantities
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.pooling.network import PoolingNetworks
from rhopot.potentials.models.pooling.pooling_model import PoolingModel
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings, most_nodes
from rhopot.potentials.structures import Frame


class TrainablePooling(MoleculeModel):
    """Pooling networks in training."""

    def __init__(self, basis: AngularBasis, networks: PoolingNetworks, settings: PoolingNetworkSettings) -> None:
        super().__init__()
        self.basis, self.networks, self.n_members = basis, networks, networks.n_members
        self._weights = (settings.link, settings.entropy)

    def member(
        self, batch: MoleculeBatch, graph: AtomicGraph, positions: Tensor, k: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return energies (n) in eV without baseline and, in training, the weighted penalties of assignments."""
        # Once more, for the derivatives: a molecule that moves as a whole feels no force.
        n_atoms, image = batch.n_atoms, batch.image
        center = sums_of_images(positions.unsqueeze(0), image, len(n_atoms))[0] / n_atoms.unsqueeze(1)
        positions = positions - center.index_select(0, image)
        penalized = self.training and any(self._weights) and len(self.networks.levels) > 0
        energy, penalties = self.networks.member(
            positions, image, n_atoms, *self.basis.edges(graph.edge_vectors), graph, penalized, k
        )
        return energy, penalties @ penalties.new_tensor(self._weights) if penalized else None


def fit_pooling(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Train pooling networks, with early stopping on the validation set; the model is in float64.

    Raises:
        ValueError: structures with periodic boundaries.
    """
    network: PoolingNetworkSettings = settings.regressor
    training: TrainingSettings = settings.training
    basis = problem.descriptor
    assert isinstance(basis, AngularBasis)

    def prepare() -> Trainable:
        return _prepare(problem, basis, network, training)

    found = train_committee(problem, training, prepare, [network.model_dump_json()])
    assert isinstance(found.model, TrainablePooling)
    networks = copy.deepcopy(found.model.networks).to("cpu", torch.float64)
    factor = 1.0 if found.calibration is None else found.calibration.factor
    model = PoolingModel(basis, networks, problem.baseline, problem.pair, factor)
    report = {
        "regressor": network.model_dump(mode="json"),
        **found.report,
        "networks": _shape(problem, network, networks),
    }
    return FitResult(model, model, report, found.force_calibration)


def _prepare(
    problem: FitProblem, basis: AngularBasis, network: PoolingNetworkSettings, training: TrainingSettings
) -> Trainable:
    dtype = torch.float32 if training.dtype == "float32" else torch.float64
    communicator = problem.communicator

    def source(name: str, frames: Sequence[Frame]) -> MoleculeSource:
        stage = f"edges, {name}"
        problem.progress.start(stage, len(frames))
        return MoleculeSource(problem, frames, training.loss, dtype, lambda done: problem.progress.advance(stage, done))

    train, validation = source("train", problem.train), source("validation", problem.validation)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, communicator)
    seeds = [problem.seed + STRIDE * k for k in range(max(problem.members, 1))]
    networks = PoolingNetworks(basis, network, _largest(problem), seeds)
    weights = [_weight_of_nodes(problem.train, fraction) for fraction in network.nodes]
    networks.prepare(mean_neighbours(basis, train, communicator), weights, scale, shift)
    if communicator.rank == 0:
        problem.progress.message(f"{len(seeds)} x {_shape(problem, network, networks)}")
    model = TrainablePooling(copy.deepcopy(basis), networks, network).to(dtype)
    return Trainable(model, train, validation, trained_quantities(train.labels, problem.targets, communicator))


def _shape(problem: FitProblem, settings: PoolingNetworkSettings, networks: PoolingNetworks) -> str:
    """Return the networks in words."""
    number = sum(parameter.numel() for parameter in networks.parameters()) // networks.n_members
    return settings.describe_pooling(_largest(problem), number)


def _largest(problem: FitProblem) -> int:
    """Return the number of atoms of the largest structure, which the numbers of nodes follow from."""
    return max(len(frame) for frame in problem.train)


def _weight_of_nodes(frames: Sequence[Frame], fraction: float) -> float:
    """Return the mean sum of weights (see `models.pooling.network`) over the other nodes of a node, for atoms evenly
    distributed over near nodes; at least that of two nodes of an atom each."""
    total, number = 0.0, 0
    for frame in frames:
        n_nodes = most_nodes(fraction, len(frame))
        q = len(frame) / (len(frame) + n_nodes)
        total, number = total + n_nodes * (n_nodes - 1) * q * q, number + n_nodes
    return max(total / number, 0.25)
