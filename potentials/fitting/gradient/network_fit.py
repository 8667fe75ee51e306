"""Training of networks on a descriptor, from a task to a model: cache, train, take the best weights, calibrate.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k N_k(p_i) ]

Every process holds its share of the structures and the same networks. Everything random follows from the task's seed:
the initial weights of member k from seed + k * `STRIDE`, the order of the structures from seed and epoch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from rhopot.potentials.device import find_device
from rhopot.potentials.fitting.calibration import (
    ForceCalibration,
    SpreadCalibration,
    calibrate_forces,
    calibrate_spread,
)
from rhopot.potentials.fitting.checkpoint import fingerprint
from rhopot.potentials.fitting.communicator import deal
from rhopot.potentials.fitting.gradient.cache import GIB, Cache, Structures, make_cache, structures
from rhopot.potentials.fitting.gradient.checkpoint import TrainingCheckpoint
from rhopot.potentials.fitting.gradient.epochs import length_of
from rhopot.potentials.fitting.gradient.evidence import Evidence
from rhopot.potentials.fitting.gradient.jacobians import OperatorSlopes
from rhopot.potentials.fitting.gradient.judges import Judges, divide
from rhopot.potentials.fitting.gradient.log import Log, Row
from rhopot.potentials.fitting.gradient.standardise import energy_scale_and_shift, mean_and_spread
from rhopot.potentials.fitting.gradient.trainer import Trainer
from rhopot.potentials.fitting.gradient.training_settings import TrainingHypers
from rhopot.potentials.fitting.problem import FitResult, FitTask
from rhopot.potentials.models.baseline import Baseline
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkHypers
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
    judges: Judges
    mine: Judges


def train_networks(task: FitTask, network: NetworkHypers, training: TrainingHypers) -> FitResult:
    """Return the networks trained on the task's data.

    task.members: 0 for one network, K >= 2 for a committee. The model is in float64; `final` is `model`. The report has
    "validation" (mean absolute errors of the kept weights), "epochs" (a row of numbers for each), "best_epoch" of each
    member, "calibration" of the spread, and the settings with the number of epochs that they came to. With a folder,
    checkpoints and epochs.csv are written there.
    """
    if task.members < 0 or task.members == 1:
        raise ValueError(f"members must be 0 (one network) or at least 2, got {task.members}; 4 is customary")
    if task.absorb:
        raise ValueError(
            "data.split.refit must be false for networks, got true; the validation part says when they have learnt"
        )
    begin = time.perf_counter()
    log = Log(task.folder if task.ranks.rank == 0 else None, training.tensorboard)
    prepared = _prepare(task, network, training)
    length = length_of(training, [len(frame) for frame in task.train], task.seed)
    training = training.model_copy(update={"epochs": length.epochs})
    if task.ranks.rank == 0:
        task.progress.message(str(length))
    ready = time.perf_counter()
    trainer = _trainer(task, training, length.epochs, prepared)
    _run(task, network, training, trainer, log)
    log.close()
    trainer.use_best()
    validation = trainer.validate().table if len(task.validation) else {}
    calibration, of_forces = _calibrate(task, trainer.averaged, prepared)
    networks = _as_trained(prepared.networks, trainer.averaged)
    factor = 1.0 if calibration is None else calibration.factor
    model = NetworkModel(task.descriptor, networks, task.baseline, task.pair, factor)
    report = {
        "regressor": network.model_dump(),
        "training": training.model_dump(),
        "targets": task.targets.model_dump(),
        "networks": network.describe(task.descriptor.n_features, len(task.symbols)),
        "validation": {name: value for name, value in validation.items() if "_mae_" in name},
        "epochs": trainer.history,
        "best_epoch": trainer.best.epoch.tolist(),
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": {"cache": ready - begin, "training": time.perf_counter() - ready},
    }
    return FitResult(model, model, task.ranks.broadcast(report), of_forces)


def _prepare(task: FitTask, network: NetworkHypers, training: TrainingHypers) -> _Prepared:
    """Compute everything that does not depend on the weights."""
    ranks, device = task.ranks, find_device(training.device, "training.device")
    dtype = torch.float32 if training.dtype == "float32" else torch.float64
    train = _structures(task, training, "train", task.train)
    validation = _structures(task, training, "validation", task.validation)
    quantities = tuple(
        name
        for name, rows in (("energy", "energy"), ("forces", "forces"), ("stress", "strain"))
        if float(ranks.sum(getattr(train.labels, rows).weight.sum())) > 0.0
    )
    if not quantities:
        raise ValueError(
            "training.loss must weigh a quantity that the training data carry, got weights of zero for all of "
            f"{', '.join(task.targets.required)}; raise beta, p or stress, or add targets"
        )
    count = max(task.members, 1)
    seeds = [task.seed + STRIDE * k for k in range(count)]
    networks = Networks(task.descriptor.n_features, len(task.symbols), network, seeds)
    mean, spread = mean_and_spread(train.features, train.species, networks.n_sets, ranks)
    scale, shift = energy_scale_and_shift(train.labels, train.n_atoms, ranks)
    networks.prepare(mean, spread, scale, shift)
    constants = (networks.features_mean, networks.features_rate)
    allowed = training.cache_gib * GIB
    caches: list[Cache] = []
    for data in (train, validation):
        caches.append(make_cache(data, task.descriptor, constants, quantities, allowed, device, dtype))
        allowed -= caches[-1].nbytes
    _announce(task, network, caches, device)
    labelled = [bool({"energy", "forces"} & set(task.targets.sigmas(frame))) for frame in task.validation]
    judges = divide(task.validation, np.array(labelled, dtype=bool), task.members, task.seed)
    mine = judges.select([k for k, _ in deal(task.validation, ranks)])
    return _Prepared(networks, caches[0], caches[1], quantities, judges, mine)


def _structures(task: FitTask, training: TrainingHypers, name: str, frames: Sequence[Frame]) -> Structures:
    """Return this process's share of some frames with edges, features and labels."""
    share = [frame for _, frame in deal(frames, task.ranks)]
    stage = f"features, {name}"
    task.progress.start(stage, len(share))
    baseline = Baseline(task.baseline, task.pair)
    return structures(
        share,
        task.descriptor,
        task.symbols,
        baseline,
        task.targets,
        training.loss,
        lambda done: task.progress.advance(stage, done),
    )


