"""Melting point: the temperature at which a crystal and its liquid, side by side in one cell, keep each other.

    J. R. Morris, C. Z. Wang, K. M. Ho, C. T. Chan, Phys. Rev. B 49, 3109 (1994), doi:10.1103/PhysRevB.49.3109

Half of a supercell that is elongated along z is melted. At constant enthalpy and pressure (NPH), the crystal grows
where the cell is colder than the melting point, which heats it, and melts where it is hotter, which cools it. The edges
along x and y stay those of the crystal at its temperature and pressure, only z follows the pressure, so that neither
phase strains the other.

**Order.** In a slab of N_s atoms, with reciprocal vectors G of the crystal in the plane of x and y,

    psi = mean over G of |1/N_s sum_k exp(i G . r_k)|^2

is exp(-<(G . u)^2>) in a crystal of displacements u, and 1/N_s in a liquid. G are the shortest vectors for which all
atoms of a slab scatter in phase; crystal and slab may shift. Between the mean of the crystal and that of the liquid,
psi is mapped to 1 and 0: the solid fraction of the slab. Lengths in A, temperatures in K, times in ps, pressures in
GPa.

**Error.** The solid fraction, and the temperature with it, relax over tens of picoseconds, and a run is seldom many of
these times long: its blocks know little of them. The error of the melting point is therefore the larger of two: the
upper end of the error by blocking, e (1 + 1/sqrt(2 (n - 1))) of n blocks (Flyvbjerg, Petersen), and the change between
the halves of the part that is averaged. It is that of one run and knows nothing of what all of it has from its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from rhopot.potentials.properties.block_averages import FEWEST, block_average
from rhopot.potentials.units import Floats

ELONGATION = 3.0  # of the supercell, z over x
FEWEST_SLABS = 8
BOTH = (0.15, 0.85)  # solid fractions of the cell between which both phases are there
CRYSTAL = 0.2  # least order, in that of the perfect crystal, of one that has not melted
LIQUID = 0.3  # largest order of a liquid, in that of the crystal
ALIKE = 0.9  # of the largest order: vectors with which the perfect crystal scatters in phase
ORDERS = 4  # of reciprocal vectors that are looked at
STEP = 0.15  # relative change of the temperature where it is known from one side only
SETTLED = 2.0  # errors: larger changes between the halves of a run are noted
CLOSE = 0.05  # relative difference of the result from the temperature of the crystal's edges that is accepted
COEXIST, FROZE, MELTED = "coexist", "froze", "melted"


def orthogonal(crystal: Atoms) -> Atoms:
    """The crystal in a cell of right angles: its own, or twice a hexagonal one.

    Raises:
        ValueError: a cell of another shape.
    """
    angles = crystal.cell.angles()
    if np.allclose(angles, 90.0, atol=1e-3):
        return crystal.copy()
    sign = {120: 1, 60: -1}.get(round(float(angles[2])), 0)
    lengths = crystal.cell.lengths()
    if not sign or not np.allclose(angles[:2], 90.0, atol=1e-3) or not np.isclose(lengths[0], lengths[1], rtol=1e-6):
        raise ValueError(
            f"crystal must have a cell of right angles, or a hexagonal one, got {', '.join(f'{a:g}' for a in angles)} "
            "degrees; give the conventional cell, or a --prototype"
        )
    return make_supercell(crystal, np.array([[1, 0, 0], [sign, 2, 0], [0, 0, 1]]))


def elongated_repeats(crystal: Atoms, min_atoms: int) -> tuple[int, int, int]:
    """Cells along x, y, z of a supercell of at least `min_atoms` atoms, three times as long as wide, even along z."""
    a, b, c = crystal.cell.lengths()
    for count in range(1, 1000):
        width = count * min(a, b)
        repeats = max(1, round(width / a)), max(1, round(width / b)), 2 * int(np.ceil(ELONGATION * width / c / 2.0))
        if len(crystal) * int(np.prod(repeats)) >= min_atoms and repeats[2] >= FEWEST_SLABS:
            break
    return repeats


def elongated(crystal: Atoms, repeats: tuple[int, int, int]) -> Atoms:
    """The supercell, its atoms in the order of the cells along z."""
    return crystal.repeat((*repeats[:2], 1)).repeat((1, 1, repeats[2]))


def upper_half_stretched(atoms: Atoms, factor: float) -> Atoms:
    """Copy whose later half of the atoms has `factor` times its length along z, and the cell with it."""
    stretched, half = atoms.copy(), len(atoms) // 2
    length = 0.5 * atoms.cell.lengths()[2]
    middle = 0.5 * (stretched.positions[half:, 2].min() + stretched.positions[:half, 2].max())
    stretched.positions[half:, 2] += (factor - 1.0) * (stretched.positions[half:, 2] - middle)
    stretched.set_cell(atoms.cell.array + [[0, 0, 0], [0, 0, 0], [0, 0, (factor - 1.0) * length]])
    return stretched


@dataclass(frozen=True)
class PlanarOrder:
    """Order in slabs along z: vectors (n, 2) in units of the reciprocal vectors of the supercell; number of slabs."""

    vectors: Floats
    slabs: int

    @classmethod
    def of_crystal(cls, crystal: Atoms, repeats: tuple[int, int, int]) -> PlanarOrder:
        """The order of a supercell of perfect cells, a slab for each cell along z."""
        indices = np.array([(h, k) for h in range(-ORDERS, ORDERS + 1) for k in range(ORDERS + 1) if k > 0 or h > 0])
        phases = np.exp(2j * np.pi * crystal.get_scaled_positions()[:, :2] @ indices.T)
        found = np.abs(phases.mean(axis=0)) ** 2
        lengths = np.linalg.norm(indices / crystal.cell.lengths()[:2], axis=1)
        alike = found > ALIKE * found.max()
        shortest = alike & (lengths < 1.01 * lengths[alike].min())
        return cls(indices[shortest] * np.array(repeats[:2], dtype=np.float64), repeats[2])

    def __call__(self, atoms: Atoms) -> Floats:
        """psi of each slab (n,), from below; 0 in one without atoms."""
        fractions = atoms.get_scaled_positions(wrap=True)
        phases = np.exp(2j * np.pi * fractions[:, :2] @ self.vectors.T)
        slab = np.minimum((fractions[:, 2] * self.slabs).astype(int), self.slabs - 1)
        sums = np.zeros((self.slabs, len(self.vectors)), dtype=complex)
        np.add.at(sums, slab, phases)
        counts = np.maximum(np.bincount(slab, minlength=self.slabs), 1)
        return np.asarray((np.abs(sums / counts[:, None]) ** 2).mean(axis=1))

    def of_frames(self, frames: Iterable[Atoms]) -> Floats:
        """psi (frames, slabs)."""
        return np.array([self(frame) for frame in frames])

    def in_melt(self, order: Floats) -> float:
        """Mean of psi (frames, slabs) of a cell whose upper half was melted, away from the crystal."""
        return float(order[:, self.slabs // 2 + 1 : self.slabs - 1].mean())


@dataclass(frozen=True)
class Coexistence:
    """What a run at constant enthalpy says.

    outcome: `coexist`, or `froze` or `melted` where one phase was left alone; mean (K), its error within this run (see
    above), and whether blocks were longer than the correlation; drift: mean of the second half of the part that was
    averaged minus that of the first half (K), and its error; pressure (GPa) with error; times (n,) in ps, temperatures
    (n,), solid fractions of the slabs (n, slabs); first: row at which averages begin
    """

    outcome: str
    mean: float
    error: float
    converged: bool
    drift: float
    drift_error: float
    pressure: float
    pressure_error: float
    times: Floats
    temperatures: Floats
    slabs: Floats
    first: int

    @property
    def solid(self) -> Floats:
        """Solid fraction of the cell (n,)."""
        return np.asarray(self.slabs.mean(axis=1))

    @property
    def solid_drift(self) -> tuple[float, float]:
        """Change of the solid fraction between the halves of the part that is averaged, and its error."""
        return _halves(self.solid[self.first :])

    @property
    def drifts(self) -> bool:
        """True where temperature or solid fraction changed by more than two errors of the change."""
        return any(abs(drift) > SETTLED * error for drift, error in ((self.drift, self.drift_error), self.solid_drift))


def require_frames(count: int, skip: float) -> int:
    """Refuse a run of fewer frames than averages need; how many of its frames are skipped.

    Raises:
        ValueError: fewer than 8 frames are left.
    """
    first = int(skip * count)
    if count - first < 2 * FEWEST:
        raise ValueError(
            f"frames must be {2 * FEWEST} or more after those that are skipped, got {count - first}; give more "
            "--steps, or a smaller --every"
        )
    return first


def coexistence(
    times: Floats, temperatures: Floats, pressures: Floats, order: Floats, references: tuple[float, float], skip: float
) -> Coexistence:
    """Read a run: times (n,), temperatures (n,), pressures (n,), psi (n, slabs); references: psi of crystal and liquid.

    skip: fraction of the frames at the start that averages leave out. Both phases must be there in every frame.

    Raises:
        ValueError: fewer than 8 frames are left.
    """
    crystal, liquid = references
    slabs = np.clip((order - liquid) / (crystal - liquid), 0.0, 1.0)
    first = require_frames(len(times), skip)
    solid = slabs.mean(axis=1)
    alone = np.flatnonzero((solid < BOTH[0]) | (solid > BOTH[1]))
    outcome = COEXIST if not len(alone) else FROZE if solid[alone[0]] > BOTH[1] else MELTED
    kept = temperatures[first:]
    average, (drift, drift_error) = block_average(kept), _halves(kept)
    n_blocks = len(kept) // average.block
    pressure = block_average(pressures[first:])
    return Coexistence(
        outcome,
        average.mean,
        max(average.error * (1.0 + 1.0 / float(np.sqrt(2.0 * (n_blocks - 1)))), abs(drift)),
        average.converged,
        drift,
        drift_error,
        pressure.mean,
        pressure.error,
        times,
        temperatures,
        slabs,
        first,
    )


def _halves(values: Floats) -> tuple[float, float]:
    """Mean of the second half of a series (n,) minus that of the first, and its error by blocking."""
    half = len(values) // 2
    before, after = block_average(values[:half]), block_average(values[half:])
    return after.mean - before.mean, float(np.hypot(before.error, after.error))


@dataclass(frozen=True)
class Trial:
    """One attempt: temperature of the crystal's edges and of the start, outcome, temperature it came to (or NaN)."""

    temperature: float
    outcome: str
    result: float


