"""Extrapolation grade of a model from the features of its training data (`rhopot.potentials.models.extrapolation`).

For each element of the centre: principal components of the features of training atoms, and limits of T such that 99.9%
of the atoms stay within all of them when they are held against the mean and covariance of other structures. Structures
are distributed over `FOLDS` folds by their groups, so that frames of one trajectory do not vouch for each other; frames
of a single group are distributed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
COUNTS = (1, 3, 10, 30)  # components that are summed, besides all of them
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
    count = len(frames) if total <= most else max(min(FOLDS, len(frames)), len(frames) * most // total)
    chosen = [frames[k * len(frames) // count] for k in range(count)]

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
        if len(set(folds)) < FOLDS:
            progress.message(
                f"note: {len(set(folds))} groups of training frames: environments count as seen that differ from "
                "theirs as much as the groups do from each other"
            )
        rows = np.concatenate([part for part, _ in found])
        species = np.concatenate([part for _, part in found])
        fold = np.repeat(folds, [len(part) for part, _ in found])
        parts = [_of_element(rows[species == s], fold[species == s]) for s in range(len(symbols))]
        if all(part.directions.shape[1] for part in parts):
            grade = _joined(parts)
    result: ExtrapolationGrade | None = communicator.broadcast(grade)
    return result


def _folds(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Fold of every structure: groups in turn, in the order in which they come; structures without one stand alone."""
    first: dict[object, int] = {}
    names: list[object] = [k if group is None else group for k, group in enumerate(groups)]
    if len(set(names)) == 1:
        names = list(range(len(groups)))
    return np.array([first.setdefault(name, len(first)) % FOLDS for name in names])


@dataclass(frozen=True)
class _Part:
    """One element: directions (F, P), mean (F), limits of T of the first 1 ... P components."""

    directions: Floats
    mean: Floats
    limits: Floats


def _of_element(rows: Floats, folds: NDArray[np.int64]) -> _Part:
    """Return what is known of one element's atoms (n, F); P = 0 where they are too few or all the same."""
    n_atoms, n_features = rows.shape
    nothing = _Part(np.zeros((n_features, 0)), np.zeros(n_features), np.zeros(0))
    if n_atoms < FEWEST_ATOMS or len(np.unique(folds)) < 2:
        return nothing
    most = min(MOST_COMPONENTS, n_atoms // ATOMS_PER_COMPONENT, n_features, max(1, MOST_WEIGHTS // n_features))
    mean = rows.mean(axis=0)
    centered = rows - mean
    components, deviations = _principal_components(centered, most)
    keep = deviations > LEAST_DEVIATION * np.linalg.norm(rows, axis=1).max()
    if not keep.any():
        return nothing
    directions = components[:, keep] / deviations[keep]
    return _Part(directions, mean, _limits(centered @ directions, folds))


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


def _limits(coordinates: Floats, folds: NDArray[np.int64]) -> Floats:
    """Return the limits (P) of T for atoms (n, P), each held against the folds that it is not in.

    `LEVEL` of the atoms stay within each of those that count, and then, all made larger by one factor, within all.
    """
    n_components = coordinates.shape[1]
    found = np.empty_like(coordinates)
    for fold in np.unique(folds):
        out = folds == fold
        others = coordinates[~out]
        # The coordinates have unit variance altogether: the term keeps a fold that lacks a direction regular.
        covariance = np.cov(others, rowvar=False, bias=True).reshape(n_components, n_components)
        factor = linalg.cholesky(covariance + 1e-6 * np.eye(n_components), lower=True)
        # Of a triangular factor, the first q rows are that of the first q components.
        rows = linalg.solve_triangular(factor, (coordinates[out] - others.mean(axis=0)).T, lower=True)
        found[out] = np.sqrt(np.cumsum(rows**2, axis=0)).T
    limits = np.quantile(found, LEVEL, axis=0)
    of_counts = np.array([q - 1 for q in _counts(n_components)])
    return np.asarray(limits * np.quantile((found / limits)[:, of_counts].max(axis=1), LEVEL))


def _counts(n_components: int) -> list[int]:
    return [*(q for q in COUNTS if q < n_components), n_components]


def _joined(parts: Sequence[_Part]) -> ExtrapolationGrade:
    """Return one grade of all elements; directions that an element has not are zero and add nothing to its T."""
    width = max(part.directions.shape[1] for part in parts)
    counts = _counts(width)
    directions = [np.pad(part.directions, ((0, 0), (0, width - part.directions.shape[1]))) for part in parts]
    limits = [[part.limits[min(q, len(part.limits)) - 1] for q in counts] for part in parts]
    arrays = (directions, [part.mean for part in parts], limits)
    stacked, means, of_counts = (torch.from_numpy(np.array(array, dtype=np.float64)) for array in arrays)
    return ExtrapolationGrade(stacked, means, counts, of_counts)
