"""A radial density as a sum of a few Gaussians with its integral exact.

    rho_fit(r) = sum_k q_k (a_k / pi)^(3/2) exp(-a_k r^2),       sum_k q_k = n electrons

Exponents a_k and charges q_k minimise

    integral [4 pi (rho_fit - rho)]^2 r^2 (r^2 + b^2) dr / n^2  +  ridge^2 sum_k q_k^2

i.e. the squared error of the radial distribution 4 pi r^2 rho, with b keeping the centre in sight; the ridge is too
weak to be seen in the error and forbids large charges that cancel. For given exponents the charges are a linear
least-squares problem with the constraint eliminated (variable projection), so the search runs over K numbers only:
the smallest log exponent and the K - 1 steps to the next, both within bounds. The error that is reported is

    fit_error = integral |rho_fit - rho| 4 pi r^2 dr / n.

Lengths in A, densities in e/A^3, exponents in 1/A^2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import least_squares

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitting:
    """Settings of the fit; lengths in A, exponents in 1/A^2."""

    fewest: int = 2
    most: int = 7
    target_error: float = 0.005  # the smallest number of Gaussians that reaches it is taken
    most_negative: float = 1e-4  # of the electrons, in all places where the fit is below zero
    smallest_exponent: float = 0.03
    largest_exponent: float = 200.0  # a width of 0.05 A
    smallest_step: float = 1.4  # between neighbouring exponents, as a ratio
    largest_step: float = 12.0
    centre_length: float = 0.3  # b
    ridge: float = 1e-4
    n_starts: int = 12
    evaluations: int = 80
    seed: int = 20

    def __post_init__(self) -> None:
        if not 2 <= self.fewest <= self.most:
            raise ValueError(f"fewest must lie between 2 and most, got {self.fewest} and {self.most}; exchange them")


@dataclass(frozen=True)
class RadialDensity:
    """A density rho (G,) in e/A^3 at logarithmically spaced r (G,) in A that integrates to n_electrons."""

    radius: Floats
    density: Floats
    n_electrons: int

    @property
    def shell(self) -> Floats:
        """4 pi r^2 dr of each point (G,)."""
        step = np.log(self.radius[-1] / self.radius[0]) / (len(self.radius) - 1)
        return 4.0 * np.pi * self.radius**3 * step

    def mean_square(self) -> float:
        """<r^2> in A^2."""
        return float(np.sum(self.shell * self.density * self.radius**2) / np.sum(self.shell * self.density))


@dataclass(frozen=True)
class GaussianSum:
    """Exponents (K,), ascending, and charges (K,); cost, error and negative part (over n electrons) of the fit."""

    exponents: Floats
    charges: Floats
    cost: float
    fit_error: float
    negative: float

    @property
    def coefficients(self) -> Floats:
        """c_k (K,) in e/A^3."""
        return self.charges * (self.exponents / np.pi) ** 1.5


def unit_gaussians(exponents: Floats, radius: Floats) -> Floats:
    """Gaussians (G, K) that each integrate to one."""
    return (exponents / np.pi) ** 1.5 * np.exp(-exponents * radius[:, None] ** 2)


def fit_gaussians(target: RadialDensity, settings: Fitting) -> GaussianSum:
    """The smallest sum of Gaussians that reaches the target error; with the largest number allowed if none does."""
    best: GaussianSum | None = None
    for n_gaussians in range(settings.fewest, settings.most + 1):
        best = fit_fixed_number(target, n_gaussians, settings, best)
        if best.fit_error <= settings.target_error and best.negative <= settings.most_negative:
            return best
    assert best is not None  # the range is not empty
    return best


def fit_fixed_number(
    target: RadialDensity, n_gaussians: int, settings: Fitting, smaller: GaussianSum | None = None
) -> GaussianSum:
    """The best sum of that many Gaussians over all starts; a positive one, wherever a start finds it."""
    problem = _Problem(target, settings)
    found = [problem.search(start) for start in problem.starts(n_gaussians, smaller)]
    positive = [fit for fit in found if fit.negative <= settings.most_negative]
    return min(positive or found, key=lambda fit: fit.cost)


class _Problem:
    """Variable projection for one density."""

    def __init__(self, target: RadialDensity, settings: Fitting) -> None:
        self.target = target
        self.settings = settings
        moment = np.sqrt(target.radius**2 + settings.centre_length**2) / target.radius
        step = target.shell / (4.0 * np.pi * target.radius**2)
        self.weight = 4.0 * np.pi * target.radius**2 * moment * np.sqrt(step) / target.n_electrons

    def starts(self, n_gaussians: int, smaller: GaussianSum | None) -> Iterator[Floats]:
        """Log exponents: spread about 3 / (2 <r^2>), and the smaller sum's with one more between or beyond."""
        rng = np.random.default_rng(self.settings.seed)
        middle = np.log(1.5 / self.target.mean_square())
        for k in range(self.settings.n_starts):
            first = middle + np.log(0.25 if k == 0 else rng.uniform(0.1, 0.7))
            steps = np.full(n_gaussians - 1, 2.2) if k == 0 else rng.uniform(1.5, 4.0, n_gaussians - 1)
            yield first + np.append(0.0, np.cumsum(np.log(steps)))
        if smaller is not None and len(smaller.exponents) == n_gaussians - 1:
            logs = np.log(smaller.exponents)
            ends = np.concatenate([[logs[0] - 0.8], 0.5 * (logs[1:] + logs[:-1]), [logs[-1] + 0.8]])
            for extra in ends:
                yield np.sort(np.append(logs, extra))

    def search(self, start: Floats) -> GaussianSum:
        """Minimise over the exponents from a start (K,)."""
        s, n = self.settings, len(start)
        low = np.log(np.append(s.smallest_exponent, np.full(n - 1, s.smallest_step)))
        high = np.log(np.append(0.5 * s.largest_exponent, np.full(n - 1, s.largest_step)))
        parameters = np.clip(np.append(start[0], np.diff(start)), low + 1e-6, high - 1e-6)
        found = least_squares(
            lambda p: self._residual(_exponents(p, s.largest_exponent))[1],
            parameters,
            bounds=(low, high),
            max_nfev=s.evaluations,
        )
        exponents = np.array([float(f"{a:.7g}") for a in _exponents(found.x, s.largest_exponent)])
        return self._finish(exponents)

    def _residual(self, exponents: Floats) -> tuple[Floats, Floats]:
        """The best charges (K,) of given exponents and the residual vector."""
        n, ridge = len(exponents), self.settings.ridge
        free = null_space(np.ones((1, n)))
        even = np.full(n, self.target.n_electrons / n)
        basis = unit_gaussians(exponents, self.target.radius) * self.weight[:, None]
        matrix = np.vstack([basis @ free, ridge * free])
        wanted = np.append(self.weight * self.target.density - basis @ even, -ridge * even)
        solution = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        return even + free @ solution, matrix @ solution - wanted

    def _finish(self, exponents: Floats) -> GaussianSum:
        charges, residual = self._residual(exponents)
        fitted = unit_gaussians(exponents, self.target.radius) @ charges
        error = np.sum(self.target.shell * np.abs(fitted - self.target.density)) / self.target.n_electrons
        negative = np.sum(self.target.shell * np.maximum(-fitted, 0.0)) / self.target.n_electrons
        return GaussianSum(exponents, charges, float(residual @ residual), float(error), float(negative))


def _exponents(parameters: Floats, largest: float) -> Floats:
    """Ascending exponents from the first logarithm and the steps, which shrink evenly to keep below the largest."""
    room = np.log(largest) - parameters[0]
    steps = parameters[1:] * min(1.0, room / np.sum(parameters[1:]))
    return np.exp(parameters[0] + np.append(0.0, np.cumsum(steps)))
