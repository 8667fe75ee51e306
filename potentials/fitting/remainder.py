"""Labels of one structure minus the energy baseline: the targets of a fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import to_voigt

Floats = NDArray[np.float64]


def remainder(
    frame: Frame, names: Collection[str], baseline: EnergyBaseline, parts: Sequence[AtomicGraph]
) -> dict[str, Floats]:
    """Return energy (1), forces (N, 3) and V * stress (6) of a frame, where asked for, minus the baseline's.

    parts: the frame's graphs, all centres once.
    """
    energy, forces, virial = energy_forces_virial(baseline, parts, len(frame.atoms))
    left: dict[str, Floats] = {}
    if "energy" in names and frame.energy is not None:
        left["energy"] = np.array([frame.energy - energy])
    if "forces" in names and frame.forces is not None:
        left["forces"] = frame.forces - forces.numpy()
    if "stress" in names and frame.stress is not None:
        left["stress"] = to_voigt(frame.stress * frame.atoms.get_volume() + virial.numpy())
    return left
