"""Interfaces of the trainer to a model and to the structures it is trained on; families implement both.

A trainable model holds K members side by side: every parameter has the leading dimension K, and members share nothing
else. Its features may be constants, kept in the source of its batches, or depend on its own parameters: the trainer
only sees predictions and the gradients of a loss in the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rhopot.potentials.fitting.gradient.loss import Labels, Predictions


class Batch(Protocol):
    """Some structures: their labels, their numbers of atoms (n), and what else the model takes."""

    @property
    def labels(self) -> Labels:
        """Labels of the structures."""

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each structure (n)."""


class BatchSource(Protocol):
    """All structures of one process, on the device of the training."""

    @property
    def labels(self) -> Labels:
        """Labels of all structures."""

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each structure (n)."""

    @property
    def species(self) -> Tensor:
        """Index of the element of each atom (N); the atoms of a structure are contiguous."""

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the structures with these numbers, in rising order."""


class TrainableModel(nn.Module):
    """K members in training, n_members at least one; batches come from the family's own source."""

    n_members: int

    def predict(self, batch: Any, forces: bool, strain: bool) -> Predictions:
        """Return energies and, where asked for, forces and V * stress of the structures, without baseline.

        Differentiable in the parameters unless gradients are switched off (`torch.no_grad`).
        """
        raise NotImplementedError(f"{type(self).__name__} must define predict")

    def start(self, source: Any, forces: bool, total: Callable[[Tensor], Tensor]) -> None:
        """Prepare for the first step on the training structures of this process.

        forces: whether derivatives are trained: an atom's energy may then depend on no other structure.
        total: adds a tensor up over the processes, gradients included.
        """

    def settle(self, source: Any) -> None:
        """Take the statistics that evaluation needs from the training structures, before a validation."""


def device_of(source: BatchSource) -> torch.device:
    """Return where the structures are."""
    return source.species.device
