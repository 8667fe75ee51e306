"""The mean of a fit with many coefficients for its equations, from the Gram matrix of the equations.

In the coordinates w of `coordinates` (prior N(0, 1)) the weighted equations are A w = y, A (m, r). The mean of the
posterior lies in the space of the rows,

    w* = A^T a,    (A A^T + 1) a = y                                                              [1, eq. 2.25]

so that the sums of squares (r, r) of `normal_equations` are not needed. Time is m^2 r + m^3 / 3, where those take m r^2
and about 12 r^3, memory m r + m^2 where they take 8 r^2: less of both up to m = 2 r. It is for the mean alone: members
need the posterior. Nothing is saved on the way.

One Cholesky factor L serves the fit to the training set and the fit to both parts. With the rows of the training set
first, L z = y, and L^T a = (z_train, 0) gives the coefficients (a_train, 0) of the training set's own equations.
Two refinements take the residual y - a - A (A^T a) from the rows themselves.

[1] C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhopot.potentials.fitting.least_squares.assemble import compressed
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.equations import LinearSystem, count_rows
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]

# Coordinates from which on the Gram matrix is used: sums of fewer take little time, and are saved in checkpoints.
FEWEST_COORDINATES = 4000
# Equations for each coordinate, up to which it is.
MOST_ROWS = 2.0
# Rows of one product.
BLOCK = 2048
REFINEMENTS = 2


@dataclass(frozen=True)
class RowFit:
    """Mean (r) of the fit to the training set and of that to both parts, and the norm of A w - y on the former."""

    mean: Floats
    both: Floats
    misfit: float


def gram_matrix_pays(problem: FitProblem, rank: int) -> bool:
    """Whether the Gram matrix is less work than sums over the coordinates, and the mean is all that is asked for."""
    alone = problem.members == 0 and problem.appended_to is None and problem.communicator.size == 1
    return alone and rank >= FEWEST_COORDINATES and sum(n_rows(problem)) <= MOST_ROWS * rank


def fit_rows(problem: FitProblem, system: LinearSystem, coordinates: Coordinates) -> RowFit:
    """Return the means from the problem's equations."""
    n_train, n_more = n_rows(problem)
    frames = [*problem.train, *(problem.validation if n_more else ())]
    matrix, targets = _rows(frames, n_train + n_more, system, coordinates, problem)
    factor = _gram_matrix(matrix, problem.progress)
    factor.diagonal().add_(1.0)
    problem.progress.message("Cholesky factorization of the Gram matrix")
    torch.linalg.cholesky(factor, out=factor)
    everything = _solve(factor, matrix, targets, n_train + n_more)
    own = _solve(factor, matrix, targets, n_train) if n_more else everything
    mean, both = ((matrix.t() @ a).numpy() for a in (own, everything))
    return RowFit(mean, both, float(torch.linalg.vector_norm(own)))  # A w* - y = -a


def expected_seconds(n_rows: int, rank: int) -> float:
    """Return the time of the Gram matrix and its factorization, by that of one product."""
    sample = torch.ones(min(BLOCK, 512), rank, dtype=torch.float64)
    begin = time.perf_counter()
    torch.mm(sample, sample.t())
    per_operation = (time.perf_counter() - begin) / (len(sample) ** 2 * rank)
    return per_operation * (0.5 * n_rows**2 * rank + n_rows**3 / 6.0)


def expected_bytes(n_rows: int, rank: int) -> float:
    """Return the memory of the rows and their Gram matrix."""
    return 8.0 * n_rows * (rank + n_rows + BLOCK)


def n_rows(problem: FitProblem) -> tuple[int, int]:
    """Return the numbers of equations of the training set, and of the validation set where it is fitted too."""
    train, validation = (
        sum(count_rows(frame, problem.targets) for frame in part) for part in (problem.train, problem.validation)
    )
    return train, validation if problem.refit_on_validation else 0


def _rows(
    frames: Sequence[Frame], most: int, system: LinearSystem, coordinates: Coordinates, problem: FitProblem
) -> tuple[Tensor, Tensor]:
    """Return the weighted rows (m, r) and targets (m) of all frames; fixed atoms leave zeros."""
    matrix, targets = torch.zeros(most, coordinates.rank, dtype=torch.float64), torch.zeros(most, dtype=torch.float64)
    first = 0
    problem.progress.start("equations", len(frames))
    for done, frame in enumerate(frames, 1):
        equations = system.equations(frame, problem.targets)
        if equations is not None:
            rows = torch.from_numpy(compressed(equations.weighted(), coordinates))
            matrix[first : first + len(rows)] = rows[:, :-1]
            targets[first : first + len(rows)] = rows[:, -1]
        first += count_rows(frame, problem.targets)
        problem.progress.advance("equations", done)
    return matrix, targets


def _gram_matrix(matrix: Tensor, progress: Progress) -> Tensor:
    """Return A A^T (m, m), of which the lower triangle is complete."""
    m = len(matrix)
    gram = torch.empty(m, m, dtype=torch.float64).t()  # columns in memory, as the factorization wants them
    begins = range(0, m, BLOCK)
    progress.start("Gram matrix of the equations", len(begins))
    for done, begin in enumerate(begins, 1):
        rows = matrix[begin : begin + BLOCK]
        for other in range(0, begin + 1, BLOCK):
            gram[begin : begin + BLOCK, other : other + BLOCK] = rows @ matrix[other : other + BLOCK].t()
        progress.advance("Gram matrix of the equations", done)
    return gram


def _solve(factor: Tensor, matrix: Tensor, targets: Tensor, n_used: int) -> Tensor:
    """Return a (m) of the first n_used equations, zero behind them."""
    used = torch.arange(len(targets)) < n_used
    solution = torch.zeros_like(targets)
    for _ in range(1 + REFINEMENTS):
        residual = torch.where(used, targets - solution - matrix @ (matrix.t() @ solution), 0.0)
        forward = torch.linalg.solve_triangular(factor, residual[:, None], upper=False)
        forward[n_used:] = 0.0
        solution = solution + torch.linalg.solve_triangular(factor.t(), forward, upper=True)[:, 0]
    return solution