def _announce(task: FitTask, network: NetworkHypers, caches: Sequence[Cache], device: torch.device) -> None:
    """Say what is trained and where its data are."""
    if task.ranks.rank != 0:
        return
    n_features = task.descriptor.n_features
    task.progress.message(f"{max(task.members, 1)} x {network.describe(n_features, len(task.symbols))} on {device}")
    mib = sum(cache.nbytes for cache in caches) / 2**20
    streamed = any(isinstance(cache.slopes, OperatorSlopes) for cache in caches)
    more = "; derivatives do not fit into cache_gib and are evaluated in every step" if streamed else ""
    task.progress.message(f"features and derivatives kept: {mib:.0f} MiB{more}")


def _trainer(task: FitTask, training: TrainingHypers, epochs: int, prepared: _Prepared) -> Trainer:
    """Return the trainer of networks that take the standardised features of the caches."""
    features = prepared.train.features
    networks = copy.deepcopy(prepared.networks).to(features.device, features.dtype)
    networks.features_mean.fill_(0.0)
    networks.features_rate.fill_(1.0)
    sizes = [len(frame) for frame in task.train]
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
        task.seed,
        task.ranks,
    )


def _as_trained(initial: Networks, trained: Networks) -> Networks:
    """Return float64 networks that take the descriptor's own features: initial constants, trained weights."""
    networks = copy.deepcopy(trained).to("cpu", torch.float64)
    networks.features_mean.copy_(initial.features_mean)
    networks.features_rate.copy_(initial.features_rate)
    return networks


