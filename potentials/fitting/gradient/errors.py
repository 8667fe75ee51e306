"""Errors of a trainable model, summed up over batches and processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.gradient.loss import Labels, Loss, Predictions
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds
from rhopot.potentials.fitting.gradient.trainable import BatchSource, TrainableModel, device_of
from rhopot.potentials.fitting.metrics import ENERGY, FORCES, mae_and_rmse

# Atoms that are evaluated together where nothing depends on it.
EVALUATED_ATOMS = 4096


@dataclass(frozen=True)
class Errors:
    """Mean loss of each member (K), and errors of the members' mean: energies in meV/atom, forces in meV/A.

    A quantity that no structure carries is absent from the table.
    """

    loss: Tensor
    table: dict[str, float]


class ErrorSums:
    """Adds up losses and errors of batches; `total` joins the processes."""

    def __init__(self, n_members: int, device: torch.device) -> None:
        self._sums = torch.zeros(n_members + 7, dtype=torch.float64, device=device)
        self._n_members = n_members

    @torch.no_grad()
    def add(self, loss: Tensor, predictions: Predictions, labels: Labels, n_atoms: Tensor) -> None:
        """Add a batch with summed loss (K); n_atoms (n) of its structures."""
        energy = labels.energy
        error = (predictions.energy.mean(0) - energy.value)[:, 0].to(torch.float64) / n_atoms
        parts = [loss.detach().to(torch.float64), torch.full_like(loss[:1], len(n_atoms), dtype=torch.float64)]
        parts.append(_moments(error, energy.weight > 0))
        if predictions.forces is not None:
            forces = (predictions.forces.mean(0) - labels.forces.value).to(torch.float64)
            held = (labels.forces.weight > 0)[:, None].expand(-1, 3)
            parts.append(_moments(forces.flatten(), held.flatten()))
        row = torch.cat(parts)
        self._sums[: len(row)] += row

    def join(self, other: ErrorSums) -> None:
        """Add the sums of another."""
        self._sums += other._sums

    def total(self, communicator: Communicator) -> Errors:
        """Return the errors over all processes."""
        sums = communicator.sum(self._sums).cpu()
        loss, (count, *moments) = sums[: self._n_members], sums[self._n_members :].tolist()
        table: dict[str, float] = {}
        for target, sums_of_target in ((ENERGY, moments[:3]), (FORCES, moments[3:])):
            table |= mae_and_rmse(target, *sums_of_target)
        return Errors(loss / max(count, 1.0), table)


def _moments(error: Tensor, counted: Tensor) -> Tensor:
    """Return number, sum of |error| and of error^2 of those that count."""
    kept = torch.where(counted, error, 0.0)
    return torch.stack([counted.sum().to(torch.float64), kept.abs().sum(), kept.square().sum()])


@torch.no_grad()
def errors(
    model: TrainableModel,
    source: BatchSource,
    loss: Loss,
    forces: bool,
    strain: bool,
    communicator: Communicator,
    folds: StoppingFolds,
) -> Errors:
    """Return the errors for all labelled structures of a source, in batches of about `EVALUATED_ATOMS` atoms.

    forces, strain: what is predicted besides energies. The loss of each member is that of the fold which stops it.
    """
    every = ErrorSums(model.n_members, device_of(source))
    own = torch.zeros(model.n_members, dtype=torch.float64)
    for fold, rows in enumerate(folds.parts):
        sums = ErrorSums(model.n_members, device_of(source))
        for frames in stretches(source, rows):
            batch = source.batch(frames)
            predictions = model.predict(batch, forces, strain)
            sums.add(loss(predictions, batch.labels), predictions, batch.labels, batch.n_atoms)
        every.join(sums)
        mine = torch.from_numpy(folds.of_member == fold)
        own[mine] = sums.total(communicator).loss[mine]
    return Errors(own, every.total(communicator).table)


@torch.no_grad()
def energies(model: TrainableModel, source: BatchSource) -> Tensor:
    """Return the members' energies (K, n) in eV of all structures of a source, without baseline, in float64."""
    parts = [torch.zeros((model.n_members, 0), dtype=torch.float64)]
    for frames in stretches(source):
        found = model.predict(source.batch(frames), forces=False, strain=False).energy
        parts.append(found[:, :, 0].to("cpu", torch.float64))
    return torch.cat(parts, 1)


@torch.no_grad()
def forces(model: TrainableModel, source: BatchSource) -> Tensor:
    """Return the members' forces (K, N, 3) in eV/A of all atoms of a source, on the CPU in float64."""
    parts = [torch.zeros((model.n_members, 0, 3), dtype=torch.float64)]
    for frames in stretches(source):
        found = model.predict(source.batch(frames), forces=True, strain=False).forces
        if found is None:
            raise TypeError(f"predict of {type(model).__name__} must return forces where they are asked for, got none")
        parts.append(found.to("cpu", torch.float64))
    return torch.cat(parts, 1)


def stretches(source: BatchSource, rows: Sequence[int] | None = None) -> list[Sequence[int]]:
    """Return all structures, or those of some rising rows, in parts of about `EVALUATED_ATOMS` atoms."""
    parts: list[Sequence[int]] = []
    sizes = source.n_atoms.tolist()
    part: list[int] = []
    n_atoms = 0
    for k in range(len(sizes)) if rows is None else rows:
        part.append(k)
        n_atoms += sizes[k]
        if n_atoms >= EVALUATED_ATOMS:
            parts.append(part)
            part, n_atoms = [], 0
    return [*parts, part] if part else parts
