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

import ase.units
import numpy as np

from rhopot.potentials.units import Floats

MOST_VARIABLES = 3
SAME_PERIOD = 1e-6  # relative difference between a period and the length of its grid

Periods = Sequence[float | None]


@dataclass(frozen=True)
class Axis:
    """Grid of one variable: `n` intervals from `low` to `high`, which are a period apart where there is one."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Wall:
    """Wall kappa (s - at)^2 of a variable, for s above (`upper`) or below `at`; kappa in eV per squared unit."""

    name: str
    at: float
    kappa: float
    upper: bool


@dataclass(frozen=True)
class Moving:
    """Restraint kappa/2 (s - at)^2 whose center goes from `start` to `end` between two steps."""

    name: str
    start: float
    end: float
    kappa: float
    first: int
    last: int

    def at(self, step: int) -> float:
        """Center at a step."""
        share = min(1.0, max(0.0, (step - self.first) / (self.last - self.first)))
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class BiasSettings:
    """What a bias is made of.

    height: eV, of the first hill; sigma: width of hills in each variable; pace: steps between hills; without the three
    there are no hills. biasfactor: above 1, well-tempered, with the temperature in K; None: all hills of one height.
    grid: one axis for each variable, or none. walls, moving: any number of them.

    Raises:
        ValueError: a number without meaning.
    """

    height: float | None = None
    sigma: tuple[float, ...] = ()
    pace: int | None = None
    biasfactor: float | None = None
    temperature: float | None = None
    grid: tuple[Axis, ...] = ()
    walls: tuple[Wall, ...] = ()
    moving: tuple[Moving, ...] = ()

    def __post_init__(self) -> None:
        given = (self.height is not None, bool(self.sigma), self.pace is not None)
        if any(given) and not all(given):
            raise ValueError("height, sigma and pace must be given together, got some of them; add the others")
        if not (any(given) or self.walls or self.moving):
            raise ValueError("bias must hold hills, walls or a moving restraint, got none; give height, sigma and pace")
        if self.height is not None and not 0.0 < self.height < np.inf:
            raise ValueError(f"height must be above 0 eV, got {self.height:g}; a fraction of k_B T is usual")
        if not all(0.0 < width < np.inf for width in self.sigma):
            raise ValueError(
                f"sigma must be above 0, got {', '.join(f'{width:g}' for width in self.sigma)}; correct it"
            )
        if self.pace is not None and self.pace < 1:
            raise ValueError(f"pace must be 1 step or more, got {self.pace}; 100 to 500 are usual")
        self._require_tempering()
        for axis in self.grid:
            if not (-np.inf < axis.low < axis.high < np.inf and axis.n >= 2):
                raise ValueError(
                    f"grid must be a lower limit, an upper limit and 2 intervals or more, got {axis.low:g}, "
                    f"{axis.high:g}, {axis.n}; correct it"
                )
        for term in self.terms:
            if not 0.0 < term.kappa < np.inf:
                raise ValueError(f"kappa must be above 0, got {term.kappa:g} for {term.name}; correct it")
        for restraint in self.moving:
            if restraint.last <= restraint.first:
                raise ValueError(
                    f"moving must end at a later step than it begins, got {restraint.first} and {restraint.last} for "
                    f"{restraint.name}; correct it"
                )

    def _require_tempering(self) -> None:
        if self.biasfactor is None:
            return
        if not 1.0 < self.biasfactor < np.inf:
            raise ValueError(f"biasfactor must be above 1, got {self.biasfactor:g}; 5 to 20 are usual")
        if self.temperature is None or not 0.0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be above 0 K with a biasfactor, got {self.temperature}; give it")

    def require(self, names: Sequence[str], periods: Periods) -> None:
        """Refuse settings that do not go with collective variables of these names and periods.

        Raises:
            ValueError: the number of widths or axes, an unknown name, an axis that is no period long.
        """
        if not 1 <= len(names) <= MOST_VARIABLES:
            raise ValueError(f"bias must act on 1 to {MOST_VARIABLES} collective variables, got {len(names)}")
        for what, items in (("sigma", self.sigma), ("grid", self.grid)):
            if items and len(items) != len(names):
                raise ValueError(
                    f"{what} must be given for each of {', '.join(names)}, got {len(items)}; give {len(names)}"
                )
        for term in self.terms:
            if term.name not in names:
                raise ValueError(f"walls and moving must name one of {', '.join(names)}, got '{term.name}'; correct it")
        for name, axis, period in zip(names, self.grid, periods, strict=False):
            if period is not None and abs(axis.high - axis.low - period) > SAME_PERIOD * period:
                raise ValueError(
                    f"grid of {name} must be one period long, {period:.17g}, got {axis.high - axis.low:.17g}; give "
                    f"{-period / 2:.17g}, {period / 2:.17g}"
                )

    @property
    def terms(self) -> tuple[Wall | Moving, ...]:
        """Walls and moving restraints."""
        return (*self.walls, *self.moving)

    @property
    def has_hills(self) -> bool:
        """Whether hills are added."""
        return self.pace is not None

    def tempered(self, bias: float) -> float:
        """Height in eV of a hill that is added where the bias of hills is `bias` eV."""
        assert self.height is not None
        if self.biasfactor is None:
            return self.height
        assert self.temperature is not None
        return float(self.height * np.exp(-bias / (ase.units.kB * self.temperature * (self.biasfactor - 1.0))))


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
        self.spacing = [(axis.high - axis.low) / axis.n for axis in axes]
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
        weights = []  # of each variable: (value or slope of V, value or derivative at node, left or right node)
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
        slopes = [_contracted(table, [weight[int(j == k)] for j, weight in enumerate(weights)]) for k in range(n)]
        return value, np.array(slopes)


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
    slope = [
        [-6.0 * t * (1.0 - t) / h, 6.0 * t * (1.0 - t) / h],
        [(1.0 - t) * (1.0 - 3.0 * t), t * (3.0 * t - 2.0)],
    ]
    return np.array([value, slope])


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
        self.settings, self.names, self.periods = settings, tuple(names), tuple(periods)
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
