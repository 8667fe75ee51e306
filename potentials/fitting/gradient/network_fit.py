"""Training of networks on a descriptor, from a fit problem to a model: cache, train, take the best weights, calibrate.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k N_k(p_i) ]

Every process holds its share of the structures and the same networks. Everything random follows from its seed:
the initial weights of member k from seed + k * `STRIDE`, the order of the structures from seed and epoch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from rhopot.potentials.device import find_device
from rhopot.potentials.fitting.calibration import (
    EnergyCalibration,
    ForceCalibration,
    calibrate_energies,
    calibrate_forces,
)
from rhopot.potentials.fitting.checkpoint import problem_fingerprint
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.gradient.cache import GIB, Cache, Structures, make_cache, structures
from rhopot.potentials.fitting.gradient.checkpoint import TrainingCheckpoint
from rhopot.potentials.fitting.gradient.committee_errors import CommitteeErrors
from rhopot.potentials.fitting.gradient.epochs import training_length
from rhopot.potentials.fitting.gradient.jacobians import OperatorJacobians
from rhopot.potentials.fitting.gradient.log import Log, Row
from rhopot.potentials.fitting.gradient.standardise import energy_scale_and_shift, mean_and_spread
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds, make_stopping_folds
from rhopot.potentials.fitting.gradient.trainer import Trainer
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.metrics import ENERGY, FORCES, error_names
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame

# Between the seeds of two members: committees of neighbouring seeds have no member in common.
STRIDE = 1_000_003
# Lines about the epochs that a training prints, besides its bar.
LINES = 10
# Settings that do not change what comes out.
CIRCUMSTANCES = {"cache_gib", "device", "checkpoint_seconds", "tensorboard"}


@dataclass(frozen=True)
class _Prepared:
    """Networks with their constants in float64, this process's caches and the quantities that are trained.

    judges: of all validation structures; mine: of this process's.
    """

    networks: Networks
    train: Cache
    validation: Cache
    quantities: tuple[str, ...]
    judges: StoppingFolds
    mine: StoppingFolds


def train_networks(problem: FitProblem, network: NetworkSettings, training: TrainingSettings) -> FitResult:
    """Return the networks trained on the problem's data.

    problem.members: 0 for one network, K >= 2 for a committee. The model is in float64; `final` is `model`. The report
    has "validation" (mean absolute errors of the kept weights), "epochs" (a row of numbers each), "best_epoch" of each
    member, "calibration" of the spread, and the settings with the number of epochs that they came to. With a folder,
    checkpoints and epochs.csv are written there.
    """
    if problem.members < 0 or problem.members == 1:
        raise ValueError(f"members must be 0 (one network) or at least 2, got {problem.members}; 4 is customary")
    if problem.refit_on_validation:
        raise ValueError(
            "data.split.refit must be false for networks, got true; the validation part says when they have learnt"
        )
    begin = time.perf_counter()
    log = Log(problem.folder if problem.communicator.rank == 0 else None, training.tensorboard)
    prepared = _prepare(problem, network, training)
    length = training_length(training, [len(frame) for frame in problem.train], problem.seed)
    training = training.model_copy(update={"epochs": length.epochs})
    if problem.communicator.rank == 0:
        problem.progress.message(str(length))
    ready = time.perf_counter()
    trainer = _trainer(problem, training, length.epochs, prepared)
    _run(problem, network, training, trainer, log)
    log.close()
    trainer.use_best()
    validation = trainer.validate().table if len(problem.validation) else {}
    calibration, of_forces = _calibrate(problem, trainer.averaged, prepared)
    networks = _as_trained(prepared.networks, trainer.averaged)
    factor = 1.0 if calibration is None else calibration.factor
    model = NetworkModel(problem.descriptor, networks, problem.baseline, problem.pair, factor)
    report = {
        "regressor": network.model_dump(),
        "training": training.model_dump(),
        "targets": problem.targets.model_dump(),
        "networks": network.describe(problem.descriptor.n_features, len(problem.symbols)),
        "validation": {name: value for name, value in validation.items() if "_mae_" in name},
        "epochs": trainer.history,
        "best_epoch": trainer.best.epoch.tolist(),
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": {"cache": ready - begin, "training": time.perf_counter() - ready},
    }
    return FitResult(model, model, problem.communicator.broadcast(report), of_forces)


def _prepare(problem: FitProblem, network: NetworkSettings, training: TrainingSettings) -> _Prepared:
    """Compute everything that does not depend on the weights."""
    communicator, device = problem.communicator, find_device(training.device, "training.device")
    dtype = torch.float32 if training.dtype == "float32" else torch.float64
    train = _structures(problem, training, "train", problem.train)
    validation = _structures(problem, training, "validation", problem.validation)
    quantities = tuple(
        name
        for name, rows in (("energy", "energy"), ("forces", "forces"), ("stress", "strain"))
        if float(communicator.sum(getattr(train.labels, rows).weight.sum())) > 0.0
    )
    if not quantities:
        raise ValueError(
            "training.loss must weigh a quantity that the training data carry, got weights of zero for all of "
            f"{', '.join(problem.targets.required)}; raise beta, p or stress, or add targets"
        )
    count = max(problem.members, 1)
    seeds = [problem.seed + STRIDE * k for k in range(count)]
    networks = Networks(problem.descriptor.n_features, len(problem.symbols), network, seeds)
    mean, spread = mean_and_spread(train.features, train.species, networks.n_sets, communicator)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, communicator)
    networks.prepare(mean, spread, scale, shift)
    constants = (networks.features_mean, networks.features_rate)
    allowed = training.cache_gib * GIB
    caches: list[Cache] = []
    for data in (train, validation):
        caches.append(make_cache(data, problem.descriptor, constants, quantities, allowed, device, dtype))
        allowed -= caches[-1].nbytes
    _announce(problem, network, caches, device)
    labelled = [bool({"energy", "forces"} & set(problem.targets.sigmas(frame))) for frame in problem.validation]
    judges = make_stopping_folds(problem.validation, np.array(labelled, dtype=bool), problem.members, problem.seed)
    mine = judges.select([k for k, _ in round_robin(problem.validation, communicator)])
    return _Prepared(networks, caches[0], caches[1], quantities, judges, mine)


def _structures(problem: FitProblem, training: TrainingSettings, name: str, frames: Sequence[Frame]) -> Structures:
    """Return this process's share of some frames with edges, features and labels."""
    share = [frame for _, frame in round_robin(frames, problem.communicator)]
    stage = f"features, {name}"
    problem.progress.start(stage, len(share))
    baseline = EnergyBaseline(problem.baseline, problem.pair)
    return structures(
        share,
        problem.descriptor,
        problem.symbols,
        baseline,
        problem.targets,
        training.loss,
        lambda done: problem.progress.advance(stage, done),
    )


