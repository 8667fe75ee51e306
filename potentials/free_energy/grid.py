"""Collective variables, regular grids over one to three of them, and free energies on such grids.

Nodes of a variable that is not periodic are lo, ..., hi; those of a periodic one leave the upper limit out, which is
the lower one's image. Energies are in eV, variables in their own unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import ase.units
import numpy as np

from rhopot.potentials.units import Floats

MOST_NODES = {1: 1000, 2: 150, 3: 50}  # along each variable, of grids that nobody asked for
FEWEST_NODES = {1: 40, 2: 25, 3: 15}


def thermal_energy(temperature: float) -> float:
    """Boltzmann's constant times the temperature (K), in eV; ValueError unless it is positive."""
    if not (math.isfinite(temperature) and temperature > 0.0):
        raise ValueError(f"temperature must be positive, got {temperature:g}; give the thermostat's in K")
    return float(ase.units.kB * temperature)


@dataclass(frozen=True)
class Variable:
    """A collective variable: name, unit (empty: a number), and limits (low, high) of a periodic one."""

    name: str
    unit: str = ""
    limits: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """Name with the unit in round brackets."""
        unit = {"A": "Å"}.get(self.unit, self.unit)
        return f"{self.name} ({unit})" if unit else self.name

    def difference(self, a: Floats, b: Floats) -> Floats:
        """a - b, of periodic variables to the nearest image."""
        d = np.asarray(a - b, dtype=np.float64)
        if self.limits is not None:
            period = self.limits[1] - self.limits[0]
            d -= period * np.round(d / period)
        return d

    def wrap(self, values: Floats) -> Floats:
        """Values within the limits of a periodic variable; others as they are."""
        if self.limits is None:
            return np.asarray(values, dtype=np.float64)
        low, high = self.limits
        return np.asarray(low + np.mod(values - low, high - low), dtype=np.float64)


@dataclass(frozen=True)
class Grid:
    """Nodes of one to three variables.

    axes: of each variable, its nodes (n_k,), equally spaced
    wraps: of each variable, whether the first node is the last one's neighbor
    """

    variables: tuple[Variable, ...]
    axes: tuple[Floats, ...]
    wraps: tuple[bool, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each variable."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighboring nodes along each variable."""
        return tuple(float(axis[1] - axis[0]) for axis in self.axes)

    @cached_property
    def nodes(self) -> Floats:
        """Coordinates (n, variables) of all nodes, the last variable fastest."""
        return np.stack([axis.ravel() for axis in np.meshgrid(*self.axes, indexing="ij")], axis=1)

    def bins(self, values: Floats) -> np.ndarray:
        """Flat index of the node nearest to each row of values (n, variables); -1 outside of the grid."""
        index = np.zeros(len(values), dtype=np.int64)
        outside = np.zeros(len(values), dtype=bool)
        for k, (variable, axis, step) in enumerate(zip(self.variables, self.axes, self.spacing, strict=True)):
            position = np.rint((variable.wrap(values[:, k]) - axis[0]) / step).astype(np.int64)
            if self.wraps[k]:
                position %= len(axis)
            outside |= (position < 0) | (position >= len(axis))
            index = index * len(axis) + np.clip(position, 0, len(axis) - 1)
        return np.where(outside, -1, index)


@dataclass(frozen=True)
class Surface:
    """A free energy on a grid.

    energy: (n_1, ...), eV, zero at the minimum, infinite where nothing was sampled
    error: standard deviation of -kT ln of the normalized density at each node, eV, where it is known
    """

    grid: Grid
    energy: Floats
    error: Floats | None = None


def from_zero(energy: Floats) -> Floats:
    """Energies above their minimum."""
    return np.asarray(energy - np.min(energy), dtype=np.float64)


def make_grid(
    variables: Sequence[Variable],
    lows: Sequence[float],
    highs: Sequence[float],
    counts: Sequence[int],
) -> Grid:
    """A grid from limits and numbers of nodes of each variable; one over a whole period is closed.

    Raises:
        ValueError: fewer than 3 nodes, lo not below hi, more than a period, or more than three variables.
    """
    if not 1 <= len(variables) <= 3:
        raise ValueError(f"variables must be 1 to 3, got {len(variables)}; name those of interest")
    axes, wraps = [], []
    for variable, low, high, count in zip(variables, lows, highs, counts, strict=True):
        if not (math.isfinite(low) and math.isfinite(high) and low < high and count >= 3):
            raise ValueError(
                f"grid of {variable.name} must be lo,hi,n with lo < hi and n of 3 or more, got {low:g},{high:g},{count}"
            )
        period = variable.limits[1] - variable.limits[0] if variable.limits else math.inf
        if high - low > period * (1.0 + 1e-6):
            raise ValueError(f"grid of {variable.name} must be within its period of {period:g}, got {low:g},{high:g}")
        closed = high - low > period * (1.0 - 1e-6)
        wraps.append(closed)
        axes.append(np.linspace(low, high, count, endpoint=not closed))
    return Grid(tuple(variables), tuple(axes), tuple(wraps))


def default_grid(variables: Sequence[Variable], values: Floats, spacing: Floats, fewest: int | None = None) -> Grid:
    """The grid over visited values (n, variables), of periodic variables over the whole period.

    spacing: (variables,), the distance of nodes that is aimed at, within limits of their number
    fewest: nodes of each variable
    """
    if not 1 <= len(variables) <= 3:
        raise ValueError(f"variables must be 1 to 3, got {len(variables)}; name those of interest")
    many, few = MOST_NODES[len(variables)], fewest or FEWEST_NODES[len(variables)]
    lows, highs, counts = [], [], []
    for k, variable in enumerate(variables):
        low, high = variable.limits or (float(values[:, k].min()), float(values[:, k].max()))
        if low == high:
            raise ValueError(f"{variable.name} must have more than one value, got {low:g} throughout; run longer")
        wanted = (high - low) / float(spacing[k])
        lows.append(low)
        highs.append(high)
        counts.append(int(np.clip(math.ceil(wanted), few, many)))
    return make_grid(variables, lows, highs, counts)
