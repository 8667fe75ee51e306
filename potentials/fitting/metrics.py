"""Errors of predictions against labels.

    energy  meV per atom of |E - E_ref| / N          forces  meV/A over Cartesian components
    stress  meV/A^3 (and GPa) over the six independent components

Forces are those of free atoms: what acts on an atom that a constraint held (`Frame.free`) is no label, and no fit uses
it. MAE and RMSE, over all frames and per config_type. Where predictions come with a standard deviation: its root mean
square over the energies per atom or the force components, and the fraction of errors within one and within two
standard deviations (68% and 95% where the calibration holds and errors are normal); of force components also the rank
correlation of |error| and standard deviation. Where they come with a predicted
error of the force vector on each atom: its mean, and the fraction of atoms whose error is within it (90%).

"Up to one constant per element": energies of different reference methods differ by a constant per atom, so a comparison
may first remove the least-squares constants, fitted on the training set and applied to the test part
(`element_constants`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.calibration import rank_correlation
from rhopot.potentials.fitting.force_radii import not_negligible
from rhopot.potentials.structures.composition import CompositionBaseline, fit_baseline
from rhopot.potentials.structures.frames import Frame
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV, NEGLIGIBLE_FORCE, to_voigt

Floats = NDArray[np.float64]

# JSON name of a target, its unit in that name
ENERGY = ("energy", "mev_per_atom")
FORCES = ("forces", "mev_per_angstrom")
STRESS = ("stress", "mev_per_cubic_angstrom")


@dataclass(frozen=True)
class FramePrediction:
    """Prediction of a model for one frame: energy (eV), forces (N, 3) in eV/A, stress (3, 3) in eV/A^3.

    energy_deviation: standard deviation of the energy in eV, where the model knows its uncertainty;
    force_deviations: that of each atom's force (N,) in eV/A, per component; force_radii: predicted error of the force
    vector on each atom (N,) in eV/A.
    """

    energy: float
    forces: Floats | None = None
    stress: Floats | None = None
    energy_deviation: float | None = None
    force_deviations: Floats | None = None
    force_radii: Floats | None = None


def element_constants(frames: Sequence[Frame], predictions: Sequence[FramePrediction]) -> CompositionBaseline:
    """Constants per element (eV/atom) that, added to the predicted energies, fit the labels best."""
    _check_pairs(frames, predictions)
    pairs = [(f, p) for f, p in zip(frames, predictions, strict=True) if f.energy is not None]
    left = np.array([float(f.energy) - p.energy for f, p in pairs if f.energy is not None])
    return fit_baseline([f for f, _ in pairs], energies=left)


def free_forces(frame: Frame, prediction: FramePrediction) -> tuple[Floats, Floats] | None:
    """Labels and predictions (n, 3) in eV/A of the n free atoms of a frame, None where there is nothing to compare."""
    if frame.forces is None or prediction.forces is None or not frame.free.any():
        return None
    return frame.forces[frame.free], prediction.forces[frame.free]


def error_table(
    frames: Sequence[Frame], predictions: Sequence[FramePrediction], constants: CompositionBaseline | None = None
) -> dict[str, Any]:
    """Errors under their JSON names, overall and under "per_config_type".

    Targets without labels are absent. `constants` (from `element_constants`) are added to predicted energies.
    """
    _check_pairs(frames, predictions)
    pairs = list(zip(frames, predictions, strict=True))
    table = _errors(pairs, constants)
    types = sorted({frame.config_type for frame in frames})
    table["per_config_type"] = {
        name: _errors([pair for pair in pairs if pair[0].config_type == name], constants) for name in types
    }
    return table


def _check_pairs(frames: Sequence[Frame], predictions: Sequence[FramePrediction]) -> None:
    if len(frames) != len(predictions):
        raise ValueError(f"predictions must be one per frame ({len(frames)}), got {len(predictions)}; predict all")


def _errors(pairs: list[tuple[Frame, FramePrediction]], constants: CompositionBaseline | None) -> dict[str, Any]:
    """Errors of one set of frames."""
    table: dict[str, Any] = {"n_frames": len(pairs), "n_atoms": sum(len(frame) for frame, _ in pairs)}
    energies = [energy_error(frame, p, constants) for frame, p in pairs if frame.energy is not None]
    _add(table, ENERGY, np.array(energies))
    deviations = [
        p.energy_deviation / len(f) for f, p in pairs if f.energy is not None and p.energy_deviation is not None
    ]
    if energies and len(deviations) == len(energies):
        _add_coverage(table, ENERGY, np.array(energies), np.array(deviations))
    held = sum(int((~frame.free).sum()) for frame, _ in pairs if frame.forces is not None)
    if held:
        table["n_atoms_held"] = held
    forces = [both for frame, p in pairs if (both := free_forces(frame, p)) is not None]
    if forces:
        labels, predicted = (np.concatenate(part) for part in zip(*forces, strict=True))
        _add(table, FORCES, (predicted - labels).ravel())
        table["forces_reference_rms_mev_per_angstrom"] = MEV_PER_EV * _rms(labels)
        _add_force_coverage(table, pairs)
        _add_radius_coverage(table, pairs)
    stress = [to_voigt(p.stress - f.stress) for f, p in pairs if f.stress is not None and p.stress is not None]
    if stress:
        error = np.concatenate(stress)
        _add(table, STRESS, error)
        table["stress_mae_gpa"] = GPA_PER_EV_PER_CUBIC_ANGSTROM * float(np.abs(error).mean())
        table["stress_rmse_gpa"] = GPA_PER_EV_PER_CUBIC_ANGSTROM * _rms(error)
    return table


def energy_error(frame: Frame, prediction: FramePrediction, constants: CompositionBaseline | None) -> float:
    """Error per atom in eV."""
    shift = 0.0 if constants is None else constants.energy(frame.atoms)
    return (prediction.energy + shift - float(frame.energy or 0.0)) / len(frame)


def error_names(target: tuple[str, str]) -> tuple[str, str]:
    """Names of a target's MAE and RMSE in JSON."""
    name, unit = target
    return f"{name}_mae_{unit}", f"{name}_rmse_{unit}"


