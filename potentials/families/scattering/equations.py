"""Equations of a part of the data: energies, their derivatives along directions and strains, and shifts.

    energy       Phi . w + b              = (E - sum_i e0(a_i)) / N           sigma_E / sqrt(N)
    force        N (dPhi/du) . w          = -F . u                            sigma_F / sqrt(3 N / K)
    stress       N (dPhi/de) . w          = V stress : e                      sigma_V sqrt(N) / sqrt(6 / K)
    translation  (Phi(r + t) - Phi(r)).w  = 0                                 sigma_T / sqrt(n / s)

The right column is the error that is expected of a row, so that a row weighs by its inverse square; all weights are
divided by the mean of the energies'. sigma_E, sigma_F and sigma_V are those of `fitting.targets`, sigma_T is
`ScatteringFitSettings.translation`. K directions stand for the 3 N components of a frame, K strains for its 6,
and s shifted frames for all n of them: their number changes the information about a model, not its weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.families.scattering.directional_features import StructureFeatures
from rhopot.potentials.fitting.sparse_regression import WeightedRows, make_rows
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.composition import CompositionBaseline

Floats = NDArray[np.float64]


def equations(
    measured: StructureFeatures,
    targets: Targets,
    baseline: CompositionBaseline,
    translation: float | None,
    unit: str = "groups",
) -> dict[str, WeightedRows]:
    """Return the rows of a part by their kind; kinds without rows are left out.

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
    blocks = {"energies": make_rows(measured.values[rows], reference, labels[rows], weights / one)}
    for kind, target, perturbed in (("forces", "forces", measured.directed), ("stresses", "stress", measured.strained)):
        fitted = np.array([m for m, k in enumerate(perturbed.owners) if target in sigmas[k]], dtype=np.int64)
        if len(fitted):
            owners = perturbed.owners[fitted]
            counts = np.bincount(perturbed.owners, minlength=len(frames))
            derivatives = [
                derivative_along(frames[perturbed.owners[m]], target, perturbed.displacements[m]) for m in fitted
            ]
            weights = np.array([_components(frames[k], target) / counts[k] / sigmas[k][target] ** 2 for k in owners])
            atoms = np.array([len(frames[k]) for k in owners])
            features = atoms[:, None] * perturbed.rows[fitted]
            blocks[kind] = make_rows(features, derivatives, labels[owners], weights / one, constant=False)
    owners = measured.shifted.owners
    if translation is not None and len(owners):
        weight = len(frames) / len(owners) / translation**2
        zero = np.zeros(len(owners))
        blocks["translations"] = make_rows(measured.shifted.rows, zero, labels[owners], weight / one, constant=False)
    return blocks


def derivative_along(frame: Frame, target: str, displacement: Floats) -> float:
    """Return dE/du of a frame along a direction, or dE/de along a strain, from its labels."""
    if target == "forces":
        return -float(np.sum(np.asarray(frame.forces) * displacement))
    return float(frame.atoms.get_volume() * np.sum(np.asarray(frame.stress) * displacement))


def _components(frame: Frame, target: str) -> int:
    """Return for how many components the directions of a frame stand."""
    return 6 if target == "stress" else 3 * int(frame.free.sum())


def energy_per_atom(frame: Frame, baseline: CompositionBaseline) -> float:
    """Return the energy of a frame per atom, without that of its elements."""
    return (float(frame.energy or 0.0) - baseline.energy(frame.atoms)) / len(frame)


def _label(number: int, frame: Frame, unit: str) -> str:
    """Label of the unit of the bootstrap that a frame belongs to: its group, or itself."""
    return f"group {frame.group}" if unit == "groups" and frame.group is not None else f"frame {number}"
