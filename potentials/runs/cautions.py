"""What the reader of a training report must be careful about, from the numbers of `report.json`.

Each caution is a short title and what follows from it; the most serious come first. The limits are rules of thumb:
they decide what is said, and no number of the model depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rhopot.potentials.pair import describe_repulsion
from rhopot.potentials.runs.calibration_notes import LEAST_RANK_CORRELATION, correlates, rank_of_deviations

FEW_FRAMES = 20  # validation structures, below which an error of the set is itself uncertain
FEW_GROUPS = 5
OVERFITTED = 5.0  # ratio of validation to training error
POOR_FORCES = 0.5  # force RMSE relative to the forces themselves
BADLY_CALIBRATED = (0.45, 0.9)  # fraction within one standard deviation; 0.68 is normal


def cautions(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and sentences of each caution; empty where nothing stood out."""
    return [
        *_runaway(report),
        *_errors(report["errors"]),
        *_missing_structures(report),
        *_missing_labels(report),
        *_untried(report),
        *_validation_set(report),
        *_training_length(report["fit"]),
        *_uncertainty(report),
        *_short_distances(report),
        *_extrapolations(report),
    ]


def _runaway(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for run in report["stability"]:
        if run["fault"]:
            yield (
                "RUNAWAY in hot dynamics",
                f"{run['sentence']}. Do not use the model for dynamics: add training structures of the kind reached "
                "(see the energies and distances named here), or fit less closely",
            )


def _errors(errors: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    train, validation = errors.get("train", {}), errors.get("validation", {})
    for name, key, unit in (
        ("Energy", "energy_rmse_mev_per_atom", "meV/atom"),
        ("Force", "forces_rmse_mev_per_angstrom", "meV/Å"),
    ):
        if train.get(key) and validation.get(key) and validation[key] > OVERFITTED * train[key]:
            yield (
                f"{name} errors are {validation[key] / train[key]:.0f} times larger on the validation set",
                f"RMSE {train[key]:.3g} {unit} on the training set and {validation[key]:.3g} {unit} on the validation "
                "set: the model is overfitted, or the validation structures are of another kind. "
                "Training errors say nothing about this model",
            )
    reference = validation.get("forces_reference_rms_mev_per_angstrom")
    if reference and validation["forces_rmse_mev_per_angstrom"] > POOR_FORCES * reference:
        part = validation["forces_rmse_mev_per_angstrom"] / reference
        yield (
            "Forces are poor",
            f"their RMSE on the validation set is {part:.0%} of the forces themselves; predicting zero gives 100%",
        )


def _validation_set(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data, fit = report["training_data"]["summary"], report["fit"]
    calibration = fit.get("force_calibration") or fit.get("calibration") or {}
    groups = calibration.get("n_groups")
    if data["n_validation"] < FEW_FRAMES or (groups is not None and groups < FEW_GROUPS):
        of = f" of {_count(groups, 'group')}" if groups is not None else ""
        yield (
            "Few validation data",
            f"errors and the calibration of the uncertainty rest on {_count(data['n_validation'], 'structure')}{of}; "
            "they may be very different on others. Evaluate the model on a test set",
        )
    if data.get("fitted_to_validation"):
        yield (
            "The saved model is fitted to the validation set too",
            "the errors above are those of a model of the training set alone; on structures of the validation set "
            "`rhopot evaluate model.pt` shows training errors. `data.split.refit=false` keeps that set out",
        )
    elif fit.get("epochs"):
        yield (
            "The validation set chose the weights",
            "it stopped the training early, so its errors are slightly optimistic. Evaluate the model on a test set",
        )


def _missing_structures(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data, validation = report["training_data"]["summary"], report["errors"].get("validation", {})
    absent = sorted(set(validation.get("per_config_type", {})) - set(data["config_types"]))
    if absent:
        yield (
            "Configurations missing from the training set",
            f"the validation set holds config_type {', '.join(absent)}, the training set does not",
        )
    shortest = data.get("shortest_distances")
    symbols = report["symbols"]
    pairs = [f"{a}-{b}" for k, a in enumerate(symbols) for b in symbols[k:]]
    apart = [pair for pair in pairs if shortest and pair not in shortest]
    if apart:
        yield (
            "Pairs of elements missing from the training set",
            f"{', '.join(apart)} are never neighbors there; structures with such neighbors are extrapolations",
        )


def _extrapolations(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is true of nearly every model."""
    if report["free_atoms"]:
        yield "No free atoms in the training set", report["free_atoms"][:1].upper() + report["free_atoms"][1:]
    kinds = ", ".join(report["training_data"]["summary"]["config_types"])
    yield (
        "The model knows what it was trained on",
        f"That is config_type {kinds}. Other kinds of structures (surfaces, defects, liquids, pressures or "
        "compositions that are not among these) are extrapolations",
    )


def _missing_labels(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data = report["training_data"]["summary"]
    counts = data["targets"]
    for name, title, text in (
        ("forces", "No forces were fitted", "forces, dynamics and relaxations rest on differences of energies alone"),
        (
            "stress",
            "No stresses were fitted",
            "pressures, relaxed cells and elastic constants are less reliable than energies and forces at given cells",
        ),
    ):
        if not counts.get(name):
            there = data.get("not_fitted", {}).get(name)
            remedy = f". {there} training structures carry them, but `targets.{name}` is null" if there else ""
            if name == "stress" and "wrong_stresses" in data:
                remedy = f". {data['wrong_stresses'][:1].upper()}{data['wrong_stresses'][1:]}"
            yield title, text + remedy


def _short_distances(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    shortest = report["training_data"]["summary"].get("shortest_distances")
    if not shortest:
        return
    nearest = ", ".join(f"{pair} {distance:.2f} Å" for pair, distance in shortest.items())
    pair = report["settings"]["baseline"]["pair"]
    if report["kind"] == "local" and pair is not None:
        text = f"below the shortest distances of the training set ({nearest}) only the pair baseline holds atoms "
        text += "apart"
        text += "".join(f". {line}" for line in describe_repulsion(pair, shortest) if line.startswith("note"))
    else:
        text = f"the model has no repulsion: atoms closer than in the training set ({nearest}) may fuse"
    yield "Short distances", text


def _uncertainty(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    fit, validation = report["fit"], report["errors"].get("validation", {})
    if not report["settings"]["uncertainty"]["members"] or "energy_deviation_rms_mev_per_atom" not in validation:
        yield (
            "No uncertainty",
            "the model has no ensemble members and does not know where it fails (`uncertainty.members`, and at least "
            "three validation structures with energies)",
        )
        return
    forces, energies = fit.get("force_calibration"), fit.get("calibration") or {}
    uncorrelated = []
    if forces is None:
        fitted = report["settings"]["targets"]["forces"] is not None
        why = (
            "too few forces that do not vanish in the validation set"
            if fitted
            else "no forces are fitted (`targets.forces` is null)"
        )
        yield (
            "The predicted uncertainty of forces is not calibrated",
            f"{why}; use it to compare atoms, not as an error",
        )
    elif not correlates(forces):
        uncorrelated.append(rank_of_deviations(forces) or "")
    rank = energies.get("rank_correlation")
    if rank is not None and rank < LEAST_RANK_CORRELATION:
        uncorrelated.append(
            "predicted standard deviations of energies and energy errors have a rank correlation of "
            f"{rank:.2f}, below about {LEAST_RANK_CORRELATION:g}"
        )
    if uncorrelated:
        text = ". ".join(part[:1].upper() + part[1:] for part in uncorrelated)
        yield "The predicted uncertainty does not correlate with the errors", text
    inside, (least, most) = validation["energy_within_one_deviation"], BADLY_CALIBRATED
    if not least <= inside <= most:
        yield (
            "The predicted uncertainty of energies is not the size of their errors",
            f"{inside:.0%} of the validation energies are within one standard deviation, where 68% are expected",
        )


def _training_length(fit: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    best, epochs = fit.get("best_epoch"), fit.get("epochs")
    if not best or not epochs:
        return
    back = sum(int(row.get("members_taken_back", 0)) for row in epochs)
    if back:
        yield (
            "The training was unstable",
            f"the loss exploded {back} time(s), and the network went back to the last sound epoch with half the "
            "learning rate; lower `training.learning_rate`",
        )
    last = len(epochs)
    late = sum(epoch > 0.95 * last for epoch in best)
    if late > len(best) / 2:
        yield (
            "The training may be too short",
            f"{late} of {len(best)} members were still improving in the last of {last} epochs; raise `training.epochs`",
        )


def _untried(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not report["stability"]:
        yield "Dynamics were not tried", "`rhopot check` runs hot dynamics of training structures"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
