"""Errors of a model as a table for people, with what its columns mean."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rhopot.potentials.console import table

COLUMNS = (
    ("frames", "n_frames", "d"),
    ("E MAE meV/atom", "energy_mae_mev_per_atom", ".3f"),
    ("E RMSE", "energy_rmse_mev_per_atom", ".3f"),
    ("F MAE meV/A", "forces_mae_mev_per_angstrom", ".2f"),
    ("F RMSE", "forces_rmse_mev_per_angstrom", ".2f"),
    ("S MAE GPa", "stress_mae_gpa", ".3f"),
    ("E std", "energy_deviation_rms_mev_per_atom", ".3f"),
    ("E <1 std", "energy_within_one_deviation", ".0%"),
    ("E <2 std", "energy_within_two_deviations", ".0%"),
    ("F std", "forces_deviation_rms_mev_per_angstrom", ".2f"),
    ("F <1 std", "forces_within_one_deviation", ".0%"),
    ("F <2 std", "forces_within_two_deviations", ".0%"),
    ("F rank", "forces_rank_correlation", ".2f"),
    ("F error", "forces_error_mean_mev_per_angstrom", ".1f"),
    ("F <error", "forces_within_error", ".0%"),
)


def explanation(errors: dict[str, Any]) -> str:
    """What the columns of an error table mean, as far as they are there."""
    quantities = {"energy": "E: energy per atom", "forces": "F: force components", "stress": "S: stress components"}
    if "n_atoms_held" in errors:
        quantities["forces"] += f" without those of the {errors['n_atoms_held']} held atoms"
    shown = [text for name, text in quantities.items() if any(key.startswith(f"{name}_mae") for key in errors)]
    sentences = [f"{', '.join(shown)}; MAE: mean absolute error, RMSE: root mean square error."] if shown else []
    if "n_atoms_held" in errors and "forces_mae_mev_per_angstrom" not in errors:
        sentences.append(f"No errors of forces: all {errors['n_atoms_held']} atoms with forces are held.")
    if "energy_deviation_rms_mev_per_atom" in errors:
        sentences.append(
            "E std: predicted standard deviation of the energy (root mean square, meV/atom); E <1 std, E <2 std: "
            "fraction of energies whose error is within one or two predicted standard deviations (68 % and 95 % for "
            "normal errors)."
        )
    if "forces_deviation_rms_mev_per_angstrom" in errors:
        some, total = errors["n_frames_with_force_deviations"], errors["n_frames"]
        chosen = "" if some == total else ", chosen evenly among those with forces: these deviations take long"
        sentences.append(
            f"F std, F <1 std, F <2 std: the same for force components (meV/A), in {some} of {total} frames{chosen}."
        )
    if "forces_rank_correlation" in errors:
        sentences.append(
            "F rank: rank correlation of predicted standard deviations and errors of these force components (1: in the "
            "same order, 0: unrelated), within the frames of the row."
        )
    if "forces_within_error" in errors:
        sentences.append(
            "F error: predicted error of the force vector on an atom (mean, meV/A); F <error: fraction of atoms whose "
            "error is within it (90 % expected)."
        )
    return " ".join(sentences)


def errors_as_table(title: str, errors: dict[str, Any], caption: bool = True) -> Table:
    """Table with a row for all frames and one per config_type; quantities without labels have no column.

    caption: whether `explanation` stands below it.
    """
    columns = [column for column in COLUMNS if column[1] in errors]
    kinds = errors["per_config_type"]
    named = {"all": errors, **(kinds if len(kinds) > 1 else {})}
    rows = [
        [name, *(f"{part[key]:{form}}" if key in part else "-" for _, key, form in columns)]
        for name, part in named.items()
    ]
    made = table(title, ["config_type", *(column[0] for column in columns)], rows)
    if caption:
        made.caption, made.caption_justify = explanation(errors), "left"
    return made
