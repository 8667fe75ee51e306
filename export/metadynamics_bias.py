"""Bias of metadynamics on one to three collective variables, with walls and moving restraints.

    V(s, t) = sum_h W_h prod_k exp(-(s_k - c_hk)^2 / (2 sigma_hk^2))                                        [1]
    W       = height exp(-V(s) / (k_B T (biasfactor - 1))), well-tempered, of a hill added at s             [2]
    walls     kappa (s_k - at)^2 above an upper and below a lower wall, zero inside
    moving    kappa/2 (s_k - at(t))^2, `at` linear in the step between two of them, constant outside
    work      W_n = W_(n-1) + V(s_n, t_n) - V(s_n, t_(n-1)) of the moving restraints                        [3]

Differences in a periodic variable are those to the nearest image. Hills are not truncated. With a grid, the sum over
hills is interpolated by the tensor product of cubic Hermite polynomials, from the values and mixed derivatives
(d^j V / ds_1 ..., each variable at most once) at the nodes: exact at nodes, error of order spacing^4 between them, V
and dV/ds continuous. The cost of a step is then independent of the number of hills.

In : values of the collective variables (n,) in their units, the step
Out: energies in eV, dV/ds (n,) in eV per unit of the variable

[1] A. Laio, M. Parrinello, PNAS 99, 12562 (2002), doi:10.1073/pnas.202427399
[2] A. Barducci, G. Bussi, M. Parrinello, Phys. Rev. Lett. 100, 020603 (2008), doi:10.1103/PhysRevLett.100.020603
[3] G. E. Crooks, J. Stat. Phys. 90, 1481 (1998), doi:10.1023/A:1023208217925
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from rhopot.export.metadynamics_settings import Axis, BiasSettings, Moving, Periods
from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class Hills:
    """Gaussian hills: centers (h, n), widths (h, n), heights (h,) in eV."""

    centers: Floats
    sigmas: Floats
    heights: Floats

    @classmethod
    def none(cls, n: int) -> Hills:
        """No hills on n variables."""
        return cls(np.zeros((0, n)), np.ones((0, n)), np.zeros(0))

    def __len__(self) -> int:
        return len(self.heights)

    def plus(self, other: Hills) -> Hills:
        """These hills, then others."""
        return Hills(
            np.concatenate([self.centers, other.centers]),
            np.concatenate([self.sigmas, other.sigmas]),
            np.concatenate([self.heights, other.heights]),
        )

    def only(self, kept: np.ndarray) -> Hills:
        """Hills selected by a mask or by indices."""
        return Hills(self.centers[kept], self.sigmas[kept], self.heights[kept])


def difference(s: Floats, center: Floats, periods: Periods) -> Floats:
    """s - center (..., n), to the nearest image in periodic variables."""
    found = np.asarray(s - center, dtype=np.float64)
    for k, period in enumerate(periods):
        if period is not None:
            found[..., k] -= period * np.rint(found[..., k] / period)
    return found


@dataclass
class ExplicitHills:
    """Sum over hills, term by term; `BLOCK` hills are reserved at a time."""

    periods: Periods
    _count: int = 0
    _arrays: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)))
    _heights: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self._arrays = np.zeros((2, 64, len(self.periods)))  # centers, widths
        self._heights = np.zeros(64)

    def add(self, hills: Hills) -> None:
        """Add hills."""
        needed = self._count + len(hills)
        if needed > len(self._heights):
            size = max(needed, 2 * len(self._heights))
            grown = np.zeros((2, size, len(self.periods)))
            grown[:, : self._count] = self._arrays[:, : self._count]
            self._arrays, self._heights = grown, np.resize(self._heights, size)
        new = slice(self._count, needed)
        self._arrays[0, new], self._arrays[1, new], self._heights[new] = hills.centers, hills.sigmas, hills.heights
        self._count = needed

    def evaluate(self, s: Floats) -> tuple[float, Floats]:
        """V in eV and dV/ds (n,)."""
        centers, sigmas = self._arrays[:, : self._count]
        scaled = difference(s, centers, self.periods) / sigmas
        terms = self._heights[: self._count] * np.exp(-0.5 * (scaled**2).sum(axis=1))
        return float(terms.sum()), np.asarray(-(terms[:, None] * scaled / sigmas).sum(axis=0))


class Grid:
    """Sum over hills on a grid: values and mixed derivatives at nodes, cubic Hermite polynomials between them.

    names: of the variables, for messages; axes: one for each; periods: None where a variable is not periodic
    """

    def __init__(self, names: Sequence[str], axes: Sequence[Axis], periods: Periods) -> None:
        self.names, self.axes, self.periods = names, axes, periods
        self.spacing = [axis.spacing for axis in axes]
        self.nodes: list[Floats] = [
            np.asarray(axis.low + h * np.arange(axis.n + (period is None)), dtype=np.float64)
            for axis, h, period in zip(axes, self.spacing, periods, strict=True)
        ]
        # (2, 2, ..., nodes of 1, nodes of 2, ...): the first n indices say in which variables it is a derivative.
        self.table = np.zeros((2,) * len(axes) + tuple(len(nodes) for nodes in self.nodes))

    def add(self, hills: Hills) -> None:
        """Add hills."""
        for center, sigma, height in zip(hills.centers, hills.sigmas, hills.heights, strict=True):
            factors = []  # of each variable: (2, nodes), Gaussian and derivative
            for k, nodes in enumerate(self.nodes):
                apart = difference(nodes[:, None], center[k], self.periods[k : k + 1])[:, 0]
                gaussian = np.exp(-0.5 * (apart / sigma[k]) ** 2)
                factors.append(np.stack([gaussian, -apart / sigma[k] ** 2 * gaussian]))
            self.table += height * _outer(factors)

    def evaluate(self, s: Floats) -> tuple[float, Floats]:
        """V in eV and dV/ds (n,).

        Raises:
            ValueError: a variable that is not periodic has left its grid.
        """
        table = self.table
        n = len(self.axes)
        weights = []  # of each variable: (value or derivative of V, value or derivative at node, left or right node)
        for k, axis in enumerate(self.axes):
            h, count = self.spacing[k], axis.n
            x = (s[k] - axis.low) / h
            if self.periods[k] is not None:
                x %= count
            elif not 0.0 <= x <= count:
                raise ValueError(
                    f"{self.names[k]} must stay within its grid, {axis.low:g} to {axis.high:g}, got {s[k]:.6g}; give a "
                    "wider grid, or a wall inside of it"
                )
            cell = min(int(x), count - 1)
            nodes = np.array([cell, (cell + 1) % len(self.nodes[k])])
            table = np.take(table, nodes, axis=n + k)
            weights.append(_hermite(x - cell, h))
        value = _contracted(table, [weight[0] for weight in weights])
        gradient = [_contracted(table, [weight[int(j == k)] for j, weight in enumerate(weights)]) for k in range(n)]
        return value, np.array(gradient)


def _outer(factors: Sequence[Floats]) -> Floats:
    """Products (2, 2, ..., nodes, nodes, ...) of factors (2, nodes) of each variable."""
    n = len(factors)
    shape = [len(factor[0]) for factor in factors]
    found = np.empty((2,) * n + tuple(shape))
    for which in product((0, 1), repeat=n):
        term = np.ones(())
        for k, derivative in enumerate(which):
            term = term[..., None] * factors[k][derivative]
        found[which] = term
    return found


def _hermite(t: float, h: float) -> Floats:
    """Weights (2, 2, 2): [value or d/ds][of the node's value or derivative][left, right], at fraction t of a cell."""
    value = [
        [1.0 - t * t * (3.0 - 2.0 * t), t * t * (3.0 - 2.0 * t)],
        [h * t * (1.0 - t) ** 2, -h * t * t * (1.0 - t)],
    ]
    derivative = [
        [-6.0 * t * (1.0 - t) / h, 6.0 * t * (1.0 - t) / h],
        [(1.0 - t) * (1.0 - 3.0 * t), t * (3.0 * t - 2.0)],
    ]
    return np.array([value, derivative])


def _contracted(table: Floats, weights: Sequence[Floats]) -> float:
    """Sum of a cell's numbers (2, ..., 2, 2, ..., 2) times weights (2, 2) of each variable."""
    found = table
    for k, weight in enumerate(weights):
        left = len(weights) - k  # variables that are still there; this one's two indices are 0 and `left`
        found = np.tensordot(weight, found, axes=((0, 1), (0, left)))
    return float(found)


@dataclass(frozen=True)
class BiasValue:
    """Energies in eV of hills, walls and moving restraints at s, and the derivative (n,) of their sum."""

    hills: float
    walls: float
    moving: float
    gradient: Floats

    @property
    def total(self) -> float:
        """Energy in eV."""
        return self.hills + self.walls + self.moving


class Bias:
    """The bias on collective variables of these names and periods.

    Raises:
        ValueError: settings that do not go with the variables (`BiasSettings.require`).
    """

    def __init__(self, settings: BiasSettings, names: Sequence[str], periods: Periods) -> None:
        settings.require(names, periods)
        self.settings = settings.snapped(periods) if settings.grid else settings
        self.names, self.periods = tuple(names), tuple(periods)
        self.work = 0.0
        self.clear()

    def clear(self) -> None:
        """Remove all hills."""
        grid = self.settings.grid
        self._sum: Grid | ExplicitHills = Grid(self.names, grid, self.periods) if grid else ExplicitHills(self.periods)

    def add(self, hills: Hills) -> None:
        """Add hills."""
        self._sum.add(hills)

    def hill(self, s: Floats, bias: float) -> Hills:
        """The hill to add at s (n,), where the bias of the hills is `bias` eV."""
        return Hills(np.array([s]), np.array([self.settings.sigma]), np.array([self.settings.tempered(bias)]))

    def evaluate(self, s: Floats, step: int) -> BiasValue:
        """Energies and derivative at s (n,) and a step.

        Raises:
            ValueError: a variable has left its grid.
        """
        hills, gradient = self._sum.evaluate(s)
        gradient = gradient.copy()
        walls = 0.0
        for wall in self.settings.walls:
            k = self.names.index(wall.name)
            beyond = float(s[k]) - wall.at
            if beyond > 0.0 if wall.upper else beyond < 0.0:
                walls += wall.kappa * beyond**2
                gradient[k] += 2.0 * wall.kappa * beyond
        for restraint in self.settings.moving:
            k = self.names.index(restraint.name)
            gradient[k] += restraint.kappa * self._from_center(s, restraint, step)
        return BiasValue(hills, walls, self._moving(s, step), gradient)

    def advance(self, s: Floats, step: int) -> float:
        """Add the work of the moving restraints from the step before to this one, at s (n,); the work so far in eV."""
        self.work += self._moving(s, step) - self._moving(s, step - 1)
        return self.work

    def _moving(self, s: Floats, step: int) -> float:
        terms = (each.kappa * self._from_center(s, each, step) ** 2 for each in self.settings.moving)
        return 0.5 * sum(terms, 0.0)

    def _from_center(self, s: Floats, restraint: Moving, step: int) -> float:
        k = self.names.index(restraint.name)
        return float(difference(s[k : k + 1], np.array([restraint.at(step)]), self.periods[k : k + 1])[0])
