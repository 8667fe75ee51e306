"""Sentences on the short-range repulsion of a model, for the training's output, its report and `rhopot info`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rhopot.potentials.pair.zbl import ZblSettings

TOLERANCE = 1e-3  # A: distances are rounded down when they are taken from the data


def describe_repulsion(settings: Mapping[str, Any] | None, shortest: Mapping[str, float]) -> list[str]:
    """Distances below which the repulsion of `baseline.pair` acts, by pair of elements.

    settings: the section as a mapping, zbl with the distances of every pair (`ZblSettings.completed`)
    shortest: shortest distance (A) of each pair in the training data.
    """
    if settings is None:
        return ["repulsion: none (baseline.pair is null); atoms closer than those of the training data may fuse"]
    if settings.get("kind") != "zbl":
        return [f"pair baseline: {settings.get('kind')}"]
    outer = ZblSettings.model_validate(settings).outer
    if not isinstance(outer, dict):  # settings of a file that carries one number for all pairs
        return [f"repulsion: zbl below {outer} A"]
    lines = ["repulsion: zbl, below " + ", ".join(_pair(name, end, shortest) for name, end in outer.items())]
    inside = [name for name, end in outer.items() if name in shortest and end > shortest[name] + TOLERANCE]
    if inside:
        lines.append(
            f"note: for {', '.join(inside)} the repulsion acts on training structures too, by its own settings"
        )
    return lines


def _pair(name: str, outer: float, shortest: Mapping[str, float]) -> str:
    """One pair with where its distance comes from."""
    if name not in shortest:
        return f"{outer:.2f} A for {name} (not in the training data)"
    if abs(outer - shortest[name]) <= TOLERANCE:
        return f"{outer:.2f} A for {name} (shortest distance in the training data)"
    return f"{outer:.2f} A for {name} (shortest in the training data: {shortest[name]:.2f} A)"
