"""Errors and standard deviations of validation structures, by members that have not seen them (`stopping_folds`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rhopot.potentials.fitting.calibration import NO_FORCES, ForceErrors
from rhopot.potentials.fitting.gradient.errors import energies, forces
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds, mean_of_unseen
from rhopot.potentials.fitting.gradient.trainable import BatchSource, TrainableModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CommitteeErrors:
    """Errors and standard deviations of energies (eV per atom), and of force components."""

    energy_errors: Floats
    energy_deviations: Floats
    forces: ForceErrors

    @staticmethod
    def of(model: TrainableModel, validation: BatchSource, folds: StoppingFolds, with_forces: bool) -> CommitteeErrors:
        """Return the errors of one process's validation structures; with_forces: those of force components too."""
        unseen = folds.unseen
        n_atoms = _numpy(validation.n_atoms)
        totals = _numpy(energies(model, validation))
        labels = validation.labels.energy
        kept = unseen.any(axis=0) & _known(labels.weight)
        errors = (mean_of_unseen(totals, unseen) - _numpy(labels.value)[:, 0]) / n_atoms
        found = CommitteeErrors(errors[kept], (totals.std(axis=0) / n_atoms)[kept], NO_FORCES)
        return found._with_forces(model, validation, unseen) if with_forces else found

    def _with_forces(
        self, model: TrainableModel, validation: BatchSource, unseen: NDArray[np.bool_]
    ) -> CommitteeErrors:
        """Return the same with force components of atoms that no constraint held."""
        n_atoms = _numpy(validation.n_atoms).astype(np.int64)
        rows = np.repeat(np.arange(len(n_atoms)), n_atoms)
        labels = validation.labels.forces
        of_members = _numpy(forces(model, validation))
        deviations = np.sqrt(of_members.var(axis=0).mean(axis=1))
        free = unseen[:, rows].any(axis=0) & _known(labels.weight)
        errors = (mean_of_unseen(of_members, unseen[:, rows]) - _numpy(labels.value))[free]
        species = validation.species.cpu().numpy()[free]
        return replace(self, forces=ForceErrors.of(errors, deviations[free], species, rows[free]))

    @staticmethod
    def joined(parts: Sequence[CommitteeErrors]) -> CommitteeErrors:
        """Return the errors of all processes' structures."""
        errors, deviations = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("energy_errors", "energy_deviations")
        )
        return CommitteeErrors(errors, deviations, ForceErrors.joined([part.forces for part in parts]))


def _known(weight: Tensor) -> NDArray[np.bool_]:
    return np.asarray((weight > 0).cpu().numpy(), dtype=np.bool_)


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
