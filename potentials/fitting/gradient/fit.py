"""Training of any trainable model on a fit problem: epochs, checkpoints, the best weights, calibration of the members.

Every process holds its share of the structures and the same model. The order of the structures follows from seed and
epoch; whatever else is random is the model's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from rhopot.potentials.fitting.calibration import (
    EnergyCalibration,
    ForceCalibration,
    calibrate_energies,
    calibrate_forces,
)
from rhopot.potentials.fitting.checkpoint import problem_fingerprint
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.gradient.checkpoint import TrainingCheckpoint
from rhopot.potentials.fitting.gradient.committee_errors import CommitteeErrors
from rhopot.potentials.fitting.gradient.epochs import training_length
from rhopot.potentials.fitting.gradient.log import Log, Row
from rhopot.potentials.fitting.gradient.recovery import GROWTH
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds, make_stopping_folds
from rhopot.potentials.fitting.gradient.trainable import BatchSource, TrainableModel
from rhopot.potentials.fitting.gradient.trainer import Trainer
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
from rhopot.potentials.fitting.metrics import ENERGY, FORCES, error_names
from rhopot.potentials.fitting.problem import FitProblem

# Lines about the epochs that a training prints, besides its bar.
LINES = 10
UNITS = ((3600, "h"), (60, "min"), (1, "s"))  # of durations
# Settings that do not change what comes out.
CIRCUMSTANCES = {"cache_gib", "device", "checkpoint_seconds", "tensorboard"}


@dataclass(frozen=True)
class Trainable:
    """A model and this process's structures, ready for the first step.

    quantities: what is trained, of energy, forces, stress (see `labels.trained_quantities`).
    """

    model: TrainableModel
    train: BatchSource
    validation: BatchSource
    quantities: tuple[str, ...]


@dataclass(frozen=True)
class TrainedCommittee:
    """The model with the best weights of every member, in evaluation, and its calibration, on every process.

    report: "training" (settings with the number of epochs that they came to), "targets", "validation" (mean absolute
    errors), "epochs" (a row of numbers each), "best_epoch" of each member, "calibration", "seconds".
    """

    model: TrainableModel
    calibration: EnergyCalibration | None
    force_calibration: ForceCalibration | None
    report: dict[str, Any]


def train_committee(
    problem: FitProblem, training: TrainingSettings, prepare: Callable[[], Trainable], settings: Sequence[str]
) -> TrainedCommittee:
    """Return the model trained on the problem's data.

    problem.members: 0 for one network, K >= 2 for a committee. With a folder, checkpoints and epochs.csv are written
    there. The model of a resumed training is the same to the last bit.

    Args:
        prepare: gives the model and the structures, the same for the same problem.
        settings: texts of everything else that they depend on; a checkpoint of other settings is refused.
    """
    if problem.members < 0 or problem.members == 1:
        raise ValueError(f"members must be 0 (one network) or at least 2, got {problem.members}; 4 is customary")
    if problem.refit_on_validation:
        raise ValueError(
            "data.split.refit must be false for networks, got true; the validation set is for early stopping"
        )
    begin = time.perf_counter()
    log = Log(problem.folder if problem.communicator.rank == 0 else None, training.tensorboard)
    prepared = prepare()
    sizes = [len(frame) for frame in problem.train]
    length = training_length(training, sizes, problem.seed)
    training = training.model_copy(update={"epochs": length.epochs})
    if problem.communicator.rank == 0:
        problem.progress.message(str(length))
    ready = time.perf_counter()
    folds, own_folds = _folds(problem)
    trainer = Trainer(
        prepared.model,
        prepared.train,
        prepared.validation,
        sizes,
        int((folds.folds >= 0).sum()),
        own_folds,
        training,
        length.epochs,
        prepared.quantities,
        problem.seed,
        problem.communicator,
    )
    _run(problem, training, trainer, log, _mark(problem, training, settings))
    log.close()
    trainer.use_best()
    validation = trainer.validate().table if len(problem.validation) else {}
    calibration, of_forces = _calibrate(problem, trainer.averaged, prepared, own_folds)
    report = {
        "training": training.model_dump(),
        "targets": problem.targets.model_dump(),
        "validation": {name: value for name, value in validation.items() if "_mae_" in name},
        "epochs": trainer.history,
        "best_epoch": trainer.best.epoch.tolist(),
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": {"cache": ready - begin, "training": time.perf_counter() - ready},
    }
    return TrainedCommittee(trainer.averaged, calibration, of_forces, problem.communicator.broadcast(report))


def _folds(problem: FitProblem) -> tuple[StoppingFolds, StoppingFolds]:
    """Return the stopping folds of all validation structures, and of this process's."""
    labelled = [bool({"energy", "forces"} & set(problem.targets.sigmas(frame))) for frame in problem.validation]
    folds = make_stopping_folds(problem.validation, np.array(labelled, dtype=bool), problem.members, problem.seed)
    return folds, folds.select([k for k, _ in round_robin(problem.validation, problem.communicator)])


