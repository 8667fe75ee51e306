"""What the calibration of a model's uncertainty says of its use, in words."""

from __future__ import annotations

from typing import Any

# Spearman's rank correlation of predicted deviations with errors, below which the former say little of the latter.
LEAST_RANK_CORRELATION = 0.2


def rank_of_deviations(force_calibration: Any) -> str | None:
    """How predicted deviations of forces correlate with the errors, from `force_calibration` of a report or card.

    None where the forces are not calibrated, or by a version that did not measure it.
    """
    rank = force_calibration.get("rank_correlation") if isinstance(force_calibration, dict) else None
    if not isinstance(rank, int | float):
        return None
    found = f"predicted standard deviations of forces and force errors have a rank correlation of {rank:.2f}"
    if not correlates(force_calibration):
        found += f", below about {LEAST_RANK_CORRELATION:g}: they do not correlate; "
        found += "do not select structures to label by them"
    if len(force_calibration.get("factors") or {}) > 1:
        found += ". It is computed over the force components of all elements together"
        found += "; within one element it can be near zero" if correlates(force_calibration) else ""
    return found


def notes_on_forces(force_calibration: Any) -> list[str]:
    """What there is to say of the predicted uncertainty and error of forces."""
    return [note for note in (rank_of_deviations(force_calibration), radii_of_errors(force_calibration)) if note]


def radii_of_errors(force_calibration: Any) -> str | None:
    """The predicted error of the force on an atom, from `force_calibration` of a report or card.

    None where the forces are not calibrated, or by a version that had no such error.
    """
    radii = force_calibration.get("radii") if isinstance(force_calibration, dict) else None
    if not radii:
        return None
    parts = [
        f"{one['multiple']:.2f} sqrt(sigma^2 + {one['floor']:.2g}^2) eV/A on {symbol}" for symbol, one in radii.items()
    ]
    return (
        "predicted error of the force on an atom, within which 90 % of the errors lie: "
        f"{', '.join(parts)}, with the predicted standard deviation sigma; it holds "
        f"{force_calibration['within_radius']:.0%} of the validation errors that it was made from"
    )


def correlates(force_calibration: Any) -> bool:
    """Whether larger predicted deviations of forces tend to go with larger errors."""
    return float(force_calibration["rank_correlation"]) >= LEAST_RANK_CORRELATION
