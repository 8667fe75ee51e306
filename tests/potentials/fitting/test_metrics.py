"""Error tables against sums written out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import ase
import numpy as np
import pytest

from rhopot.potentials.fitting.metrics import FramePrediction, element_constants, error_table
from rhopot.potentials.runs.error_table import explanation
from rhopot.potentials.runs.evaluation import parity_panels
from rhopot.potentials.structures import Frame


def frame(formula: str, energy: float | None, config_type: str = "default", forces: bool = True) -> Frame:
    atoms = ase.Atoms(formula, cell=[5, 5, 5], pbc=True)
    return Frame(
        atoms,
        energy=energy,
        forces=np.full((len(atoms), 3), 2.0) if forces else None,
        stress=np.eye(3) if forces else None,
        config_type=config_type,
    )


def test_table_by_hand() -> None:
    frames = [frame("Li2", 1.0, "a"), frame("Si4", 2.0, "b"), frame("Si", None, "b", forces=False)]
    predictions = [
        FramePrediction(1.2, np.full((2, 3), 2.1), np.eye(3)),
        FramePrediction(2.0, np.full((4, 3), 1.6), np.eye(3) + 0.006 * np.eye(3)),
        FramePrediction(99.0, np.zeros((1, 3)), np.zeros((3, 3))),
    ]
    table = error_table(frames, predictions)
    assert table["n_frames"] == 3
    assert table["energy_mae_mev_per_atom"] == pytest.approx(50.0)
    assert table["energy_rmse_mev_per_atom"] == pytest.approx(100.0 / np.sqrt(2))
    assert table["forces_mae_mev_per_angstrom"] == pytest.approx((6 * 100 + 12 * 400) / 18)
    assert table["forces_rmse_mev_per_angstrom"] == pytest.approx(np.sqrt((6 * 100**2 + 12 * 400**2) / 18))
    assert table["forces_reference_rms_mev_per_angstrom"] == pytest.approx(2000.0)
    assert table["stress_mae_mev_per_cubic_angstrom"] == pytest.approx(1.5)
    assert table["stress_mae_gpa"] == pytest.approx(0.0015 * 160.21766, rel=1e-6)
    per_type = table["per_config_type"]
    assert per_type["a"]["energy_mae_mev_per_atom"] == pytest.approx(100.0)
    assert per_type["b"]["n_frames"] == 2
    assert per_type["b"]["energy_mae_mev_per_atom"] == pytest.approx(0.0)
    json.dumps(table)


def test_uncertainty_beside_the_errors() -> None:
    frames = [frame("Li2", 1.0, "a"), frame("Si4", 2.0, "b"), frame("Si", None, "b", forces=False)]
    predictions = [
        FramePrediction(1.2, energy_deviation=0.1),
        FramePrediction(2.4, energy_deviation=0.8),
        FramePrediction(0.0),
    ]
    table = error_table(frames, predictions)
    assert table["energy_within_one_deviation"] == 0.5  # 200 meV with 100 expected, 400 meV with 800
    assert table["energy_deviation_rms_mev_per_atom"] == pytest.approx(1000 * ((0.05**2 + 0.2**2) / 2) ** 0.5)
    assert table["per_config_type"]["a"]["energy_within_one_deviation"] == 0.0
    without = error_table(frames, [FramePrediction(1.2), *predictions[1:]])
    assert not [name for name in without if "deviation" in name]


def test_coverage_of_force_components() -> None:
    """Labels are 2 eV/A: errors of 0.1 with 0.08 expected on one atom and 0.2 on the other, in one of two frames."""
    frames = [frame("Li2", 1.0), frame("Si4", 2.0)]
    forces = np.array([[2.1, 2.1, 2.1], [2.1, 2.1, 2.1], [2.0, 2.0, 2.0]])
    frames[0] = frame("Li3", 1.0)  # the third atom's force vanishes by symmetry: rounding, of which nothing is said
    known = FramePrediction(1.0, forces, force_deviations=np.array([0.08, 0.2, 1e-9]))
    table = error_table(frames, [known, FramePrediction(2.0, np.zeros((4, 3)))])
    assert table["n_frames_with_force_deviations"] == 1
    assert table["forces_within_one_deviation"] == 0.5
    assert table["forces_within_two_deviations"] == 1.0
    assert table["forces_deviation_rms_mev_per_angstrom"] == pytest.approx(1000 * ((0.08**2 + 0.2**2) / 2) ** 0.5)


def test_rank_correlation_of_deviations_and_errors() -> None:
    """Errors of 0.1, 0.2, 0.3 eV/A on three atoms, expected in this order and in the opposite one."""
    forces = np.repeat([[2.1], [2.2], [2.3]], 3, axis=1) + 1e-6 * np.arange(3)
    for deviations, sign in (([0.1, 0.2, 0.3], 1.0), ([0.3, 0.2, 0.1], -1.0)):
        known = FramePrediction(1.0, forces, force_deviations=np.array(deviations))
        table = error_table([frame("Li3", 1.0)], [known])
        assert sign * table["forces_rank_correlation"] >= 0.79, "components of an atom have one deviation, in any order"
        assert "F rank" in explanation(table)


def test_coverage_of_the_predicted_error_of_forces() -> None:
    """Error vectors of 0.1 sqrt(3) on two atoms, within 0.2 and not within 0.1; a third has rounding alone."""
    frames = [frame("Li3", 1.0), frame("Si2", 2.0)]
    forces = np.array([[2.1, 2.1, 2.1], [2.1, 2.1, 1.9], [2.0, 2.0, 2.0]])
    radii, deviations = np.array([0.2, 0.1, 0.01]), np.array([0.05, 0.05, 1e-9])
    predictions = [FramePrediction(1.0, forces, force_deviations=deviations, force_radii=radii)]
    table = error_table(frames, [*predictions, FramePrediction(2.0, np.zeros((2, 3)))])
    assert table["forces_within_error"] == 0.5
    assert table["forces_error_mean_mev_per_angstrom"] == pytest.approx(150.0)
    within = [part.get("forces_within_error") for part in table["per_config_type"].values()]
    assert 0.5 in within


def held_atoms() -> tuple[list[Frame], list[FramePrediction]]:
    """Labels of 2 eV/A: errors of 0.1 on two free atoms, of 5 on a held one; a frame in which all atoms are held."""
    forces = np.array([[2.1, 2.1, 2.1], [7.0, 7.0, 7.0], [1.9, 1.9, 1.9]])
    deviations, radii = np.array([0.12, 0.01, 0.07]), np.array([0.2, 9.0, 0.1])
    frames = [replace(frame("Li3", 1.0), fixed=np.array([False, True, False]))]
    frames.append(replace(frame("Si2", 2.0, "all held"), fixed=np.ones(2, dtype=bool)))
    known = FramePrediction(1.0, forces, force_deviations=deviations, force_radii=radii)
    return frames, [known, FramePrediction(2.0, np.zeros((2, 3)), force_deviations=np.ones(2), force_radii=np.ones(2))]


def test_forces_on_held_atoms_are_no_labels() -> None:
    frames, predictions = held_atoms()
    table = error_table(frames, predictions)
    assert table["forces_mae_mev_per_angstrom"] == pytest.approx(100.0)
    assert table["forces_rmse_mev_per_angstrom"] == pytest.approx(100.0)
    assert table["forces_reference_rms_mev_per_angstrom"] == pytest.approx(2000.0)
    assert table["n_atoms_held"] == 3
    assert table["forces_within_one_deviation"] == 0.5
    assert table["n_frames_with_force_deviations"] == 1
    assert table["forces_within_error"] == 0.5
    assert table["forces_error_mean_mev_per_angstrom"] == pytest.approx(150.0)
    per_type = table["per_config_type"]
    assert per_type["default"]["forces_mae_mev_per_angstrom"] == pytest.approx(100.0)
    assert not [name for name in per_type["all held"] if name.startswith("forces")]
    assert "F: force components without those of the 3 held atoms" in explanation(table)
    assert "No errors of forces: all 2 atoms with forces are held." in explanation(per_type["all held"])


def test_parity_plots_show_the_forces_of_the_table() -> None:
    panels = parity_panels(*held_atoms())
    reference, predicted = panels["force (eV/Å)"]
    assert reference == pytest.approx(np.full(6, 2.0))
    assert predicted == pytest.approx(np.repeat([2.1, 1.9], 3))


def test_absent_labels_leave_no_key() -> None:
    table = error_table([frame("Si", None, forces=False)], [FramePrediction(0.0)])
    assert set(table) == {"n_frames", "n_atoms", "per_config_type"}


def test_constants_of_the_training_part_serve_the_test_part() -> None:
    shift = {"Li": 0.7, "Si": -1.3}

    def pair(formula: str, error: float = 0.0) -> tuple[Frame, FramePrediction]:
        labelled = frame(formula, 3.0)
        return labelled, FramePrediction(3.0 - sum(shift[s] for s in labelled.atoms.symbols) + error)

    train_frames, train_predictions = zip(*[pair("Li2"), pair("LiSi3"), pair("Si2")], strict=True)
    constants = element_constants(train_frames, train_predictions)
    assert constants.as_dict() == pytest.approx(shift)
    test_frame, prediction = pair("Li3Si", error=0.008)
    table = error_table([test_frame], [prediction], constants)
    assert table["energy_mae_mev_per_atom"] == pytest.approx(2.0)


def test_numbers_must_match() -> None:
    with pytest.raises(ValueError, match=r"predictions must be one per frame \(1\), got 0"):
        error_table([frame("Si", 0.0)], [])
