"""The columns of a fit: what is chosen from the data, and how coefficients of the columns make a model.

Choices are arrays, the same on every rank, that make the columns again without any data (`kept_equations`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rhopot.potentials.descriptors.dot_product import unit_rows
from rhopot.potentials.fitting.least_squares.coordinates import (
    BlockCoordinates,
    Coordinates,
    DiagonalCoordinates,
    kernel_coordinates,
)
from rhopot.potentials.fitting.least_squares.design import Design, KernelDesign, LinearDesign
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.least_squares.pool import candidate_pool
from rhopot.potentials.fitting.least_squares.select import select_columns, select_rows
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.models.gap import GapModel
from rhopot.potentials.models.linear import LinearModel

Floats = NDArray[np.float64]
LeastSquaresSettings = LinearSettings | GapSettings

# Arrays that columns are made of: features that are used, sparse points of each element, coordinates.
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Columns:
    """The chosen columns: design, coordinates, and how coefficients make a model."""

    design: Design
    coordinates: Coordinates
    model: Callable[[Floats], nn.Module]


def choose_arrays(
    problem: FitProblem, settings: LeastSquaresSettings, choose: Callable[[list[Floats]], Arrays]
) -> Arrays:
    """Return the arrays of the columns, the same on every rank."""
    pool = candidate_pool(problem, settings.pool)
    found: Arrays | None = None
    if problem.communicator.rank == 0:
        features = np.arange(problem.descriptor.n_features)
        if settings.n_features is not None:
            features = select_columns(np.concatenate(pool), settings.n_features, settings.feature_method, problem.seed)
        found = {"features": features, **choose([part[:, features] for part in pool])}
    return dict(problem.communicator.broadcast(found))


def linear_columns(problem: FitProblem, arrays: Arrays) -> Columns:
    """Return one column per element and feature."""
    n_species, n_features = len(problem.symbols), problem.descriptor.n_features
    features = torch.from_numpy(arrays["features"])

    def model(weights: Floats) -> nn.Module:
        full = torch.zeros([n_species, n_features, weights.shape[1]], dtype=torch.float64)
        full[:, features] = torch.from_numpy(weights).reshape(n_species, len(features), -1)
        return LinearModel(problem.descriptor, full, problem.baseline, problem.pair)

    return Columns(LinearDesign(n_species, features), DiagonalCoordinates(arrays["scale"]), model)


def gap_columns(problem: FitProblem, settings: GapSettings, arrays: Arrays) -> Columns:
    """Return one column per sparse point of each element."""
    features = torch.from_numpy(arrays["features"])
    points = [torch.from_numpy(arrays[f"points_{symbol}"]) for symbol in problem.symbols]
    coordinates = BlockCoordinates([arrays[f"block_{symbol}"] for symbol in problem.symbols])
    design = KernelDesign(points, settings.zeta, features)

    def model(weights: Floats) -> nn.Module:
        parts = torch.from_numpy(weights).split([len(part) for part in points])
        kept = None if settings.n_features is None else features
        return GapModel(problem.descriptor, points, parts, settings.zeta, problem.baseline, problem.pair, kept)

    return Columns(design, coordinates, model)


def sparse_points(problem: FitProblem, settings: GapSettings, pool: list[Floats]) -> Arrays:
    """Return the normalised sparse points of each element and their coordinates."""
    points: list[Tensor] = []
    for symbol, features in zip(problem.symbols, pool, strict=True):
        count = settings.n_sparse if isinstance(settings.n_sparse, int) else settings.n_sparse.get(symbol)
        if count is None:
            raise ValueError(f"n_sparse must name every element, got none for {symbol}; add it or give one number")
        units = unit_rows(torch.from_numpy(features))[0]
        units = units[(units * units).sum(1) > 0]
        chosen = select_rows(units.numpy(), count, settings.sparse_method, problem.seed)
        if len(chosen) < count:
            problem.progress.message(
                f"{symbol}: {len(chosen)} distinct environments for {count} sparse points, all are taken"
            )
        points.append(units[torch.from_numpy(chosen)].contiguous())
    blocks = kernel_coordinates(points, settings.zeta, settings.delta, settings.rank_tolerance).blocks
    arrays: Arrays = {}
    for symbol, part, block in zip(problem.symbols, points, blocks, strict=True):
        arrays |= {f"points_{symbol}": part.numpy(), f"block_{symbol}": block}
    return arrays
