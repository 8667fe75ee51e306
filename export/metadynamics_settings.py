"""What a bias of metadynamics is made of: hills, walls, moving restraints and the grid of their sum.

Energies in eV, variables in their units (A, radian, or none), times in steps. What the numbers mean is told by
`rhopot.export.metadynamics_bias`; here they are checked, alone and with the names and periods of the variables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import ase.units
import numpy as np

MOST_VARIABLES = 3
SAME_PERIOD = 1e-3  # relative: limits of a grid that are so close to a period, or to its ends, stand for them
COARSEST = 0.5  # spacing of a grid in sigma at most
WIDEST = 0.25  # sigma in periods: the hill has fallen to an eighth at its kink
FINE = 1.0 / 3.0  # spacing in sigma that a message proposes

Periods = Sequence[float | None]


@dataclass(frozen=True)
class Axis:
    """Grid of one variable: `n` intervals from `low` to `high`, which are a period apart where there is one."""

    low: float
    high: float
    n: int

    @property
    def spacing(self) -> float:
        """Length of an interval."""
        return (self.high - self.low) / self.n

    def snapped(self, period: float | None) -> Axis:
        """The axis of a variable with this period: -3.14,3.14 is written for -pi,pi, which it becomes."""
        if period is None or not math.isclose(self.high - self.low, period, rel_tol=SAME_PERIOD):
            return self
        half = math.isclose(self.low, -period / 2.0, rel_tol=SAME_PERIOD)
        low = -period / 2.0 if half else 0.0 if abs(self.low) <= SAME_PERIOD * period else self.low
        return Axis(low, low + period, self.n)


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
                f"sigma must be above 0, got {', '.join(f'{width:g}' for width in self.sigma)}; a third of the "
                "standard deviation of the variable in a run without bias is usual"
            )
        if self.pace is not None and self.pace < 1:
            raise ValueError(f"pace must be 1 step or more, got {self.pace}; 100 to 500 are usual")
        self._require_tempering()
        if self.grid and not any(given):
            raise ValueError("grid must go with hills, got none; leave it out, or give height, sigma and pace")
        for axis in self.grid:
            if not (-np.inf < axis.low < axis.high < np.inf and axis.n >= 2):
                raise ValueError(
                    f"grid must be a lower limit, an upper limit and 2 intervals or more, got {axis.low:g}, "
                    f"{axis.high:g}, {axis.n}; write for instance 0, 10, 200"
                )
        for term in self.terms:
            if not 0.0 < term.kappa < np.inf:
                raise ValueError(
                    f"kappa must be above 0, got {term.kappa:g} for {term.name}; give a force constant in eV"
                )
        for restraint in self.moving:
            if restraint.last <= restraint.first:
                raise ValueError(
                    f"moving must end at a later step than it begins, got {restraint.first} and {restraint.last} for "
                    f"{restraint.name}; give the first step, then the last"
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
            ValueError: the number of widths or axes, an unknown name, a hill too wide for a period, an axis that is no
            period long.
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
                raise ValueError(
                    f"walls and moving must name one of {', '.join(names)}, got '{term.name}'; give a name of these"
                )
        for wall in self.walls:
            if periods[names.index(wall.name)] is not None:
                raise ValueError(
                    f"walls must be of variables that are not periodic, got {wall.name}; use a moving restraint that "
                    "stands still"
                )
        for name, axis, period in zip(names, self.grid, periods, strict=False):
            length = axis.high - axis.low
            if period is not None and not math.isclose(length, period, rel_tol=SAME_PERIOD):
                raise ValueError(
                    f"grid of {name} must be one period long, {period:.6g}, got {length:.6g}; give {_half(period)}"
                )
        for name, sigma, period in zip(names, self.sigma, periods, strict=False):
            # Only the nearest image of a hill counts: a wider one has a kink half a period away.
            if period is not None and sigma > WIDEST * period:
                raise ValueError(
                    f"sigma of {name} must be at most a quarter of its period, {WIDEST * period:.4g}, got {sigma:g}; a "
                    "third of the standard deviation of the variable in a run without bias is usual"
                )
        for name, axis, sigma in zip(names, self.grid, self.sigma, strict=False):
            if axis.spacing > COARSEST * sigma * (1.0 + SAME_PERIOD):
                raise ValueError(
                    f"grid spacing must be at most half of sigma, got {axis.spacing:.4g} of {name} with sigma "
                    f"{sigma:g}; give {math.ceil((axis.high - axis.low) / (FINE * sigma))} intervals"
                )

    def snapped(self, periods: Periods) -> BiasSettings:
        """These settings with a grid of exactly a period in each periodic variable (`Axis.snapped`)."""
        grid = (axis.snapped(period) for axis, period in zip(self.grid, periods, strict=True))
        return replace(self, grid=tuple(grid))

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


def _half(period: float) -> str:
    """The limits of a period around 0 as one writes them."""
    return "-pi, pi" if math.isclose(period, 2.0 * math.pi, rel_tol=1e-12) else f"{-period / 2:.17g}, {period / 2:.17g}"
