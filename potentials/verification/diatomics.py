"""Energy of two atoms against their distance, for every pair of elements: repulsive at short range, and smooth?

Two atoms are outside what most models are fitted to, but what they do at short range decides whether atoms that meet
in hot dynamics, or at a surface, come apart again. From `CLOSEST` to the cutoff the curve is

    repulsive     where the force drives atoms apart at every distance below `SHARE` of the sum of covalent radii
    smooth        where energies follow a cubic spline through every other one, to `ROUGH` of the energies from there on
                  (or of `FLAT`, where these are small), or come closer to it on a finer grid, by `GAIN` at least. On a
                  grid that is `FINER` times finer, a step in the energy stays as far off as it was, a step in the force
                  comes closer by `FINER`, one in the curvature by its square
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers, covalent_radii
from scipy.interpolate import CubicSpline

from rhopot.potentials.units import Floats

CLOSEST = 0.5  # A
FARTHEST = 6.0  # A, where the range of a potential is not known
POINTS = 221
SHARE = 0.75
ROUGH = 1e-3
FLAT = 0.05  # eV
FINER = 8
GAIN = 20.0


@dataclass(frozen=True)
class Diatomic:
    """Curve of a pair of elements: distances (n,) in A, energies (n,) in eV above the largest distance.

    attractive: distance (A) below which, on the way from outside, atoms are first drawn together at short range; None
    where they never are. rough: distance of the roughest place; None for a smooth curve.
    """

    pair: tuple[str, str]
    distances: Floats
    energies: Floats
    attractive: float | None
    rough: float | None

    def sentence(self) -> str:
        """The curve in one sentence."""
        name = "-".join(self.pair)
        core = (
            f"repulsive down to {self.distances[0]:g} A"
            if self.attractive is None
            else f"ATTRACTIVE below {self.attractive:.2f} A"
        )
        smooth = "smooth" if self.rough is None else f"NOT SMOOTH near {self.rough:.2f} A"
        depth, where = self.energies.min(), self.distances[int(np.argmin(self.energies))]
        return f"{name}: {core}, {smooth}; minimum {depth:.2f} eV at {where:.2f} A"


def diatomic_curves(symbols: Sequence[str], calculator: Calculator, reach: float | None = None) -> list[Diatomic]:
    """Return the curve of every pair of elements up to `reach` (A)."""
    distances = np.geomspace(CLOSEST, reach or FARTHEST, POINTS)  # walls are steep: finer where atoms are close
    return [_curve(pair, distances, calculator) for pair in combinations_with_replacement(symbols, 2)]


def _curve(pair: tuple[str, str], distances: Floats, calculator: Calculator) -> Diatomic:
    atoms = Atoms(pair, positions=np.zeros((2, 3)))
    atoms.calc = calculator

    def energy(distance: float) -> float:
        atoms.positions[1, 0] = distance
        return float(atoms.get_potential_energy())

    farthest = energy(distances[-1])
    energies = np.empty(len(distances))
    forces = np.empty(len(distances))
    for k, distance in enumerate(distances):
        energies[k] = energy(distance) - farthest
        forces[k] = atoms.get_forces()[1, 0]
    short = SHARE * sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
    drawn = (distances < short) & (forces < 0.0)
    attractive = float(distances[drawn].max()) if drawn.any() else None
    return Diatomic(
        pair, distances, energies, attractive, _roughest(distances, energies, lambda r: energy(r) - farthest)
    )


def _roughest(distances: Floats, energies: Floats, energy: Callable[[float], float]) -> float | None:
    """Distance of the roughest place; on a grid as coarse as this, curves that end smoothly at a cutoff look rough."""
    off = _off(distances, energies)
    for k in np.argsort(-off):
        if not off[k] > ROUGH:
            return None
        low, high = max(2 * k - 1, 0), min(2 * k + 3, len(distances) - 1)
        near = np.linspace(distances[low], distances[high], FINER * (high - low) + 1)
        still = _off(near, np.array([energy(distance) for distance in near]), float(np.abs(energies[high:]).max()))
        if still.max() > ROUGH / GAIN:
            return float(near[1::2][np.argmax(still)])
    return None


def _off(distances: Floats, energies: Floats, beyond: float = 0.0) -> Floats:
    """How far every other energy is from a spline through those between, in parts of the energies from there outwards.

    beyond: largest energy farther out, eV
    """
    spline = CubicSpline(distances[::2], energies[::2])
    # Steep walls reach thousands of eV: each place is held against the energies from there outwards.
    scale = np.maximum.accumulate(np.abs(energies)[::-1])[::-1]
    return np.abs(spline(distances[1::2]) - energies[1::2]) / np.maximum(scale[1::2], max(beyond, FLAT))