def _run(problem: FitProblem, training: TrainingSettings, trainer: Trainer, log: Log, mark: str) -> None:
    """Train, from the checkpoint where there is one, and leave a checkpoint at the end."""
    rank_0 = problem.communicator.rank == 0
    checkpoint = TrainingCheckpoint(problem.folder if rank_0 else None, mark, training.checkpoint_seconds)
    state = problem.communicator.broadcast(checkpoint.restore() if rank_0 and problem.resume else None)
    if state is not None:
        trainer.load(state)
        if rank_0:
            problem.progress.message(f"resumed after epoch {trainer.epoch}")
    log.restart(trainer.history)
    problem.progress.start("epochs", trainer.n_epochs)
    begin, first = time.perf_counter(), trainer.epoch + 1

    def after_epoch(row: Row) -> None:
        log.append(row)
        epoch = int(row["epoch"])
        problem.progress.advance("epochs", epoch)
        if rank_0:
            text = _summary(row)
            problem.progress.describe("epochs", text)
            if epoch == first and epoch < trainer.n_epochs:
                problem.progress.message(_expected(time.perf_counter() - begin, epoch, trainer.n_epochs))
            if back := int(row["members_taken_back"]):
                problem.progress.message(
                    f"epoch {epoch}: the loss of {back} network(s) grew more than {GROWTH:g} times; back to the last "
                    "sound epoch, with half the learning rate"
                )
            if epoch < trainer.n_epochs and trainer.finished:
                problem.progress.message(f"epoch {epoch}: every network has stopped; the best weights of each are kept")
            if epoch % max(trainer.n_epochs // LINES, 1) == 0:
                problem.progress.message(f"epoch {epoch}: {text}")
        if checkpoint.due:
            checkpoint.save(trainer.state())

    trainer.run(after_epoch)
    checkpoint.save(trainer.state())


def _expected(seconds: float, epoch: int, n_epochs: int) -> str:
    """Return how long the rest of a training will take, from the time of one epoch."""
    left = n_epochs - epoch
    size, unit = next((size, unit) for size, unit in UNITS if seconds * left >= 2 * size or size == 1)
    duration = seconds * left / size
    return f"epoch {epoch} took {seconds:.2g} s; the {left} to come take about {duration:.{int(duration < 10)}f} {unit}"


def _summary(row: Row) -> str:
    """Return mean absolute and root mean square errors of an epoch in words."""
    part = "validation" if "validation_loss" in row else "train"
    words = []
    for target, unit in ((ENERGY, "meV/atom"), (FORCES, "meV/A")):
        mae, rmse = (row.get(f"{part}_{name}") for name in error_names(target))
        if mae is not None:
            words.append(f"{target[0]} {mae:.1f} / {rmse:.1f} {unit}")
    return f"{part} MAE / RMSE: " + ", ".join(words)


def _mark(problem: FitProblem, training: TrainingSettings, settings: Sequence[str]) -> str:
    """Return the digest of everything the trained weights depend on."""
    texts = [
        *settings,
        training.model_dump_json(exclude=CIRCUMSTANCES),
        repr((problem.members, problem.seed, "members stop on halves, and go back")),
    ]
    return problem_fingerprint(problem, [*problem.train, *problem.validation], texts)


def _calibrate(
    problem: FitProblem, model: TrainableModel, prepared: Trainable, own_folds: StoppingFolds
) -> tuple[EnergyCalibration | None, ForceCalibration | None]:
    """Return the calibrations of energies and of forces by members that have not seen a structure, on every process.

    Factors on forces multiply deviations that carry the factor on energies already, as the model's do.
    """
    if problem.members == 0:
        return None, None
    gathered = problem.communicator.gather(
        CommitteeErrors.of(model, prepared.validation, own_folds, bool(set(prepared.quantities) - {"energy"}))
    )
    found: tuple[EnergyCalibration | None, ForceCalibration | None] = (None, None)
    if problem.communicator.rank == 0:
        evidence = CommitteeErrors.joined(gathered)
        n_groups = own_folds.n_groups
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
