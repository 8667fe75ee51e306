"""What a saved model is compared on: probe structures and their results, carried between processes in `.npz` files.

Numbers travel as they are in memory, so both processes see the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np

from rhopot.export.load import LoadedModel
from rhopot.export.results import Evaluation

# Allowed difference, relative to 1 + the largest value: what another order of summation may make.
TOLERANCES = {"float64": 1e-10, "float32": 2e-5}
_RESULTS = ("energies", "energy", "forces", "virial", "members")


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


def differences(model: LoadedModel, expected: Sequence[Evaluation], path: Path) -> list[str]:
    """Sentences on every result in a file that differs from the expected one by more than the dtype allows."""
    tolerance = TOLERANCES[model.card.dtype]
    sentences = []
    with np.load(path) as stored:
        for k, result in enumerate(expected):
            for name in _RESULTS:
                value = np.asarray(getattr(result, name))
                if value.dtype == object or value.size == 0:
                    continue
                error = float(np.abs(stored[f"{name}_{k}"] - value).max())
                allowed = tolerance * (1.0 + float(np.abs(value).max()))
                if not error <= allowed:
                    sentences.append(f"probe {k} differs in {name} by {error:.2e} (allowed {allowed:.2e})")
    return sentences
