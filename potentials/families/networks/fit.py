"""Training of networks on a descriptor, from a fit problem to a model: features, training, folded networks.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k N_k(p_i) ]

The initial weights of member k follow from seed + k * `STRIDE`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from rhopot.potentials.device import find_device
from rhopot.potentials.families.networks.feature_cache import (
    GIB,
    KEPT_BYTES,
    FeatureCache,
    Structures,
    make_cache,
    structures,
)
from rhopot.potentials.families.networks.jacobians import OperatorJacobians
from rhopot.potentials.families.networks.standardise import energy_scale_and_shift, mean_and_deviation
from rhopot.potentials.families.networks.trainable_networks import NetworksOnFeatures
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.gradient.fit import Trainable, train_committee
from rhopot.potentials.fitting.gradient.labels import trained_quantities, weighs_derivatives
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame

# Between the seeds of two members: committees of neighbouring seeds have no member in common.
STRIDE = 1_000_003


def train_networks(problem: FitProblem, network: NetworkSettings, training: TrainingSettings) -> FitResult:
    """Return the networks trained on the problem's data; see `train_committee`.

    The model is in float64; `final` is `model`. The report has "regressor" and "networks" (their shape in words) too.
    """
    networks: list[Networks] = []

    def prepare() -> Trainable:
        made, trainable = _prepare(problem, network, training)
        networks.append(made)
        return trainable

    found = train_committee(problem, training, prepare, [network.model_dump_json()])
    assert isinstance(found.model, NetworksOnFeatures)
    trained = _as_trained(networks[0], found.model.networks)
    factor = 1.0 if found.calibration is None else found.calibration.factor
    model = NetworkModel(problem.descriptor, trained, problem.baseline, problem.pair, factor)
    shape = network.describe(problem.descriptor.n_features, len(problem.symbols))
    report = {"regressor": network.model_dump(), **found.report, "networks": shape}
    return FitResult(model, model, report, found.force_calibration)


def _prepare(problem: FitProblem, network: NetworkSettings, training: TrainingSettings) -> tuple[Networks, Trainable]:
    """Compute everything that does not depend on the weights: initial networks in float64, and what is trained."""
    communicator, device = problem.communicator, find_device(training.device, "training.device")
    dtype = torch.float32 if training.dtype == "float32" else torch.float64
    allowed = training.cache_gib * GIB
    train = _structures(problem, training, "train", problem.train, min(allowed, KEPT_BYTES))
    kept = sum(part.nbytes for parts in train.jacobians.values() for part in parts)
    validation = _structures(problem, training, "validation", problem.validation, min(allowed, KEPT_BYTES) - kept)
    quantities = trained_quantities(train.labels, problem.targets, communicator)
    seeds = [problem.seed + STRIDE * k for k in range(max(problem.members, 1))]
    networks = Networks(problem.descriptor.n_features, len(problem.symbols), network, seeds)
    mean, deviation = mean_and_deviation(train.features, train.species, networks.n_sets, communicator)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, communicator)
    networks.prepare(mean, deviation, scale, shift)
    constants = (networks.features_mean, networks.features_rate)
    caches: list[FeatureCache] = []
    for data in (train, validation):
        caches.append(make_cache(data, problem.descriptor, constants, quantities, allowed, device, dtype))
        allowed -= caches[-1].nbytes
    _announce(problem, network, caches, device)
    return networks, Trainable(_on_standardised(networks, device, dtype), caches[0], caches[1], quantities)


def _structures(
    problem: FitProblem, training: TrainingSettings, name: str, frames: Sequence[Frame], kept_bytes: float
) -> Structures:
    """Return this process's share of some frames with edges, features and labels."""
    share = [frame for _, frame in round_robin(frames, problem.communicator)]
    stage = f"features, {name}"
    problem.progress.start(stage, len(share))
    return structures(
        share,
        problem.descriptor,
        problem.symbols,
        EnergyBaseline(problem.baseline, problem.pair),
        problem.targets,
        training.loss,
        lambda done: problem.progress.advance(stage, done),
        problem.search,
        kept_bytes if weighs_derivatives(problem.train, problem.targets, training.loss) else 0.0,
    )


def _announce(
    problem: FitProblem, network: NetworkSettings, caches: Sequence[FeatureCache], device: torch.device
) -> None:
    """Report the networks, their device and the memory of their features."""
    if problem.communicator.rank != 0:
        return
    n_features = problem.descriptor.n_features
    problem.progress.message(
        f"{max(problem.members, 1)} x {network.describe(n_features, len(problem.symbols))} on {device}"
    )
    mib = sum(cache.nbytes for cache in caches) / 2**20
    streamed = any(isinstance(cache.jacobians, OperatorJacobians) for cache in caches)
    more = "; derivatives do not fit into cache_gib and are evaluated in every step" if streamed else ""
    problem.progress.message(f"features and derivatives kept: {mib:.0f} MiB{more}")


def _on_standardised(networks: Networks, device: torch.device, dtype: torch.dtype) -> NetworksOnFeatures:
    """Return a copy of the networks that takes the standardised features of the caches."""
    networks = copy.deepcopy(networks).to(device, dtype)
    networks.features_mean.fill_(0.0)
    networks.features_rate.fill_(1.0)
    return NetworksOnFeatures(networks)


def _as_trained(initial: Networks, trained: Networks) -> Networks:
    """Return float64 networks that take the descriptor's own features: initial constants, trained weights."""
    networks = copy.deepcopy(trained).to("cpu", torch.float64)
    networks.features_mean.copy_(initial.features_mean)
    networks.features_rate.copy_(initial.features_rate)
    return networks
