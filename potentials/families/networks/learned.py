"""Training of networks whose features are learned, from a fit problem to a model: graphs, training, baselines added.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k e_k(i) ]

The initial weights of member k follow from seed + k * `STRIDE`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from rhopot.potentials.families.networks.fit import STRIDE
from rhopot.potentials.families.networks.graph_source import GraphModel, GraphSource
from rhopot.potentials.families.networks.standardise import energy_scale_and_shift
from rhopot.potentials.fitting.gradient.fit import Trainable, train_committee
from rhopot.potentials.fitting.gradient.labels import trained_quantities
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.learned_features_model import LearnedFeaturesModel
from rhopot.potentials.structures import Frame

# Networks of these seeds, prepared in float64: from the training structures of this process, and the expected deviation
# and mean (eV) of the energies of atoms.
MakeNetworks = Callable[[Sequence[int], GraphSource, float, float], Any]


class TrainableCommittee(GraphModel):
    """A committee in training; its baseline and calibration take no part."""

    def __init__(self, model: LearnedFeaturesModel) -> None:
        super().__init__()
        self.model = model
        self.model.networks.requires_grad_(True)
        self.n_members = model.committee

    def member(self, graph: AtomicGraph, k: int) -> Tensor:
        """Return the energies (C) in eV of the atoms by member k, without baseline."""
        return self.model.member(graph, k)


def train_learned(
    problem: FitProblem,
    network: BaseModel,
    training: TrainingSettings,
    make: MakeNetworks,
    model: Callable[..., LearnedFeaturesModel],
    shape: str,
) -> FitResult:
    """Return the networks trained on the problem's data, with early stopping on the validation set.

    The model is in float64; `final` is `model`. The report has "regressor" and "networks" (their shape in words) too.

    Args:
        network: settings of the networks.
        make: see `MakeNetworks`.
        model: of the arguments of `LearnedFeaturesModel`.
        shape: what the networks are, in a line.
    """

    def prepare() -> Trainable:
        return _prepare(problem, training, make, model, shape)

    found = train_committee(problem, training, prepare, [network.model_dump_json()])
    assert isinstance(found.model, TrainableCommittee)
    networks: nn.Module = copy.deepcopy(found.model.model.networks).to("cpu", torch.float64)
    factor = 1.0 if found.calibration is None else found.calibration.factor
    made = model(problem.descriptor, networks, problem.baseline, problem.pair, factor)
    report = {"regressor": network.model_dump(), **found.report, "networks": shape}
    return FitResult(made, made, report, found.force_calibration)


def _prepare(
    problem: FitProblem,
    training: TrainingSettings,
    make: MakeNetworks,
    model: Callable[..., LearnedFeaturesModel],
    shape: str,
) -> Trainable:
    dtype = torch.float32 if training.dtype == "float32" else torch.float64

    def source(name: str, frames: Sequence[Frame]) -> GraphSource:
        stage = f"edges, {name}"
        problem.progress.start(stage, len(frames))
        return GraphSource(problem, frames, training.loss, dtype, lambda done: problem.progress.advance(stage, done))

    train, validation = source("train", problem.train), source("validation", problem.validation)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, problem.communicator)
    seeds = [problem.seed + STRIDE * k for k in range(max(problem.members, 1))]
    networks = make(seeds, train, scale, shift)
    if problem.communicator.rank == 0:
        problem.progress.message(f"{len(seeds)} x {shape}")
    bare = model(copy.deepcopy(problem.descriptor), networks, [0.0] * len(problem.symbols))
    quantities = trained_quantities(train.labels, problem.targets, problem.communicator)
    return Trainable(TrainableCommittee(bare).to(dtype), train, validation, quantities)
