"""Sorted distances: two-body features whose distance from each other is a Wasserstein distance of densities.

The neighbors of an atom, as points on the axis of distances, have the density p(r) = 1/M sum_j delta(r - r_j), where
those of the M points that are no neighbors lie at the cutoff. With d the distances in ascending order,

    W_p(p, p')^p = int_0^1 ds |P^-1(s) - P'^-1(s)|^p = 1/M sum_k |d_k - d'_k|^p                     [1, eqs. 1.8, 1.9]

so the Euclidean distance of two rows d is sqrt(M) W_2, where a density on a fixed basis would give the L2 distance.
Each element of neighbors has M entries of its own. Rows are continuous, also where a neighbor crosses the cutoff, but
derivatives are not where two distances cross: they serve comparisons, and no model is fitted to them.

In : structures; settings with elements, cutoff and M
Out: (N, A M) in A, order element of the neighbor > rank of the distance. Range: one cutoff. Cost: O(E log E).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), sec. 1.2.2
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.graph.neighbours import find_edges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class SortedDistanceSettings(DescriptorSettings):
    """Distances to the neighbors of each element, in ascending order."""

    cutoff: float = Field(6.0, gt=0, le=20)
    """Radius of an atomic environment. [A]"""
    n_neighbors: int | None = Field(None, ge=1)
    """Distances of each element, of which missing ones are the cutoff; null: as many as an atom of the data has."""

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        many = "all" if self.n_neighbors is None else f"{self.n_neighbors}"
        return [f"{many} sorted distances to neighbors of each element within {self.cutoff:g} A"]


def complete(settings: SortedDistanceSettings, frames: Sequence[ase.Atoms]) -> SortedDistanceSettings:
    """Return the settings with the number of neighbors, which is taken from `frames` where it is null."""
    if settings.n_neighbors is not None:
        return settings
    counts = [_neighbors(settings, atoms)[1] for atoms in frames]
    most = max((int(count.max(initial=0)) for count in counts), default=0)
    return settings.model_copy(update={"n_neighbors": max(most, 1)})


def sorted_distances(settings: SortedDistanceSettings, atoms: ase.Atoms) -> Floats:
    """Return the features (N, A M) of every atom in A; of more than M neighbors of an element the nearest count.

    Raises:
        ValueError: no number of neighbors (`complete` finds it), or an element that the settings do not name.
    """
    if settings.n_neighbors is None:
        raise ValueError("n_neighbors must be a number, got none; use complete(settings, frames)")
    distances, counts = _neighbors(settings, atoms)
    rows = np.full((*counts.shape, settings.n_neighbors), settings.cutoff)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    rank = np.arange(len(distances)) - np.repeat(np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel())
    kept = rank < settings.n_neighbors
    rows.reshape(counts.size, -1)[cell[kept], rank[kept]] = distances[kept]
    return rows.reshape(len(atoms), -1)


def _neighbors(settings: SortedDistanceSettings, atoms: ase.Atoms) -> tuple[Floats, Integers]:
    """Return distances (E,) by centre, then element, then length, and how many each of these pairs has (N, A)."""
    species: Any = species_of(atoms, settings.symbols).numpy()
    edges = find_edges(atoms, settings.cutoff)
    pair = edges.edge_centre * len(settings.symbols) + species[edges.neighbour]
    length = np.linalg.norm(edges.vectors, axis=1)
    counts = np.bincount(pair, minlength=len(atoms) * len(settings.symbols))
    return length[np.lexsort((length, pair))], counts.reshape(len(atoms), len(settings.symbols))
