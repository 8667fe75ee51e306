"""Hills of metadynamics, and their sum at nodes of a grid or at points, at any time.

    V(s, t) = sum_{t_h < t} W_h prod_k exp(-(s_k - c_hk)^2 / (2 sigma_hk^2))

(periodic variables: nearest image). HILLS of PLUMED and rhopot hold heights h = W g / (g - 1) with the bias factor g
of well-tempered metadynamics (h = W of plain metadynamics), so that F(s) = -sum_h h G_h(s) up to a constant. Newer
versions of PLUMED cut Gaussians off at (s - c)^2 / (2 sigma^2) = 6.25, stretched so that they end at zero; their HILLS
say so (`kerneltype stretched-gaussian`) and are summed with that kernel.

    A. Barducci, G. Bussi, M. Parrinello, Phys. Rev. Lett. 100, 020603 (2008), doi:10.1103/PhysRevLett.100.020603
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import ase.units
import numpy as np

from rhopot.potentials.free_energy.grid import Grid, Variable
from rhopot.potentials.plumed_files import ANGSTROM_PER_NM, EV_PER_KJ_PER_MOL, PlumedTable
from rhopot.potentials.units import Floats

NODES_OF_A_SIGMA = 5.0
CHUNK = 2_000_000  # numbers in a block of intermediate results
STRETCHED_CUTOFF = 6.25  # PLUMED's DP2CUTOFF


@dataclass(frozen=True)
class FileUnits:
    """Units of a file: energy in eV, length in A."""

    energy: float
    length: float


UNITS = {
    "plumed": FileUnits(EV_PER_KJ_PER_MOL, ANGSTROM_PER_NM),
    "metal": FileUnits(1.0, 1.0),
    "real": FileUnits(float(ase.units.kcal / ase.units.mol), 1.0),
}


@dataclass(frozen=True)
class Hills:
    """Hills in the order of time.

    times: (n,), ps, or steps of colvars' files
    centers, sigmas: (n, variables)
    heights: (n,), eV, such that F = -sum of hills: times g / (g - 1) in well-tempered metadynamics
    biasfactor: g, infinite for plain metadynamics
    walkers: (n,), which walker added each; None of one walker
    stretched: whether Gaussians are PLUMED's truncated ones
    column: of a trajectory, with the bias of the hills, where the name of their file says it
    identity: of the collective-variable file, of rhopot's HILLS
    """

    variables: tuple[Variable, ...]
    times: Floats
    centers: Floats
    sigmas: Floats
    heights: Floats
    biasfactor: float = math.inf
    walkers: np.ndarray | None = None
    stretched: bool = False
    notes: tuple[str, ...] = ()
    column: str = ""
    identity: str = ""

    def __len__(self) -> int:
        return len(self.heights)

    @property
    def tempered(self) -> bool:
        """True for well-tempered metadynamics."""
        return math.isfinite(self.biasfactor)

    @property
    def weights(self) -> Floats:
        """Heights (n,) of the bias potential in eV."""
        return self.heights * (1.0 - 1.0 / self.biasfactor)

    @property
    def spacing(self) -> Floats:
        """Distance (variables,) of nodes that resolve the hills: a fifth of the smallest sigma."""
        return np.asarray(self.sigmas.min(axis=0) / NODES_OF_A_SIGMA, dtype=np.float64)

    def part(self, window: slice) -> Hills:
        """Some of the hills alone."""
        return replace(
            self,
            times=self.times[window],
            centers=self.centers[window],
            sigmas=self.sigmas[window],
            heights=self.heights[window],
            walkers=None if self.walkers is None else self.walkers[window],
        )


def variable_of(table: PlumedTable, name: str, units: FileUnits) -> tuple[Variable, float]:
    """A column as a variable, and the factor that takes it to the unit in which it is shown."""
    unit, factor = table.unit(name), 1.0
    if unit == "A":
        factor = units.length
    limits = table.limits(name)
    if limits is not None:
        limits = (factor * limits[0], factor * limits[1])
        if not unit and math.isclose(limits[1] - limits[0], 2.0 * math.pi):
            unit = "radian"
    return Variable(name, unit, limits), factor


def plumed_hills(table: PlumedTable, units: FileUnits = UNITS["plumed"]) -> Hills:
    """Hills of a HILLS file of PLUMED or rhopot.

    Raises:
        ValueError: columns are missing, hills have covariances (`multivariate true`), bias factors change, or sigmas
            are not positive.
    """
    names = [name for name in table.fields if f"sigma_{name}" in table.fields]
    if table.constants.get("multivariate", "false") == "true":
        raise ValueError(
            f"hills in '{table.source}' must be products of Gaussians, got multivariate ones (ADAPTIVE=GEOM); "
            "sum them with plumed sum_hills"
        )
    if not names or "height" not in table.fields:
        raise ValueError(
            f"'{table.source}' must be a HILLS file with columns NAME, sigma_NAME and height, got columns "
            f"{', '.join(table.fields)}; give a COLVAR file by --colvar"
        )
    made = [variable_of(table, name, units) for name in names]
    factors = np.array([factor for _, factor in made])
    biasfactors = table.column("biasf") if "biasf" in table.fields else np.array([-1.0])
    if np.ptp(biasfactors) > 0.0:
        raise ValueError(f"bias factors in '{table.source}' must be one, got {_some(biasfactors)}; split the file")
    factor = float(biasfactors[0])
    return checked(
        Hills(
            tuple(variable for variable, _ in made),
            table.column("time"),
            table.columns(names) * factors,
            table.columns([f"sigma_{name}" for name in names]) * factors,
            table.column("height") * units.energy,
            factor if factor > 1.0 else math.inf,
            stretched=table.constants.get("kerneltype") == "stretched-gaussian",
            notes=table.notes,
            identity=table.identity,
        ),
        table.source,
    )


def checked(hills: Hills, source: str) -> Hills:
    """The hills; ValueError where numbers are not finite, sigmas not positive or heights negative."""
    for numbers in (hills.centers, hills.sigmas, hills.heights):
        if not np.isfinite(numbers).all():
            raise ValueError(f"hills in '{source}' must be finite numbers, got others; did the run blow up?")
    if not (hills.sigmas > 0.0).all():
        raise ValueError(f"sigmas of hills in '{source}' must be positive, got {hills.sigmas.min():g}")
    if (hills.heights < 0.0).any():
        raise ValueError(f"heights of hills in '{source}' must not be negative, got {hills.heights.min():.3g} eV")
    return hills


def merge_hills(walkers: Sequence[Hills]) -> Hills:
    """Hills of several walkers in the order of time.

    Raises:
        ValueError: no walkers, or walkers with other variables, kernels or bias factors, or of other
            collective-variable files.
    """
    if not walkers:
        raise ValueError("walkers must be one or more, got none; name a file of hills")
    first = walkers[0]
    for other in walkers[1:]:
        if (other.variables, other.biasfactor, other.stretched) != (first.variables, first.biasfactor, first.stretched):
            raise ValueError(
                "hills of several walkers must have the same variables and bias factor, got "
                f"{_described(first)} and {_described(other)}; analyze them one by one"
            )
        if other.identity and first.identity and other.identity != first.identity:
            raise ValueError(
                "hills of several walkers must be of one collective-variable file, got rhopot_cv "
                f"{first.identity} and {other.identity}; analyze them one by one"
            )
    if len(walkers) == 1:
        return first
    order = np.argsort(np.concatenate([each.times for each in walkers]), kind="stable")
    return replace(
        first,
        times=np.concatenate([each.times for each in walkers])[order],
        centers=np.concatenate([each.centers for each in walkers])[order],
        sigmas=np.concatenate([each.sigmas for each in walkers])[order],
        heights=np.concatenate([each.heights for each in walkers])[order],
        walkers=np.repeat(np.arange(len(walkers)), [len(each) for each in walkers])[order],
        notes=tuple(note for each in walkers for note in each.notes),
    )


def _described(hills: Hills) -> str:
    return f"{', '.join(variable.name for variable in hills.variables)} with {hills.biasfactor:g}"


def _some(values: Floats) -> str:
    return ", ".join(f"{value:g}" for value in np.unique(values)[:3])


def sum_on_grid(hills: Hills, grid: Grid, amounts: Floats) -> Floats:
    """sum_h amounts_h G_h at the nodes (n_1, ...) of a grid of the hills' variables; amounts (n,)."""
    total = np.zeros(grid.shape)
    nodes = total.size
    widest = nodes if hills.stretched else max(nodes // grid.shape[0], grid.shape[0])
    step = max(1, CHUNK // widest)
    for start in range(0, len(hills), step):
        part = slice(start, start + step)
        squares = [
            0.5 * (variable.difference(axis[None, :], hills.centers[part, k, None]) / hills.sigmas[part, k, None]) ** 2
            for k, (variable, axis) in enumerate(zip(grid.variables, grid.axes, strict=True))
        ]
        total += _stretched(squares, amounts[part]) if hills.stretched else _separable(squares, amounts[part])
    return total


def _separable(squares: Sequence[Floats], amounts: Floats) -> Floats:
    """Sum of products of Gaussians exp(-squares); squares: of each variable (hills, n_k)."""
    first, *others = [np.exp(-square) for square in squares]
    if not others:
        return amounts @ first
    rest = others[0]
    for factor in others[1:]:
        rest = (rest[:, :, None] * factor[:, None, :]).reshape(len(amounts), -1)
    shape = [square.shape[1] for square in squares]
    return ((first * amounts[:, None]).T @ rest).reshape(shape)


def _stretched(squares: Sequence[Floats], amounts: Floats) -> Floats:
    """The same of PLUMED's truncated Gaussians."""
    total = squares[0]
    for square in squares[1:]:
        total = total[..., None] + square.reshape(len(amounts), *[1] * (total.ndim - 1), -1)
    return np.tensordot(amounts, _kernel(total, True), axes=1)


def _kernel(squares: Floats, stretched: bool) -> Floats:
    gaussian = np.exp(-squares)
    if not stretched:
        return gaussian
    edge = math.exp(-STRETCHED_CUTOFF)
    return np.where(squares < STRETCHED_CUTOFF, (gaussian - edge) / (1.0 - edge), 0.0)


def sum_at_points(hills: Hills, points: Floats, amounts: Floats, before: np.ndarray | None = None) -> Floats:
    """sum_h amounts_h G_h at points (p, variables), as (p,).

    before: of each point, how many hills count (the first ones); by default all
    """
    total = np.zeros(len(points))
    step = max(1, CHUNK // max(1, len(hills)))
    order = np.arange(len(hills))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        squares = np.zeros((len(points[part]), len(hills)))
        for k, variable in enumerate(hills.variables):
            away = variable.difference(points[part, k, None], hills.centers[None, :, k])
            squares += 0.5 * (away / hills.sigmas[None, :, k]) ** 2
        values = _kernel(squares, hills.stretched)
        if before is not None:
            values[order[None, :] >= before[part, None]] = 0.0
        total[part] = values @ amounts
    return total
