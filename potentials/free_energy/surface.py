"""Free energies from hills.

Well-tempered metadynamics: F(s) = -sum_h h G_h(s) with the heights h of HILLS, of all hills so far (Barducci, Bussi,
Parrinello, Phys. Rev. Lett. 100, 020603 (2008), doi:10.1103/PhysRevLett.100.020603).

Plain metadynamics does not converge but fluctuates around F; its estimate is the average over the last part of the run,
from t_0 to t_1 (C. Micheletti, A. Laio, M. Parrinello, Phys. Rev. Lett. 92, 170601 (2004),
doi:10.1103/PhysRevLett.92.170601; averaged as in A. Laio, F. L. Gervasio, Rep. Prog. Phys. 71, 126601 (2008),
doi:10.1088/0034-4885/71/12/126601):

    F(s) = -sum_h h G_h(s) min(1, (t_1 - t_h) / (t_1 - t_0))

where a hill counts for the part of the average in which it stands. Free energies are those of the variables as the run
saw them: walls and other static biases belong to the system.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from rhopot.potentials.free_energy.grid import Grid, Surface, from_zero
from rhopot.potentials.free_energy.hills import Hills, sum_on_grid
from rhopot.potentials.units import Floats

LAST = 0.5  # part of a plain metadynamics that the average takes


def surface_of_hills(hills: Hills, grid: Grid, last: float | None = None) -> Surface:
    """Free energy (eV, minimum zero) on a grid of the hills' variables.

    last: fraction of the run, at its end, that is averaged over; by default 0 (none) of well-tempered and half of plain
        metadynamics
    """
    return surfaces_in_time(hills, grid, [1.0], last)[1][0]


def surfaces_in_time(
    hills: Hills, grid: Grid, fractions: Sequence[float], last: float | None = None
) -> tuple[Floats, list[Surface]]:
    """Times and free energies after the given fractions (increasing, 0 to 1) of the hills.

    Raises:
        ValueError: `last` is not in [0, 1], or a fraction holds no hill.
    """
    last = (0.0 if hills.tempered else LAST) if last is None else last
    if not 0.0 <= last <= 1.0:
        raise ValueError(f"last must be a fraction between 0 and 1, got {last:g}")
    ends = [round(fraction * len(hills)) for fraction in fractions]
    if not ends or min(ends) < 1:
        raise ValueError(f"hills must be enough for {len(fractions)} times, got {len(hills)}; run longer")
    starts = [round((1.0 - last) * end) for end in ends]
    sums = _cumulative(hills, grid, sorted({*starts, *ends}), last > 0.0)
    surfaces = []
    for start, end in zip(starts, ends, strict=True):
        energy = sums[end][0]
        if end > start:  # hills from start to end count (end - their number) / (end - start)
            whole, numbered = sums[end][0] - sums[start][0], sums[end][1] - sums[start][1]
            energy = sums[start][0] + (end * whole - numbered) / (end - start)
        surfaces.append(Surface(grid, from_zero(-energy)))
    return hills.times[np.array(ends) - 1], surfaces


def _cumulative(hills: Hills, grid: Grid, counts: Sequence[int], numbered: bool) -> dict[int, tuple[Floats, Floats]]:
    """Of the first hills, by their count: sum of heights times Gaussians, and the same times the hill's number."""
    found = {0: (np.zeros(grid.shape), np.zeros(grid.shape))}
    before = 0
    for count in [count for count in counts if count > 0]:
        added = hills.part(slice(before, count))
        number = np.arange(before, count) + 0.5
        first, second = found[before]
        first = first + sum_on_grid(added, grid, added.heights)
        if numbered:
            second = second + sum_on_grid(added, grid, added.heights * number)
        found[count] = (first, second)
        before = count
    return found


def project(surface: Surface, names: Sequence[str], thermal: float) -> Surface:
    """Free energy of some variables of a surface: F(a) = -kT ln integral exp(-F(a, b) / kT) db.

    thermal: kT in eV

    Raises:
        ValueError: a name that is not a variable of the surface.
    """
    grid = surface.grid
    known = [variable.name for variable in grid.variables]
    for name in names:
        if name not in known:
            raise ValueError(f"variable must be one of {', '.join(known)}, got {name!r}; name another")
    places = [known.index(name) for name in names]
    others = tuple(k for k in range(len(known)) if k not in places)
    energy = surface.energy
    if others:
        energy = -thermal * logsumexp(-energy / thermal, axis=others)
    energy = np.transpose(energy, [sorted(places).index(place) for place in places])
    kept = Grid(
        tuple(grid.variables[k] for k in places),
        tuple(grid.axes[k] for k in places),
        tuple(grid.wraps[k] for k in places),
    )
    return Surface(kept, from_zero(energy))
