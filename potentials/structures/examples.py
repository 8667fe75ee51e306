"""A few structures that stand for a data set, small enough to travel in a model file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rhopot.potentials.structures.composition import CompositionBaseline, is_isolated_atom
from rhopot.potentials.structures.frames import Frame

LARGEST = 256  # atoms of an example
COUNT = 3
LARGEST_CELL = 150.0  # A^3 of a crystal with one atom in its cell
DIGITS = 6  # of positions and cell in A, of forces in eV/A


def example_structures(frames: Iterable[Frame], baseline: CompositionBaseline) -> list[dict[str, Any]]:
    """Up to three frames of the lowest energies of their kind, as plain JSON values.

    Kinds are compositions, or config_types where there is one composition; of many, those are taken that share the
    range of compositions evenly. Keys: symbols (a formula in order), positions, cell (A), pbc, and where the frame has
    them forces (eV/A).
    """
    usable = [frame for frame in frames if len(frame) <= LARGEST and _is_matter(frame)]
    formulas = {_formula(frame) for frame in usable}
    lowest: dict[str, tuple[float, Frame]] = {}
    for frame in usable:
        kind = _formula(frame) if len(formulas) > 1 else frame.config_type
        energy = residual(frame, baseline) if frame.energy is not None else np.inf
        if kind not in lowest or energy < lowest[kind][0]:
            lowest[kind] = (energy, frame)
    ordered = sorted((frame for _, frame in lowest.values()), key=lambda frame: (_share(frame, baseline), frame.name))
    chosen = np.unique(np.linspace(0, len(ordered) - 1, min(COUNT, len(ordered))).round().astype(int))
    return [_plain(ordered[k]) for k in chosen]


def residual(frame: Frame, baseline: CompositionBaseline) -> float:
    """Energy per atom (eV) of a labelled frame without those of its elements."""
    return (float(frame.energy or 0.0) - baseline.energy(frame.atoms)) / len(frame)


def energy_range(frames: Iterable[Frame], baseline: CompositionBaseline) -> list[float] | None:
    """Lowest and highest energy per atom (eV) without those of the elements; None without energies."""
    values = [residual(frame, baseline) for frame in frames if frame.energy is not None and _is_matter(frame)]
    return [round(min(values), 6), round(max(values), 6)] if values else None


def _is_matter(frame: Frame) -> bool:
    """Whether the frame holds bonded atoms: several, or one in the small cell of a crystal."""
    if len(frame) > 1:
        return True
    return bool(frame.atoms.pbc.all()) and not is_isolated_atom(frame) and frame.atoms.get_volume() < LARGEST_CELL


def _formula(frame: Frame) -> str:
    return str(frame.atoms.symbols.formula.reduce()[0].format("hill"))


def _share(frame: Frame, baseline: CompositionBaseline) -> float:
    """Share of the first element."""
    return float(np.mean([symbol == baseline.symbols[0] for symbol in frame.atoms.symbols]))


def _plain(frame: Frame) -> dict[str, Any]:
    atoms = frame.atoms
    # Forces on atoms that a constraint held are not fitted: such a frame has none to compare with.
    known = frame.forces if frame.fixed is None else None
    forces = {} if known is None else {"forces": np.round(known, DIGITS).tolist()}
    return {
        **forces,
        "symbols": atoms.get_chemical_formula(mode="reduce"),
        "positions": np.round(atoms.positions, DIGITS).tolist(),
        "cell": np.round(atoms.cell.array, DIGITS).tolist(),
        "pbc": atoms.pbc.tolist(),
    }