def next_temperature(trials: Sequence[Trial]) -> float | None:
    """Temperature of the next attempt; None where the last one is the answer.

    Below the highest temperature at which the cell melted and above the lowest at which it froze; where only one of
    them is known, 15 % further. Where both phases stayed, at a temperature that differs by more than 5 % from that of
    the crystal's edges, the attempt is made again from there.
    """
    last = trials[-1]
    if last.outcome == COEXIST:
        return None if abs(last.result / last.temperature - 1.0) <= CLOSE else last.result
    below = max((each.temperature for each in trials if each.outcome == FROZE), default=None)
    above = min((each.temperature for each in trials if each.outcome == MELTED), default=None)
    if below is not None and above is not None:
        return 0.5 * (below + above)
    return last.temperature * (1.0 + STEP if above is None else 1.0 - STEP)


def search(guess: float, attempts: int, attempt: Callable[[int, float], Trial]) -> list[Trial]:
    """Make attempts, the k-th at a temperature, until one is the answer; all of them, the answer last.

    Raises:
        RuntimeError: in no attempt both phases stayed.
    """
    trials = [attempt(0, guess)]
    while len(trials) < attempts:
        temperature = next_temperature(trials)
        if temperature is None:
            break
        trials.append(attempt(len(trials), temperature))
    kept = [each for each in trials if each.outcome == COEXIST]
    if not kept:
        tried = ", ".join(f"{each.temperature:.0f} K {each.outcome}" for each in trials)
        raise RuntimeError(
            f"crystal and liquid must stay side by side, got one of them alone in {attempts} attempts ({tried}); give "
            "another --temperature, more --atoms, or more --attempts"
        )
    return [each for each in trials if each is not kept[-1]] + [kept[-1]]
