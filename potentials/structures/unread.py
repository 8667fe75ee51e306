"""Entries that may be forces or stresses under names that nobody gave: said where none were found.

Forces are per-atom arrays of three real numbers, stresses are entries of 6 or 9 real numbers of structures with a
volume. Names and values of what is known to be something else (velocities, dipoles, the lattice, ...) do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.structures.geometry import volume
from rhopot.potentials.structures.keys import ALIASES, AUTO_KEY, Key, Keys, Labels

# Parts of the names of other vectors of atoms, and of other tensors of structures.
OTHER_VECTORS = (
    *("pos", "coord", "frac", "scaled", "unwrap", "disp", "vel", "mom", "mag", "spin", "dip", "polar", "field"),
    *("charge", "born", "error", "uncert", "std", "rhopot_"),
)
OTHER_TENSORS = (
    *("lattice", "cell", "box", "strain", "deform", "rotat", "transform", "polar", "dielectric", "epsilon", "quadru"),
    *("elastic", "error", "uncert", "std", "rhopot_"),
)


def unread_notes(
    structures: Sequence[ase.Atoms],
    labels: Sequence[Labels],
    used: Mapping[str, Key],
    keys: Keys,
    sought: Collection[str],
    option: str,
) -> list[str]:
    """Return a note on forces and one on stresses, where none are read and frames carry what may be some.

    used: the key of each target; sought: targets to look for; option: how a key is set
    """
    notes = []
    if "forces" in sought and keys.forces == AUTO_KEY and "forces" not in used:
        names = _frames_of(structures, labels, OTHER_VECTORS, _is_vector_of_atoms)
        if names:
            notes.append(
                f"no forces are read; per-atom arrays of three numbers that are not used: {_listed(names)}; where "
                f"{_one(names)} forces, name it: {option.format('forces', next(iter(names)))}"
            )
    if "stress" in sought and keys.stress == AUTO_KEY and not {"stress", "virial"} & set(used):
        names = _frames_of(structures, labels, OTHER_TENSORS, _is_tensor)
        if names:
            first = next(iter(names))
            notes.append(
                f"no stresses are read; entries of 6 or 9 numbers that are not used: {_listed(names)}; where "
                f"{_one(names)} stresses, name it: {option.format('stress', first)} (virials: "
                f"{option.format('virial', first)})"
            )
    return notes


def _frames_of(
    structures: Sequence[ase.Atoms],
    labels: Sequence[Labels],
    others: Iterable[str],
    fits: Callable[[ase.Atoms, str, NDArray[Any]], bool],
) -> dict[str, int]:
    """Number of frames by the name of the entries that `fits` accepts, most frames first."""
    known = {key for aliases in ALIASES.values() for key in aliases}
    found: Counter[str] = Counter()
    for atoms, entries in zip(structures, labels, strict=True):
        for name, value in entries.items():
            if name in known or any(word in name.lower() for word in others):
                continue
            array = _reals(value)
            if array is not None and fits(atoms, name, array):
                found[name] += 1
    return dict(found.most_common())


def _reals(value: Any) -> NDArray[Any] | None:
    """An array of real numbers, None for everything else."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array if array.dtype.kind == "f" else None


def _is_vector_of_atoms(atoms: ase.Atoms, name: str, array: NDArray[Any]) -> bool:
    """Three numbers of each atom; of three atoms, only what is not a 3 x 3 entry of the structure."""
    return array.shape == (len(atoms), 3) and (len(atoms) != 3 or name not in atoms.info)


def _is_tensor(atoms: ase.Atoms, name: str, array: NDArray[Any]) -> bool:
    """6 or 9 numbers of a structure with a volume that are not its lattice."""
    if array.shape not in ((6,), (9,), (3, 3)) or name in atoms.arrays or volume(atoms) == 0.0:
        return False
    if array.size == 6:
        return True
    tensor, lattice = array.reshape(3, 3), atoms.cell.array
    return not any(np.allclose(tensor, one, atol=1e-6) for one in (lattice, lattice.T))


def _listed(names: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count} frames)" for name, count in names.items())


def _one(names: Mapping[str, int]) -> str:
    return "it holds" if len(names) == 1 else "one of them holds"
