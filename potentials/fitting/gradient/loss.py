"""Loss of a training: a sum over structures i of weighted penalties of errors.

    L = 1 / n sum_i [ w_E pen(dE_i / s_E) + w_F sum_jc pen(dF_ijc / s_F) + w_S sum_v pen(dW_iv / s_S) ]

dE total energy (eV), dF force components (eV/A) of the N' atoms that no constraint held, dW the six components of
V * stress (eV); everything minus the baseline. The forms differ in a table of weights and scales per structure only:

    form          pen(x)           w_E     w_F            w_S           s_E, s_F, s_S
    regularized   |x|  (or x^2)    1       beta / (3 N')  stress / 6    1          eq. 6 of [1]
    balanced      x^2              p       (1 - p) / N'   stress / 6    1          eq. 5.16 of [2]
    likelihood    x^2 / 2, Huber   1       1              stress        sigmas of the structure (see `fitting.targets`)

With energy_per_atom (regularized, balanced) s_E = s_S = N. A quantity that a structure lacks, or whose sigma its
config_type sets to null, has weight 0. Huber beyond h: h (|x| - h / 2).

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022)
[2] X. Brumwell, PhD thesis, Michigan State University
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

QUANTITIES = ("energy", "forces", "strain")


@dataclass(frozen=True)
class WeightedLabels:
    """Labels of one quantity: value (r, m), and for every row its weight (r) and scale (r)."""

    value: Tensor
    weight: Tensor
    scale: Tensor

    def select(self, rows: Tensor) -> WeightedLabels:
        """Return some of the rows."""
        return WeightedLabels(*(part.index_select(0, rows) for part in (self.value, self.weight, self.scale)))

    def to(self, device: torch.device, dtype: torch.dtype) -> WeightedLabels:
        """Return the rows elsewhere, in another float type."""
        return WeightedLabels(*(part.to(device, dtype) for part in (self.value, self.weight, self.scale)))


@dataclass(frozen=True)
class Labels:
    """What n structures with N atoms should give: energy rows (n, 1), forces (N, 3), strain = V * stress (n, 6)."""

    energy: WeightedLabels
    forces: WeightedLabels
    strain: WeightedLabels

    def select(self, structures: Tensor, atoms: Tensor) -> Labels:
        """Return those of some structures, by their numbers and those of their atoms."""
        return Labels(self.energy.select(structures), self.forces.select(atoms), self.strain.select(structures))

    def to(self, device: torch.device, dtype: torch.dtype) -> Labels:
        """Return the labels elsewhere, in another float type."""
        return Labels(*(part.to(device, dtype) for part in (self.energy, self.forces, self.strain)))


@dataclass(frozen=True)
class Predictions:
    """What K members give: energy (K, n, 1), forces (K, N, 3) and strain = V * stress (K, n, 6) where asked for.

    penalty: (K, n) what a model in training adds to the loss of each structure; no part of its errors.
    """

    energy: Tensor
    forces: Tensor | None = None
    strain: Tensor | None = None
    penalty: Tensor | None = None


def weights_and_scales(frame: Frame, targets: Targets, settings: LossSettings) -> dict[str, tuple[float, float]]:
    """Return weight and scale of each quantity that counts in a structure; the others are absent."""
    sigma = targets.sigmas(frame)
    n_atoms = len(frame)
    n_free = int(frame.free.sum())
    total = float(n_atoms) if settings.energy_per_atom else 1.0
    if settings.form == "regularized":
        table = {"energy": (1.0, total), "forces": (settings.beta / (3.0 * max(n_free, 1)), 1.0)}
    elif settings.form == "balanced":
        table = {"energy": (settings.p, total), "forces": ((1.0 - settings.p) / max(n_free, 1), 1.0)}
    else:
        found = {name: (1.0, value) for name, value in sigma.items() if name != "stress"}
        return found | ({"strain": (settings.stress, sigma["stress"])} if "stress" in sigma else {})
    table["strain"] = (settings.stress / 6.0, total)
    present = {"strain" if name == "stress" else name for name in sigma}
    return {name: entry for name, entry in table.items() if name in present}


class Loss:
    """Penalties of the errors, summed over structures, for each member alone."""

    def __init__(self, settings: LossSettings) -> None:
        self._absolute = settings.form == "regularized" and settings.norm == "absolute"
        self._half = 0.5 if settings.form == "likelihood" else 1.0
        self._huber = settings.huber if settings.form == "likelihood" else None

    def __call__(self, predictions: Predictions, labels: Labels) -> Tensor:
        """Return the sum over structures (K); the caller divides by their number."""
        total = self._sum(predictions.energy, labels.energy)
        if predictions.forces is not None:
            total = total + self._sum(predictions.forces, labels.forces)
        if predictions.strain is not None:
            total = total + self._sum(predictions.strain, labels.strain)
        return total

    def penalty(self, x: Tensor) -> Tensor:
        """Return the penalty of scaled errors, one by one."""
        if self._absolute:
            return x.abs()
        if self._huber is None:
            return self._half * x.square()
        return torch.nn.functional.huber_loss(x, torch.zeros_like(x), reduction="none", delta=self._huber)

    def _sum(self, predicted: Tensor, rows: WeightedLabels) -> Tensor:
        error = (predicted - rows.value) / rows.scale[:, None]
        return (self.penalty(error).sum(2) * rows.weight).sum(1)
