"""Probe structures and their results for the self-check of a saved model, carried between processes in `.npz` files.

Numbers travel as they are in memory, so both processes see the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from rhopot.export.evaluate import evaluate
from rhopot.export.load import LoadedModel
from rhopot.export.results import Evaluation

# Allowed difference, relative to 1 + the largest value: what another order of summation may make.
TOLERANCES = {"float64": 1e-10, "float32": 2e-5}
# The most that is put down to rounding, relative to 1 + the largest value: more is another result.
MOST_ROUNDING = 1e-5
Rounding = dict[str, float]
_RESULTS = ("energies", "energy", "forces", "virial", "members", "extrapolation_grades")


def write_structures(structures: Sequence[ase.Atoms], path: Path) -> None:
    """Store numbers, positions, cells and periodicity."""
    arrays = {}
    for k, atoms in enumerate(structures):
        arrays[f"numbers_{k}"] = atoms.numbers
        arrays[f"positions_{k}"] = atoms.positions
        arrays[f"cell_{k}"] = atoms.cell.array
        arrays[f"pbc_{k}"] = atoms.pbc
    np.savez(path, n=np.array(len(structures)), **arrays)


def read_structures(path: Path) -> list[ase.Atoms]:
    """The structures that `write_structures` stored."""
    with np.load(path) as stored:
        return [
            ase.Atoms(
                numbers=stored[f"numbers_{k}"],
                positions=stored[f"positions_{k}"],
                cell=stored[f"cell_{k}"],
                pbc=stored[f"pbc_{k}"],
            )
            for k in range(int(stored["n"]))
        ]


def write_results(results: Sequence[Evaluation], path: Path) -> None:
    """Store what is compared of each result."""
    arrays = {
        f"{name}_{k}": value
        for k, result in enumerate(results)
        for name in _RESULTS
        if (value := getattr(result, name)) is not None
    }
    np.savez(path, **arrays)


def rounding(model: LoadedModel, structures: Sequence[ase.Atoms], expected: Sequence[Evaluation]) -> list[Rounding]:
    """By how much rounding alone changes the results of a global model, by name, for each structure.

    Its energy is a sum of large terms that cancel, so that the last digits of the features show in it. They are other
    ones for structures that are longer by some 1e-15.
    """
    found: list[Rounding] = [{} for _ in structures]
    for step in (1, -1, 3):
        scaled = [_longer(atoms, 1.0 + step * 2.0**-50) for atoms in structures]
        for k, result in enumerate(evaluate(model, scaled, members=model.card.uncertainty.members > 0)):
            for name in _RESULTS:
                value, known = getattr(result, name), getattr(expected[k], name)
                if value is not None and np.size(value):
                    change = float(np.abs(np.asarray(value) - np.asarray(known)).max())
                    found[k][name] = max(found[k].get(name, 0.0), change)
    return found


def _longer(atoms: ase.Atoms, factor: float) -> ase.Atoms:
    longer = atoms.copy()
    longer.set_cell(factor * atoms.cell.array, scale_atoms=False)
    longer.positions = factor * atoms.positions
    return longer


def differences(
    model: LoadedModel, expected: Sequence[Evaluation], path: Path, known: Sequence[Rounding] = ()
) -> list[str]:
    """Sentences on every result in a file that differs from the expected one by more than the dtype allows.

    known: what rounding does to these results (`rounding`); ten times that is allowed as well, MOST_ROUNDING at most.
    """
    tolerance = TOLERANCES[model.card.dtype]
    sentences = []
    with np.load(path) as stored:
        for k, result in enumerate(expected):
            for name in _RESULTS:
                value = np.asarray(getattr(result, name))
                if value.dtype == object or value.size == 0:
                    continue
                error = float(np.abs(stored[f"{name}_{k}"] - value).max())
                size = 1.0 + float(np.abs(value).max())
                allowed = tolerance * size
                if known:
                    allowed += min(10.0 * known[k].get(name, 0.0), MOST_ROUNDING * size)
                if not error <= allowed:
                    sentences.append(f"probe {k} differs in {name} by {error:.2e} (allowed {allowed:.2e})")
    return sentences
