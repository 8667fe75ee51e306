"""Shortest distance of every pair of elements in a data set: below it, nothing is known and a repulsion has to act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from ase import Atoms

from rhopot.potentials.graph.neighbours import Search, find_edges
from rhopot.potentials.pair.base import unordered_pairs
from rhopot.potentials.pair.zbl import pair_name
from rhopot.potentials.structures.frames import Frame


def shortest_distances(
    frames: Iterable[Frame], symbols: Sequence[str], reach: float, search: Search = find_edges
) -> dict[str, float]:
    """Shortest distance in A of each pair of `symbols` that occurs within `reach` (A), named like `Li-Si`.

    Pairs that do not occur are missing; names have the elements in the order of `symbols`.
    """
    row = {symbol: a for a, symbol in enumerate(symbols)}
    shortest = np.full((len(symbols), len(symbols)), np.inf)
    for frame in frames:
        edges = search(frame.atoms, reach)
        species = np.array([row[symbol] for symbol in frame.atoms.symbols])
        pairs = species[edges.edge_centre], species[edges.neighbour]
        np.minimum.at(shortest, pairs, np.linalg.norm(edges.vectors, axis=1))
    found = {(a, b): min(shortest[a, b], shortest[b, a]) for a, b in unordered_pairs(len(symbols))}
    return {pair_name(symbols[a], symbols[b]): float(r) for (a, b), r in found.items() if np.isfinite(r)}


def pair_too_close(atoms: Atoms, closest: Mapping[str, float]) -> str | None:
    """A pair of elements, two atoms of which are closer than allowed; None where all distances are.

    closest: A, by the pair in alphabetical order (`Li-Si`); pairs that are not there may be at any distance
    """
    reach = max(closest.values(), default=0.0)
    if reach <= 0.0:
        return None
    found = shortest_distances([Frame(atoms)], sorted(set(atoms.get_chemical_symbols())), reach)
    return next((pair for pair, distance in found.items() if distance < closest.get(pair, 0.0)), None)
