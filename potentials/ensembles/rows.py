"""The equations of a part of the data: energies, forces along directions, and shifts that change nothing.

    energy       Phi . w + b              = (E - sum_i e0(a_i)) / N           sigma_E / sqrt(N)
    force        -N (dPhi/du) . w         = F . u                             sigma_F / sqrt(3 N / K)
    translation  (Phi(r + t) - Phi(r)).w  = 0                                 sigma_T / sqrt(n / s)

The right column is the error that is expected of a row, so that a row weighs by its inverse square; all weights are
divided by the mean of the energies'. sigma_E and sigma_F are those of `fit.targets`, sigma_T is
`EnsembleHypers.translation`. K directions stand for the 3 N components of a frame and s shifted frames for all n of
them: their number changes what is known about a model, not how much it weighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fit import Targets
from rhopot.potentials.greedy import Rows, make_rows, stack
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.composition import Baseline

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """Frames of a part and the features that were computed of them.

    values: (n, F) per atom
    shifted: (s) frames, and changes: (s, F) what a shift of all their atoms adds
    directed: (m) frames, directions: (m) arrays (N, 3), slopes: (m, F) derivatives along them
    """

    frames: Sequence[Frame]
    values: Floats
    shifted: Integers
    changes: Floats
    directed: Integers
    directions: Sequence[Floats]
    slopes: Floats

    def join(self, other: Measured) -> Measured:
        """Return both parts as one."""
        n = len(self.frames)
        return Measured(
            [*self.frames, *other.frames],
            np.concatenate([self.values, other.values]),
            np.concatenate([self.shifted, n + other.shifted]),
            np.concatenate([self.changes, other.changes]),
            np.concatenate([self.directed, n + other.directed]),
            [*self.directions, *other.directions],
            np.concatenate([self.slopes, other.slopes]),
        )


def equations(
    measured: Measured, targets: Targets, baseline: Baseline, translation: float | None, unit: str = "groups"
) -> Rows:
    """Return the rows of a part.

    Args:
        measured: frames and features.
        targets: what is fitted, and the errors expected of it.
        baseline: energies of the elements.
        translation: sigma_T in eV per atom; None leaves these rows out.
        unit: `groups` keeps the rows of a group of frames together, `frames` those of each frame.

    Raises:
        ValueError: no frame with an energy to fit.
    """
    frames = measured.frames
    sigmas = [targets.sigmas(frame) for frame in frames]
    labels = np.array([_label(k, frame, unit) for k, frame in enumerate(frames)])
    rows = np.array([k for k in range(len(frames)) if "energy" in sigmas[k]], dtype=np.int64)
    if len(rows) == 0:
        raise ValueError("targets.energy must be a sigma, and present in the data, got none; forces alone fit no model")
    reference = [energy_per_atom(frames[k], baseline) for k in rows]
    weights = np.array([(len(frames[k]) / sigmas[k]["energy"]) ** 2 for k in rows])
    one = weights.mean()
    blocks = [make_rows(measured.values[rows], reference, labels[rows], weights / one)]
    fitted = [m for m, k in enumerate(measured.directed) if "forces" in sigmas[k]]
    if fitted:
        owners = measured.directed[fitted]
        counts = np.bincount(owners, minlength=len(frames))
        free = [3 * len(frame) if frame.fixed is None else 3 * int(np.sum(~frame.fixed)) for frame in frames]
        along = [np.sum(np.asarray(frames[measured.directed[m]].forces) * measured.directions[m]) for m in fitted]
        weights = np.array([free[k] / counts[k] / sigmas[k]["forces"] ** 2 for k in owners])
        atoms = np.array([len(frames[k]) for k in owners])
        blocks.append(make_rows(-atoms[:, None] * measured.slopes[fitted], along, labels[owners], weights / one, False))
    shifted = measured.shifted
    if translation is not None and len(shifted):
        weight = len(frames) / len(shifted) / translation**2
        blocks.append(make_rows(measured.changes, np.zeros(len(shifted)), labels[shifted], weight / one, False))
    return stack(blocks)


def energy_per_atom(frame: Frame, baseline: Baseline) -> float:
    """Return the energy of a frame per atom, without that of its elements."""
    return (float(frame.energy or 0.0) - baseline.energy(frame.atoms)) / len(frame)


def _label(number: int, frame: Frame, unit: str) -> str:
    """Name of what a frame is drawn with: its group, or itself."""
    return f"group {frame.group}" if unit == "groups" and frame.group is not None else f"frame {number}"
