"""Candidate environments of each element, from which sparse points, features and feature scales are taken.

At most `pool` centres per element: which ones depends on the seed and the data alone, never on the number of ranks.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.fitting.map_frames import map_frames
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]

# Edges per call when only features are wanted.
BATCH_EDGES = 20000


def candidate_pool(problem: FitProblem, size: int) -> list[Floats]:
    """Return on every rank, per element, the features (n <= size, F) of the candidates in the order of the data."""
    symbols, frames = problem.symbols, problem.train
    chosen = _thin([species_of(frame.atoms, symbols).numpy() for frame in frames], len(symbols), size, problem.seed)
    parts = map_frames(
        list(zip(frames, chosen, strict=True)),
        lambda one: _features(problem, *one),
        problem.communicator,
        problem.progress,
        "environments",
    )
    pool = [np.concatenate(of_element) for of_element in zip(*parts, strict=True)]
    return list(problem.communicator.broadcast(pool))


def _thin(species: list[NDArray[np.int64]], n_species: int, size: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return for each frame which atoms are candidates: at most `size` of each element, drawn without replacement."""
    every = np.concatenate(species)
    keep = np.ones(len(every), dtype=bool)
    for a in range(n_species):
        rows = np.nonzero(every == a)[0]
        if len(rows) > size:
            drawn = np.random.default_rng([seed, a]).permutation(len(rows))[size:]
            keep[rows[drawn]] = False
    return np.split(keep, np.cumsum([len(part) for part in species])[:-1])


def _features(problem: FitProblem, frame: Frame, keep: NDArray[np.bool_]) -> list[Floats]:
    """Return the candidates' features of one frame, per element."""
    species = species_of(frame.atoms, problem.symbols).numpy()
    if not keep.any():
        return [np.zeros((0, problem.descriptor.n_features)) for _ in problem.symbols]
    with torch.no_grad():
        features = np.concatenate([problem.descriptor(graph).numpy() for graph in problem.graphs(frame, BATCH_EDGES)])
    return [features[keep & (species == a)] for a in range(len(problem.symbols))]