def _run(task: FitTask, network: NetworkHypers, training: TrainingHypers, trainer: Trainer, log: Log) -> None:
    """Train, from the checkpoint where there is one, and leave a checkpoint at the end."""
    rank_0 = task.ranks.rank == 0
    checkpoint = TrainingCheckpoint(
        task.folder if rank_0 else None, _mark(task, network, training), training.checkpoint_seconds
    )
    state = task.ranks.broadcast(checkpoint.restore() if rank_0 and task.resume else None)
    if state is not None:
        trainer.load(state)
        if rank_0:
            task.progress.message(f"resumed after epoch {trainer.epoch}")
    log.restart(trainer.history)
    task.progress.start("epochs", trainer.n_epochs)

    def after_epoch(row: Row) -> None:
        log.append(row)
        epoch = int(row["epoch"])
        task.progress.advance("epochs", epoch)
        if rank_0:
            text = _summary(row)
            task.progress.describe("epochs", text)
            if epoch % max(trainer.n_epochs // LINES, 1) == 0:
                task.progress.message(f"epoch {epoch}: {text}")
        if checkpoint.due:
            checkpoint.save(trainer.state())

    trainer.run(after_epoch)
    checkpoint.save(trainer.state())


def _summary(row: Row) -> str:
    """Return mean absolute and root mean square errors of an epoch in words."""
    part = "validation" if "validation_loss" in row else "train"
    words = []
    for name, key, unit in (("energy", "mev_per_atom", "meV/atom"), ("forces", "mev_per_angstrom", "meV/A")):
        if f"{part}_{name}_mae_{key}" in row:
            mae, rmse = (row[f"{part}_{name}_{kind}_{key}"] for kind in ("mae", "rmse"))
            words.append(f"{name} {mae:.1f} / {rmse:.1f} {unit}")
    return f"{part} MAE / RMSE: " + ", ".join(words)


def _mark(task: FitTask, network: NetworkHypers, training: TrainingHypers) -> str:
    """Return the digest of everything the trained weights depend on."""
    arrays: list[Any] = [value.numpy() for value in task.descriptor.state_dict().values()]
    if task.pair is not None:
        arrays += [value.numpy() for value in task.pair.state_dict().values()]
    texts = [
        network.model_dump_json(),
        training.model_dump_json(exclude=CIRCUMSTANCES),
        task.targets.model_dump_json(),
        repr([float(e) for e in task.baseline]),
        repr((task.members, task.seed, "members stop on halves")),
    ]
    return fingerprint([*task.train, *task.validation], arrays, [*texts, *task.symbols])


def _calibrate(
    task: FitTask, networks: Networks, prepared: _Prepared
) -> tuple[SpreadCalibration | None, ForceCalibration | None]:
    """Return the calibrations of energies and of forces by members that have not seen a structure, on every process.

    Factors on forces multiply deviations that carry the factor on energies already, as the model's do.
    """
    if task.members == 0:
        return None, None
    gathered = task.ranks.gather(Evidence.of(networks, prepared.validation, prepared.mine))
    found: tuple[SpreadCalibration | None, ForceCalibration | None] = (None, None)
    if task.ranks.rank == 0:
        evidence = Evidence.joined(gathered)
        n_groups = prepared.judges.n_groups
        of_energies = calibrate_spread(evidence.energy_errors, evidence.energy_deviations, n_groups)
        of_forces = calibrate_forces(evidence.forces, task.symbols, n_groups)
        if of_forces is not None and of_energies is not None:
            factors = {symbol: factor / of_energies.factor for symbol, factor in of_forces.factors.items()}
            of_forces = replace(of_forces, factors=factors)
        found = of_energies, of_forces
        _say_calibration(task, of_energies)
    both: tuple[SpreadCalibration | None, ForceCalibration | None] = task.ranks.broadcast(found)
    return both


def _say_calibration(task: FitTask, found: SpreadCalibration | None) -> None:
    """Say what the calibration of the predicted uncertainty rests on."""
    if found is None:
        text = "none: fewer than three validation energies, or members that agree"
    else:
        groups = "" if found.n_groups is None else f" of {found.n_groups} groups"
        text = (
            f"{found.n_energies} validation energies{groups}, each by members that were not stopped on it; factor "
            f"{found.factor:.2f}, of it {found.widening:.2f} for their small number"
        )
    task.progress.message(f"calibration of the predicted uncertainty: {text}")