def _announce(problem: FitProblem, network: NetworkSettings, caches: Sequence[Cache], device: torch.device) -> None:
    """Say what is trained and where its data are."""
    if problem.communicator.rank != 0:
        return
    n_features = problem.descriptor.n_features
    problem.progress.message(
        f"{max(problem.members, 1)} x {network.describe(n_features, len(problem.symbols))} on {device}"
    )
    mib = sum(cache.nbytes for cache in caches) / 2**20
    streamed = any(isinstance(cache.slopes, OperatorJacobians) for cache in caches)
    more = "; derivatives do not fit into cache_gib and are evaluated in every step" if streamed else ""
    problem.progress.message(f"features and derivatives kept: {mib:.0f} MiB{more}")


def _trainer(problem: FitProblem, training: TrainingSettings, epochs: int, prepared: _Prepared) -> Trainer:
    """Return the trainer of networks that take the standardised features of the caches."""
    features = prepared.train.features
    networks = copy.deepcopy(prepared.networks).to(features.device, features.dtype)
    networks.features_mean.fill_(0.0)
    networks.features_rate.fill_(1.0)
    sizes = [len(frame) for frame in problem.train]
    return Trainer(
        networks,
        prepared.train,
        prepared.validation,
        sizes,
        int((prepared.judges.folds >= 0).sum()),
        prepared.mine,
        training,
        epochs,
        "stress" in prepared.quantities,
        problem.seed,
        problem.communicator,
    )


def _as_trained(initial: Networks, trained: Networks) -> Networks:
    """Return float64 networks that take the descriptor's own features: initial constants, trained weights."""
    networks = copy.deepcopy(trained).to("cpu", torch.float64)
    networks.features_mean.copy_(initial.features_mean)
    networks.features_rate.copy_(initial.features_rate)
    return networks


