"""`rhopot info`: what a model file is, from its card alone (no torch model is opened)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ase import Atoms

from rhopot.export import ModelCard, read_card
from rhopot.potentials.console import make_console, rounded, table
from rhopot.potentials.families import FamilyError, UnknownFamilyError, find_family
from rhopot.potentials.families.described import described_settings
from rhopot.potentials.pair import describe_repulsion
from rhopot.potentials.runs.calibration_notes import correlates, radii_of_errors, rank_of_deviations
from rhopot.potentials.units import UNLIMITED_STRETCH

# Arrays with more numbers than this are shown by their shape.
MOST_NUMBERS = 24


def info(model: Path) -> None:
    """Print the card of a model file."""
    card = read_card(model)
    console = make_console()
    console.print(table(f"{model} ({model.stat().st_size / 2**20:.2f} MiB)", ("", ""), _rows(card), words=True))
    for note in notes(card):
        console.print(f"note: {note}")


def notes(card: ModelCard) -> list[str]:
    """What a user of the model should know and may not expect."""
    found = []
    if card.descriptor.get("cutoff_function") in ("shifted_cosine", "step"):
        order = "C1" if card.descriptor["cutoff_function"] == "shifted_cosine" else "not even continuous"
        found.append(f"cutoff function {card.descriptor['cutoff_function']}: the energy is {order} at the cutoff")
    if card.kind == "global":
        found.append("a global model: no energies or stresses of atoms, and every process holds all atoms")
    if card.kind == "global" and card.default_stretch < UNLIMITED_STRETCH:
        found.append(
            "energies are one smooth curve as long as edges of the cell stay below "
            f"{card.default_stretch:g} times those at the start of a run; ask for more by stretch=... (ASE) or "
            "'pair_style rhopot stretch ...' (LAMMPS)"
        )
    found += _notes_of_the_family(card)
    if card.uncertainty.members == 0:
        found.append("no members: the model does not know its own uncertainty")
    elif not card.uncertainty.force_factors:
        found.append("the predicted uncertainty of forces is not calibrated: no errors of forces were known")
    deviations = rank_of_deviations(card.fit.get("force_calibration"))
    if deviations is not None and not correlates(card.fit["force_calibration"]):
        found.append(deviations)
    if card.dtype == "float32":
        found.append("computes in float32: energies carry rounding of about 1e-6 relative")
    return found


def _cutoff(card: ModelCard) -> str:
    """The cutoff, and how far the energy of an atom depends on others through layers of messages."""
    length, unit = card.cutoff, card.units.length
    further = f" of a layer; an atom depends on others within {card.n_layers * length:g} {unit}"
    return f"{length:g} {unit}{further * (card.n_layers > 1)}"


def _rows(card: ModelCard) -> list[tuple[str, str]]:
    versions = card.versions
    rows = [
        ("family", f"{card.family} ({card.kind}, {card.n_layers} layer(s))"),
        ("elements", ", ".join(card.symbols)),
        ("cutoff" if card.kind == "local" else "reach", _cutoff(card)),
        ("units", f"{card.units.energy}, {card.units.length}"),
        ("dtype", card.dtype),
        ("members", str(card.uncertainty.members)),
        ("environments", "graded: extrapolation_grade, supported" if card.uncertainty.extrapolation else "not graded"),
        ("baseline", ", ".join(f"{symbol} {energy:.6f} eV" for symbol, energy in card.baseline_energies.items())),
        *_in_words(card),
        *_settings("descriptor", card.descriptor),
        *_repulsion(card),
        *_error_of_forces(card),
        *_settings("fit", card.fit),
        *_settings("trained on", _with_validation(_without_structures(card.training_data.summary))),
        ("data hash", card.training_data.hash),
        *_settings("errors", card.metrics),
        ("written by", f"rhopot {versions.rhopot}, torch {versions.torch}"),
        ("operators", ", ".join(versions.operators) or "none"),
        ("format", f"version {card.format_version}"),
    ]
    return [*rows, *(("cite", reference) for reference in card.references)]


def _notes_of_the_family(card: ModelCard) -> list[str]:
    """What its family says of every model, or why the family says nothing; the model runs without it."""
    try:
        family = find_family(card.family)
    except UnknownFamilyError:
        return [f"family {card.family} is not installed here: the model runs, but cannot be put into words"]
    except FamilyError as error:
        return [str(error)]
    try:
        described_settings(family, card.descriptor)
    except FamilyError as error:
        return [*family.notes, str(error)]
    return list(family.notes)


def _in_words(card: ModelCard) -> list[tuple[str, str]]:
    """What the family is and what its descriptor's settings mean, where the family is known."""
    try:
        family = find_family(card.family)
        lines = family.describe(described_settings(family, card.descriptor))
    except FamilyError:  # of which the notes speak
        return []
    return [("in words" if k == 0 else "", line) for k, line in enumerate(lines)]


def _repulsion(card: ModelCard) -> list[tuple[str, str]]:
    """Where the model's short-range repulsion acts, for files that say it."""
    shortest: Any = card.training_data.summary.get("shortest_distances")
    baseline: Any = card.fit.get("baseline")
    if card.kind != "local" or shortest is None or not isinstance(baseline, dict):
        return []
    lines = describe_repulsion(baseline.get("pair"), shortest)
    return [("short range" if k == 0 else "", line) for k, line in enumerate(lines)]


def _error_of_forces(card: ModelCard) -> list[tuple[str, str]]:
    """The predicted error of forces, for files that know it."""
    words = radii_of_errors(card.fit.get("force_calibration"))
    return [] if words is None else [("force error", words)]


def _without_structures(summary: dict[str, Any]) -> dict[str, Any]:
    """What the model was trained on, with the formulas of the structures that the file carries in their place."""
    examples = summary.get("examples")
    if not isinstance(examples, list):
        return summary
    formulas = [Atoms(one["symbols"]).get_chemical_formula() for one in examples]
    return {**summary, "examples": ", ".join(formulas) or "none"}


def _with_validation(summary: dict[str, Any]) -> dict[str, Any]:
    """What the model was trained on, with the validation part beside the frames that it was taken from."""
    if not {"n_frames", "n_validation", "fitted_to_validation", "split"} <= {*summary}:
        return summary
    n_frames, n_validation, split = (summary[key] for key in ("n_frames", "n_validation", "split"))
    if summary["fitted_to_validation"]:
        words = f"{n_frames}, and the {n_validation} of the validation part once errors on it were known ({split})"
    else:
        words = f"{n_frames}; {n_validation} more for validation ({split}), not fitted"
    others = {
        key: value for key, value in summary.items() if key not in ("n_validation", "fitted_to_validation", "split")
    }
    return {**others, "n_frames": words}


def _settings(title: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    """Nested settings, one line per key; a section within a section has its key before its own."""
    rows = []
    for key, text in _flat(values):
        rows.append((title, f"{key} = {text}"))
        title = ""
    return rows


def _flat(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict) and value and path.count(".") < 1:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value if isinstance(value, str) else _in_short(value)


def _in_short(value: Any) -> str:
    """A value as JSON; a large array by its shape."""
    shape: list[int] = []
    inner = value
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    return f"array of shape {tuple(shape)}" if math.prod(shape) > MOST_NUMBERS else json.dumps(rounded(value))
