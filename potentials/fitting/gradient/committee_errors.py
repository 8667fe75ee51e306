"""Errors and standard deviations of validation structures, by members that have not seen them (`stopping_folds`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rhopot.potentials.fitting.calibration import NO_FORCES, ForceErrors
from rhopot.potentials.fitting.gradient.cache import Cache
from rhopot.potentials.fitting.gradient.errors import energies, forces
from rhopot.potentials.fitting.gradient.stopping_folds import StoppingFolds, mean_of_unseen
from rhopot.potentials.models.network import Networks

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CommitteeErrors:
    """Errors and standard deviations of energies (eV per atom), and of force components."""

    energy_errors: Floats
    energy_deviations: Floats
    forces: ForceErrors

    @staticmethod
    def of(networks: Networks, validation: Cache, judges: StoppingFolds) -> CommitteeErrors:
        """Return what one process's validation structures give; no forces where only energies are trained."""
        matrix = judges.matrix
        n_atoms = _numpy(validation.first_atom.diff())
        totals = _numpy(energies(networks, validation))
        labels = validation.labels.energy
        kept = matrix.any(axis=0) & _known(labels.weight)
        errors = (mean_of_unseen(totals, matrix) - _numpy(labels.value)[:, 0]) / n_atoms
        found = CommitteeErrors(errors[kept], (totals.std(axis=0) / n_atoms)[kept], NO_FORCES)
        return found if validation.slopes is None else found._with_forces(networks, validation, matrix)

    def _with_forces(self, networks: Networks, validation: Cache, matrix: NDArray[np.bool_]) -> CommitteeErrors:
        """Return the same with force components of atoms that no constraint held."""
        rows = np.repeat(np.arange(len(validation)), _numpy(validation.first_atom.diff()).astype(np.int64))
        labels = validation.labels.forces
        of_members = _numpy(forces(networks, validation))
        spread = np.sqrt(of_members.var(axis=0).mean(axis=1))
        free = matrix[:, rows].any(axis=0) & _known(labels.weight)
        errors = (mean_of_unseen(of_members, matrix[:, rows]) - _numpy(labels.value))[free]
        species = validation.species.cpu().numpy()[free]
        return replace(self, forces=ForceErrors.of(errors, spread[free], species, rows[free]))

    @staticmethod
    def joined(parts: Sequence[CommitteeErrors]) -> CommitteeErrors:
        """Return what the structures of all processes give."""
        errors, deviations = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("energy_errors", "energy_deviations")
        )
        return CommitteeErrors(errors, deviations, ForceErrors.joined([part.forces for part in parts]))


def _known(weight: Tensor) -> NDArray[np.bool_]:
    return np.asarray((weight > 0).cpu().numpy(), dtype=np.bool_)


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
