"""The training loop: epochs of steps, the average of the weights, validation, and the best weights of each member.

A step takes a minibatch of structures distributed over the processes, forms the members' losses side by side,
sums the gradients over the processes, clips them member by member and makes one step of Adam. The members see the same
batches and share nothing else: the gradient of the sum of their losses is each member's own. A member whose loss
explodes goes back to the last sound epoch (`recovery`).

The averages of the weights over the steps are validated and kept; constants that follow from the training
data and the weights (batch statistics) are brought up to date before (`TrainableModel.settle`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.gradient.batches import epoch_batches, own_share
from rhopot.potentials.fitting.gradient.errors import Errors, ErrorSums, errors
from rhopot.potentials.fitting.gradient.log import Row
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.gradient.optimise import Adam, Average, Clipping
from rhopot.potentials.fitting.gradient.recovery import Recovery
from rhopot.potentials.fitting.gradient.schedule import Plateau, rate_factor
from rhopot.potentials.fitting.gradient.stopping import BestWeights
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds
from rhopot.potentials.fitting.gradient.synchronise import differentiable_sum, summed
from rhopot.potentials.fitting.gradient.trainable import BatchSource, TrainableModel, device_of
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings


class Trainer:
    """A model in training.

    Args:
        model: initial, in the dtype and on the device of the sources.
        train, validation: this process's structures.
        sizes: atoms of every training structure, over all processes in the order of the data.
        n_validation: validation structures over all processes.
        folds: which of this process's validation structures stop which member.
        settings: settings.
        n_epochs: how many there will be, if no member stops.
        quantities: what is trained, of energy, forces, stress.
        seed: of the order of the structures.
        communicator: the processes.

    Attributes:
        averaged: the model with the average of the weights, in evaluation.
        n_epochs: as given; epoch: epochs done; history: a row of numbers for each (see `log`).
    """

    def __init__(
        self,
        model: TrainableModel,
        train: BatchSource,
        validation: BatchSource,
        sizes: Sequence[int],
        n_validation: int,
        folds: StoppingFolds,
        settings: TrainingSettings,
        n_epochs: int,
        quantities: Sequence[str],
        seed: int,
        communicator: Communicator,
    ) -> None:
        self.model = model.train()
        self._train, self._validation = train, validation
        self._sizes, self._n_validation, self._folds = sizes, n_validation, folds
        self._settings, self._seed, self._communicator = settings, seed, communicator
        self._loss = Loss(settings.loss)
        self._strain = "stress" in quantities
        self._forces = self._strain or "forces" in quantities
        model.start(train, self._forces, differentiable_sum(communicator))
        self.averaged = copy.deepcopy(model).eval().requires_grad_(False)
        self._parameters = list(model.parameters())
        self._average = Average(list(self.averaged.parameters()), settings.ema)
        self._adam = Adam(self._parameters, settings.weight_decay, settings.optimiser == "adamw")
        self._clipping = Clipping(settings.clip, model.n_members, device_of(train))
        self._plateau = Plateau(settings.schedule, model.n_members)
        changed = [*self._parameters, *self._adam.first, *self._adam.second, *self.averaged.parameters()]
        self._recovery = Recovery([*changed, self._clipping.mean], model.n_members)
        self.best = BestWeights(self._parameters, model.n_members, settings.patience)
        self.n_epochs = n_epochs
        self.epoch = 0
        self.history: list[Row] = []
        self._begin = time.perf_counter()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or every member has stopped."""
        return self.epoch >= self.n_epochs or self.best.finished

    def run(self, after_epoch: Callable[[Row], None]) -> None:
        """Train to the end; `after_epoch` takes each epoch's row."""
        while not self.finished:
            row = self._one_epoch()
            self.history.append(row)
            after_epoch(row)

    def use_best(self) -> None:
        """Put the best weights of every member into `averaged`."""
        with torch.no_grad():
            for parameter, kept in zip(self.averaged.parameters(), self.best.values, strict=True):
                parameter.copy_(kept)
        self.averaged.settle(self._train)

    def validate(self) -> Errors:
        """Return the validation errors of `averaged`, with the loss of each member on its own fold."""
        return errors(
            self.averaged, self._validation, self._loss, self._forces, self._strain, self._communicator, self._folds
        )

    def _one_epoch(self) -> Row:
        """Make the steps of an epoch and, where it is due, validate; return its row."""
        settings = self._settings
        batches = epoch_batches(self._sizes, settings.batch, settings.batch_by, self._seed, self.epoch)
        sums = ErrorSums(self.model.n_members, device_of(self._train))
        for k, frames in enumerate(batches):
            factor = rate_factor(settings.schedule, self.n_epochs, self.epoch + (k + 0.5) / len(batches))
            rates = settings.learning_rate * factor * self._plateau.factor * self._recovery.factor
            self._step(frames, rates, sums)
        self.epoch += 1
        row = {"epoch": float(self.epoch), "seconds": time.perf_counter() - self._begin}
        row["learning_rate"] = float(rates.mean())
        found = sums.total(self._communicator)
        row |= _named("train", found)
        row["members_taken_back"] = float(self._recovery.update(found.loss).sum())
        self.best.stopped |= self._recovery.exhausted
        if not torch.isfinite(self._recovery.loss).all():
            raise ValueError(
                f"training.learning_rate must keep the loss finite, got {settings.learning_rate} and a loss of "
                f"{row['train_loss']} in epoch {self.epoch}; reduce it, or clip gradients"
            )
        if self.epoch % settings.validate_every == 0 or self.epoch >= self.n_epochs:
            row |= self._keep()
        row["members_learning"] = float((~self.best.stopped).sum())
        return row

    def _keep(self) -> Row:
        """Validate the averages and keep what is best; without validation data the last weights are the best."""
        self.averaged.settle(self._train)
        if self._n_validation == 0:
            latest = torch.full_like(self.best.loss, -float(self.epoch))
            self.best.update(list(self.averaged.parameters()), latest, self.epoch)
            return {}
        found = self.validate()
        self.best.update(list(self.averaged.parameters()), found.loss, self.epoch)
        self._plateau.update(found.loss, self._settings.validate_every)
        return _named("validation", found)

    def _step(self, frames: Sequence[int], rates: Tensor, sums: ErrorSums) -> None:
        """Make one step on the structures `frames` of all processes with the members' learning rates (K)."""
        batch = self._train.batch(own_share(frames, self._communicator))
        predictions = self.model.predict(batch, self._forces, self._strain)
        loss = self._loss(predictions, batch.labels)
        total = loss.sum() if predictions.penalty is None else loss.sum() + predictions.penalty.sum()
        gradients = torch.autograd.grad(total / len(frames), self._parameters)
        sums.add(loss, predictions, batch.labels, batch.n_atoms)
        clipped = self._clipping.apply(summed(gradients, self._communicator))
        self._adam.step(clipped, rates.to(device_of(self._train)))
        self._average.update(self._parameters)

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the training depends on."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "average_steps": self._average.steps,
            "adam": self._adam.state(),
            "clipping": self._clipping.mean,
            "plateau": self._plateau.state(),
            "recovery": self._recovery.state(),
            "best": self.best.state(),
            "history": self.history,
            "seconds": time.perf_counter() - self._begin,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self._average.steps = state["average_steps"]
        self._adam.load(state["adam"])
        self._clipping.mean.copy_(state["clipping"])
        self._plateau.load(state["plateau"])
        self._recovery.load(state["recovery"])
        self.best.load(state["best"])
        self.history = list(state["history"])
        self._begin = time.perf_counter() - state["seconds"]


def _named(part: str, found: Errors) -> Row:
    """Return the errors of one part of the data as entries of a row."""
    return {f"{part}_loss": float(found.loss.mean()), **{f"{part}_{name}": v for name, v in found.table.items()}}
