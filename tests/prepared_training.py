"""Caches of a few labelled Li-Si structures, and networks that fit them."""

from __future__ import annotations

from dataclasses import replace

import labelled
import torch
from torch import Tensor

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.families.networks.feature_cache import GIB, FeatureBatch, FeatureCache, make_cache, structures
from rhopot.potentials.families.networks.standardise import mean_and_deviation
from rhopot.potentials.families.networks.trainable_networks import NetworksOnFeatures
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.loss import Loss, Predictions
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame

ALL = ("energy", "forces", "stress")
TARGETS = Targets(energy=0.002, forces=0.05, stress=0.01)
CPU = torch.device("cpu")


def mixed_frames() -> list[Frame]:
    """Return periodic structures of different sizes, smaller and larger than the cutoff, one with a held atom."""
    frames = labelled.frames(5, seed=3)
    held = torch.tensor([False, True, False, False]).numpy()
    return [*frames[:2], replace(frames[2], fixed=held), *labelled.frames(2, seed=8)]


def cache(
    frames: list[Frame],
    networks: Networks,
    loss: LossSettings | None = None,
    targets: Targets = TARGETS,
    quantities: tuple[str, ...] = ALL,
    gib: float = 1.0,
    dtype: torch.dtype = torch.float64,
    descriptor: Descriptor | None = None,
) -> FeatureCache:
    """Return the cache of frames for networks whose constants are set to those of the frames."""
    descriptor = descriptor or labelled.FastSpectrum(2, labelled.CUTOFF)
    data = structures(
        frames,
        descriptor,
        labelled.SYMBOLS,
        EnergyBaseline(labelled.BASELINE),
        targets,
        loss or LossSettings(),
        _ignore,
    )
    mean, spread = mean_and_deviation(data.features, data.species, networks.n_sets, SingleProcess())
    networks.prepare(mean, spread, 0.7, 0.1)
    constants = (networks.features_mean.clone(), networks.features_rate.clone())
    return make_cache(data, descriptor, constants, quantities, gib * GIB, CPU, dtype)


def networks(members: int = 2, **changes: object) -> Networks:
    """Return small networks on the descriptor of `cache`."""
    settings = NetworkSettings(**({"hidden": (8, 6)} | changes))
    return Networks(labelled.FastSpectrum(2, labelled.CUTOFF).n_features, 2, settings, list(range(members)))


def on_standardised(networks: Networks) -> Networks:
    """Make the networks take standardised features as they are."""
    networks.features_mean.fill_(0.0)
    networks.features_rate.fill_(1.0)
    return networks


def loss_of(networks: Networks, held: FeatureCache, settings: LossSettings, frames: list[int] | None = None) -> Tensor:
    """Return the members' summed losses (K) with a graph to the parameters."""
    batch = held.batch(list(range(len(held))) if frames is None else frames)
    return Loss(settings)(predict(networks, batch, graph=True), batch.labels)


def predict(networks: Networks, batch: FeatureBatch, graph: bool = False) -> Predictions:
    """Return energies and, where the batch has derivatives, forces and V * stress; with a graph to the parameters."""
    derivatives = batch.jacobian is not None
    with torch.set_grad_enabled(graph):
        return NetworksOnFeatures(networks).predict(batch, derivatives, derivatives)


def _ignore(done: int) -> None:
    pass
