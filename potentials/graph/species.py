"""Elements as indices into a list of symbols."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray


def species_indices(atoms: ase.Atoms, symbols: Sequence[str]) -> NDArray[np.int64]:
    """Return the index (N,) of every atom's element in `symbols`, -1 where it is not among them."""
    index = np.full(len(chemical_symbols), -1, dtype=np.int64)
    for row, symbol in enumerate(symbols):
        index[atomic_numbers[symbol]] = row
    return index[atoms.numbers]


def unknown_symbols(atoms: ase.Atoms, symbols: Sequence[str]) -> list[str]:
    """Return the elements of the atoms that are not among `symbols`."""
    return sorted(set(atoms.symbols) - set(symbols))
