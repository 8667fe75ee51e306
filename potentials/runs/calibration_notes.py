"""What the calibration of a model's uncertainty says of its use, in words."""

from __future__ import annotations

from typing import Any

# Spearman's rank correlation of predicted deviations with errors, below which the former say little of the latter.
LEAST_RANK_CORRELATION = 0.2


def order_of_deviations(force_calibration: Any) -> str | None:
    """How well predicted deviations of forces order the errors, from the part `force_calibration` of a report or card.

    None where the forces are not calibrated, or by a version that did not measure it.
    """
    rank = force_calibration.get("rank_correlation") if isinstance(force_calibration, dict) else None
    if not isinstance(rank, int | float):
        return None
    found = f"predicted standard deviations of forces and force errors have a rank correlation of {rank:.2f}"
    if orders_structures(force_calibration):
        return f"{found}; below about {LEAST_RANK_CORRELATION:g} the deviations would not order structures"
    return (
        f"{found}, below about {LEAST_RANK_CORRELATION:g}: the deviations do not order structures; do not choose "
        "structures to label by them"
    )


def orders_structures(force_calibration: Any) -> bool:
    """Whether structures of larger predicted deviations of forces tend to have larger errors."""
    return float(force_calibration["rank_correlation"]) >= LEAST_RANK_CORRELATION