def _run(problem: FitProblem, network: NetworkSettings, training: TrainingSettings, trainer: Trainer, log: Log) -> None:
    """Train, from the checkpoint where there is one, and leave a checkpoint at the end."""
    rank_0 = problem.communicator.rank == 0
    checkpoint = TrainingCheckpoint(
        problem.folder if rank_0 else None, _mark(problem, network, training), training.checkpoint_seconds
    )
    state = problem.communicator.broadcast(checkpoint.restore() if rank_0 and problem.resume else None)
    if state is not None:
        trainer.load(state)
        if rank_0:
            problem.progress.message(f"resumed after epoch {trainer.epoch}")
    log.restart(trainer.history)
    problem.progress.start("epochs", trainer.n_epochs)

    def after_epoch(row: Row) -> None:
        log.append(row)
        epoch = int(row["epoch"])
        problem.progress.advance("epochs", epoch)
        if rank_0:
            text = _summary(row)
            problem.progress.describe("epochs", text)
            if epoch % max(trainer.n_epochs // LINES, 1) == 0:
                problem.progress.message(f"epoch {epoch}: {text}")
        if checkpoint.due:
            checkpoint.save(trainer.state())

    trainer.run(after_epoch)
    checkpoint.save(trainer.state())


def _summary(row: Row) -> str:
    """Return mean absolute and root mean square errors of an epoch in words."""
    part = "validation" if "validation_loss" in row else "train"
    words = []
    for target, unit in ((ENERGY, "meV/atom"), (FORCES, "meV/A")):
        mae, rmse = (row.get(f"{part}_{name}") for name in error_names(target))
        if mae is not None:
            words.append(f"{target[0]} {mae:.1f} / {rmse:.1f} {unit}")
    return f"{part} MAE / RMSE: " + ", ".join(words)


def _mark(problem: FitProblem, network: NetworkSettings, training: TrainingSettings) -> str:
    """Return the digest of everything the trained weights depend on."""
    texts = [
        network.model_dump_json(),
        training.model_dump_json(exclude=CIRCUMSTANCES),
        repr((problem.members, problem.seed, "members stop on halves")),
    ]
    return problem_fingerprint(problem, [*problem.train, *problem.validation], texts)


def _calibrate(
    problem: FitProblem, networks: Networks, prepared: _Prepared
) -> tuple[EnergyCalibration | None, ForceCalibration | None]:
    """Return the calibrations of energies and of forces by members that have not seen a structure, on every process.

    Factors on forces multiply deviations that carry the factor on energies already, as the model's do.
    """
    if problem.members == 0:
        return None, None
    gathered = problem.communicator.gather(CommitteeErrors.of(networks, prepared.validation, prepared.mine))
    found: tuple[EnergyCalibration | None, ForceCalibration | None] = (None, None)
    if problem.communicator.rank == 0:
        evidence = CommitteeErrors.joined(gathered)
        n_groups = prepared.judges.n_groups
        of_energies = calibrate_energies(evidence.energy_errors, evidence.energy_deviations, n_groups)
        of_forces = calibrate_forces(evidence.forces, problem.symbols, n_groups)
        if of_forces is not None and of_energies is not None:
            factors = {symbol: factor / of_energies.factor for symbol, factor in of_forces.factors.items()}
            of_forces = replace(of_forces, factors=factors)
        found = of_energies, of_forces
        _say_calibration(problem, of_energies)
    both: tuple[EnergyCalibration | None, ForceCalibration | None] = problem.communicator.broadcast(found)
    return both


def _say_calibration(problem: FitProblem, found: EnergyCalibration | None) -> None:
    """Say what the calibration of the predicted uncertainty rests on."""
    if found is None:
        text = "none: fewer than three validation energies, or members that agree"
    else:
        groups = "" if found.n_groups is None else f" of {found.n_groups} groups"
        text = (
            f"{found.n_energies} validation energies{groups}, each by members that were not stopped on it; factor "
            f"{found.factor:.2f}, of it {found.widening:.2f} for their small number"
        )
    problem.progress.message(f"calibration of the predicted uncertainty: {text}")
