"""Extrapolation grade of a model from the features of its training data (`rhopot.potentials.models.extrapolation`).

For each element of the centre: principal components of the features of training atoms, and the limit of T that 99.9%
of the atoms stay within when they are held against the mean and covariance of other structures. Structures are
dealt into `FOLDS` folds by their groups, so that frames of one trajectory do not vouch for each other; frames of a
single group are dealt one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.map_frames import map_frames
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.graph.atomic_graph import graphs
from rhopot.potentials.graph.neighbours import Search
from rhopot.potentials.models.extrapolation import ExtrapolationGrade
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]

LEVEL = 0.999
FOLDS = 5
MOST_COMPONENTS = 100
ATOMS_PER_COMPONENT = 10  # fewer do not know the variance along it
FEWEST_ATOMS = 20  # of an element; fewer say nothing about where its environments end
MOST_ATOMS = 40_000
MOST_NUMBERS = 30_000_000  # features of all atoms together: 240 MB
MOST_WEIGHTS = 1_000_000  # of the directions of an element: 8 MB in the model file
# Directions that vary less, in units of the largest feature vector, are rounding noise of float32.
LEAST_DEVIATION = 1e-5
MAX_EDGES = 32768


def fit_extrapolation(
    frames: Sequence[Frame],
    descriptor: Descriptor,
    symbols: Sequence[str],
    search: Search,
    communicator: Communicator,
    progress: Progress,
) -> ExtrapolationGrade | None:
    """Return the grade of environments as in `frames`, on every process; None where they are too few.

    Large data sets are represented by some of their frames, evenly chosen: at most `MOST_ATOMS` atoms.
    """
    most = min(MOST_ATOMS, MOST_NUMBERS // descriptor.n_features)
    total = sum(len(frame) for frame in frames)
    step = max(1.0, total / most)
    chosen = [frames[int(k * step)] for k in range(int(len(frames) / step))]

    def features(frame: Frame) -> tuple[Floats, NDArray[np.int64]]:
        parts, species = [], []
        with torch.no_grad():
            for graph in graphs(frame.atoms, symbols, descriptor.cutoff, MAX_EDGES, search):
                parts.append(descriptor(graph).numpy())
                species.append(graph.species[graph.centre].numpy())
        return np.concatenate(parts), np.concatenate(species)

    found = map_frames(chosen, features, communicator, progress, "environments")
    grade = None
    if communicator.rank == 0 and found:
        folds = _folds([frame.group for frame in chosen])
        rows = np.concatenate([part for part, _ in found])
        species = np.concatenate([part for _, part in found])
        fold = np.repeat(folds, [len(part) for part, _ in found])
        parts = [_of_element(rows[species == s], fold[species == s]) for s in range(len(symbols))]
        if all(directions.shape[1] for directions, _ in parts):
            grade = _joined(parts)
    result: ExtrapolationGrade | None = communicator.broadcast(grade)
    return result


def _folds(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Fold of every structure: groups dealt in the order in which they come; structures without one stand alone."""
    first: dict[object, int] = {}
    names: list[object] = [k if group is None else group for k, group in enumerate(groups)]
    if len(set(names)) == 1:
        names = list(range(len(groups)))
    return np.array([first.setdefault(name, len(first)) % FOLDS for name in names])


def _of_element(rows: Floats, folds: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return directions (F, P) and mean (F) of one element's atoms (n, F); P = 0 where they are too few."""
    n_atoms, n_features = rows.shape
    if n_atoms < FEWEST_ATOMS or len(np.unique(folds)) < 2:
        return np.zeros((n_features, 0)), np.zeros(n_features)
    most = min(MOST_COMPONENTS, n_atoms // ATOMS_PER_COMPONENT, n_features, max(1, MOST_WEIGHTS // n_features))
    mean = rows.mean(axis=0)
    centered = rows - mean
    components, deviations = _principal_components(centered, most)
    keep = deviations > LEAST_DEVIATION * np.linalg.norm(rows, axis=1).max()
    directions = components[:, keep] / deviations[keep]
    if not keep.any():
        return np.zeros((n_features, 0)), mean
    return directions / _limit(centered @ directions, folds), mean


def _principal_components(centered: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the first components (F, P) of rows (n, F) without their mean, and the standard deviations (P) there."""
    n_atoms, n_features = centered.shape
    if n_features <= n_atoms:
        variances, components = linalg.eigh(
            centered.T @ centered / n_atoms, subset_by_index=(n_features - most, n_features - 1)
        )
    else:
        variances, scores = linalg.eigh(centered @ centered.T / n_atoms, subset_by_index=(n_atoms - most, n_atoms - 1))
        components = centered.T @ scores
        components /= np.maximum(np.linalg.norm(components, axis=0), np.finfo(np.float64).tiny)
    return components[:, ::-1], np.sqrt(np.maximum(variances[::-1], 0.0))


def _limit(coordinates: Floats, folds: NDArray[np.int64]) -> float:
    """Return the T that `LEVEL` of the atoms (n, P) stay within, each held against the folds that it is not in."""
    found = np.empty(len(coordinates))
    for fold in np.unique(folds):
        out = folds == fold
        others = coordinates[~out]
        mean = others.mean(axis=0)
        # The coordinates have unit variance altogether: the term keeps a fold that lacks a direction regular.
        covariance = np.atleast_2d(np.cov(others, rowvar=False, bias=True)) + 1e-6 * np.eye(coordinates.shape[1])
        factor = linalg.cholesky(covariance, lower=True)
        found[out] = np.linalg.norm(linalg.solve_triangular(factor, (coordinates[out] - mean).T, lower=True), axis=0)
    return float(np.quantile(found, LEVEL))


def _joined(parts: Sequence[tuple[Floats, Floats]]) -> ExtrapolationGrade:
    """Return one grade of all elements; directions that an element has not are zero."""
    width = max(directions.shape[1] for directions, _ in parts)
    padded = [np.pad(directions, ((0, 0), (0, width - directions.shape[1]))) for directions, _ in parts]
    return ExtrapolationGrade(
        torch.from_numpy(np.stack(padded)), torch.from_numpy(np.stack([mean for _, mean in parts]))
    )
