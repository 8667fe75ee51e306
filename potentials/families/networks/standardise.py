"""Mean and standard deviation of the training data's features, over all processes, for all atoms or per element.

A feature whose deviation is rounding noise beside its mean is constant; its deviation is returned as zero, which the
networks take as a feature to ignore. The energy scale is the expected standard deviation of the energy of one atom:
where forces are trained their root mean square times 1 A, else the standard deviation of E / N times sqrt(N).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.gradient.loss import Labels

# Standard deviation of a feature, relative to its largest value, below which it is rounding.
NOISE = 1e-12
LENGTH = 1.0


def mean_and_deviation(
    features: Sequence[Tensor], species: Sequence[Tensor], n_sets: int, communicator: Communicator
) -> list[Tensor]:
    """Return mean and deviation (S, F), float64: S = 1 for all atoms together, else of each element's atoms."""
    every, kind = torch.cat(list(features)), torch.cat(list(species))
    which = kind if n_sets > 1 else torch.zeros_like(kind)
    count = communicator.sum(torch.bincount(which, minlength=n_sets).to(torch.float64)).clamp(min=1.0)[:, None]
    zeros = every.new_zeros(n_sets, every.shape[1])
    mean = communicator.sum(zeros.index_add(0, which, every)) / count
    variance = communicator.sum(zeros.index_add(0, which, (every - mean[which]).square())) / count
    deviation = variance.sqrt()
    return [mean, torch.where(deviation > NOISE * mean.abs(), deviation, 0.0)]


def energy_scale_and_shift(labels: Labels, n_atoms: Tensor, communicator: Communicator) -> tuple[float, float]:
    """Return deviation and mean (eV) of the energies of atoms, from labels of structures with n_atoms (n) atoms."""
    labelled = labels.energy.weight > 0
    per_atom = (labels.energy.value[:, 0] / n_atoms)[labelled]
    shift = _mean(per_atom, communicator)
    held = labels.forces.weight > 0
    squared_force = _mean(labels.forces.value[held].square().flatten(), communicator)
    if squared_force > 0.0:
        return LENGTH * squared_force**0.5, shift
    squared = _mean((per_atom - shift).square() * n_atoms[labelled], communicator)
    return (squared**0.5 if squared > 0.0 else 1.0), shift


def _mean(values: Tensor, communicator: Communicator) -> float:
    """Return the mean over all processes, 0 of nothing."""
    total, count = communicator.sum(
        torch.tensor([float(values.sum()), float(len(values))], dtype=torch.float64)
    ).tolist()
    return total / count if count else 0.0