def mae_and_rmse(target: tuple[str, str], count: float, absolute: float, squared: float) -> dict[str, float]:
    """MAE and RMSE of `count` errors under the target's names, from sums of |error| and error^2 in eV-based units."""
    if not count:
        return {}
    mae, rmse = error_names(target)
    return {mae: MEV_PER_EV * absolute / count, rmse: MEV_PER_EV * (squared / count) ** 0.5}


def mean_absolute_errors(energies: Floats, forces: Floats) -> dict[str, float]:
    """MAE of energies per atom (eV) and of force components (eV/A), of those that there are."""
    return {
        error_names(target)[0]: MEV_PER_EV * float(np.abs(errors).mean())
        for target, errors in ((ENERGY, energies), (FORCES, forces))
        if len(errors)
    }


def _add(table: dict[str, Any], target: tuple[str, str], error: Floats) -> None:
    """Write MAE and RMSE of errors in eV-based units under the target's names."""
    if error.size:
        mae, rmse = error_names(target)
        table[mae] = MEV_PER_EV * float(np.abs(error).mean())
        table[rmse] = MEV_PER_EV * _rms(error)


def _add_coverage(table: dict[str, Any], target: tuple[str, str], errors: Floats, deviations: Floats) -> None:
    """Write the size of standard deviations, and the fractions of errors within one and two of them."""
    name, unit = target
    table[f"{name}_deviation_rms_{unit}"] = MEV_PER_EV * _rms(deviations)
    table[f"{name}_within_one_deviation"] = float(np.mean(np.abs(errors) <= deviations))
    table[f"{name}_within_two_deviations"] = float(np.mean(np.abs(errors) <= 2.0 * deviations))


def _add_force_coverage(table: dict[str, Any], pairs: list[tuple[Frame, FramePrediction]]) -> None:
    """The same of force components and their rank correlation, in the frames whose deviations were evaluated.

    Components whose error and deviation are both rounding (forces that vanish by symmetry) do not count.
    """
    errors, deviations = [], []
    for frame, p in pairs:
        forces = free_forces(frame, p)
        if forces is not None and p.force_deviations is not None:
            errors.append((forces[1] - forces[0]).ravel())
            deviations.append(np.repeat(p.force_deviations[frame.free], 3))
    if errors:
        every, sizes = np.concatenate(errors), np.concatenate(deviations)
        known = (np.abs(every) > NEGLIGIBLE_FORCE) | (sizes > NEGLIGIBLE_FORCE)
        if known.any():
            table["n_frames_with_force_deviations"] = len(errors)
            _add_coverage(table, FORCES, every[known], sizes[known])
            table["forces_rank_correlation"] = rank_correlation(np.abs(every[known]), sizes[known])


def _add_radius_coverage(table: dict[str, Any], pairs: list[tuple[Frame, FramePrediction]]) -> None:
    """Write the mean predicted error of the force on an atom, and the fraction of atoms whose error is within it.

    Atoms whose error and standard deviation are both rounding do not count.
    """
    lengths, radii, counts = [], [], []
    for frame, p in pairs:
        forces = free_forces(frame, p)
        if forces is None or p.force_deviations is None or p.force_radii is None:
            continue
        lengths.append(np.linalg.norm(forces[1] - forces[0], axis=1))
        radii.append(p.force_radii[frame.free])
        counts.append(not_negligible(lengths[-1], p.force_deviations[frame.free]))
    if any(one.any() for one in counts):
        kept = np.concatenate(counts)
        error, radius = np.concatenate(lengths)[kept], np.concatenate(radii)[kept]
        table["forces_error_mean_mev_per_angstrom"] = MEV_PER_EV * float(radius.mean())
        table["forces_within_error"] = float(np.mean(error <= radius))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))
