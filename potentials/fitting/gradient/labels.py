"""Labels of structures as the tensors that a loss compares predictions with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.gradient.loss import Labels, WeightedLabels, weights_and_scales
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

# Quantities of a configuration and the labels that train them.
ROWS = {"energy": "energy", "forces": "forces", "stress": "strain"}


def labels_of(frame: Frame, left: Mapping[str, NDArray[np.float64]], targets: Targets, loss: LossSettings) -> Labels:
    """Return the labels of one frame from those without the baseline (`fitting.remainder`)."""
    table = weights_and_scales(frame, targets, loss)
    n_atoms = len(frame)
    shapes = {"energy": (1, 1), "forces": (n_atoms, 3), "strain": (1, 6)}
    rows = {}
    for name, shape in shapes.items():
        weight, scale = table.get(name, (0.0, 1.0))
        value = left["stress" if name == "strain" else name] if name in table else np.zeros(shape)
        weights = torch.full([shape[0]], weight, dtype=torch.float64)
        if name == "forces":
            weights[torch.from_numpy(~frame.free)] = 0.0
        rows[name] = WeightedLabels(
            torch.from_numpy(value.reshape(shape).copy()), weights, torch.full_like(weights, scale)
        )
    return Labels(**rows)


def join_labels(parts: Sequence[Labels]) -> Labels:
    """Return the labels of all frames as one table."""
    widths = {"energy": 1, "forces": 3, "strain": 6}
    joined = {}
    for name, width in widths.items():
        rows: list[WeightedLabels] = [getattr(part, name) for part in parts]
        empty = torch.zeros(0, dtype=torch.float64)
        joined[name] = WeightedLabels(
            torch.cat([empty.reshape(0, width), *(row.value for row in rows)]),
            torch.cat([empty, *(row.weight for row in rows)]),
            torch.cat([empty, *(row.scale for row in rows)]),
        )
    return Labels(**joined)


def trained_quantities(labels: Labels, targets: Targets, communicator: Communicator) -> tuple[str, ...]:
    """Return which of energy, forces and stress have labels of positive weight on any process.

    Raises:
        ValueError: none of them.
    """
    found = tuple(
        name for name, rows in ROWS.items() if float(communicator.sum(getattr(labels, rows).weight.sum())) > 0.0
    )
    if not found:
        raise ValueError(
            "training.loss must weigh a quantity that the training data carry, got weights of zero for all of "
            f"{', '.join(targets.required)}; raise beta, p or stress, or add targets"
        )
    return found


def weighs_derivatives(frames: Sequence[Frame], targets: Targets, loss: LossSettings) -> bool:
    """Whether forces or stresses of any frame have a positive weight."""
    tables = (weights_and_scales(frame, targets, loss) for frame in frames)
    return any(table[name][0] > 0.0 for table in tables for name in ("forces", "strain") if name in table)
