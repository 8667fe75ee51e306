"""Energy of two atoms against their distance, for every pair of elements: repulsive at short range, and smooth?

Two atoms are outside what most models are fitted to, but what they do at short range decides whether atoms that meet
in hot dynamics, or at a surface, come apart again. From `CLOSEST` to the cutoff the curve is

    repulsive     where the force drives atoms apart at every distance below `SHARE` of the sum of covalent radii
    smooth        where energies follow a cubic spline through every other one, to `ROUGH` of the energies from there on
                  (or of `FLAT`, where these are small)
"""

from __future__ import annotations

from collections.abc import Sequence
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
    energies = np.empty(len(distances))
    forces = np.empty(len(distances))
    atoms = Atoms(pair, positions=np.zeros((2, 3)))
    atoms.calc = calculator
    for k, distance in enumerate(distances):
        atoms.positions[1, 0] = distance
        energies[k] = atoms.get_potential_energy()
        forces[k] = atoms.get_forces()[1, 0]
    energies -= energies[-1]
    short = SHARE * sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
    drawn = (distances < short) & (forces < 0.0)
    attractive = float(distances[drawn].max()) if drawn.any() else None
    return Diatomic(pair, distances, energies, attractive, _roughest(distances, energies))


def _roughest(distances: Floats, energies: Floats) -> float | None:
    """Distance where the energies are farthest from a spline through every other one, beyond `ROUGH` of their range."""
    spline = CubicSpline(distances[::2], energies[::2])
    # Steep walls reach thousands of eV: each place is held against the energies from there outwards.
    scale = np.maximum.accumulate(np.abs(energies)[::-1])[::-1]
    off = np.abs(spline(distances[1::2]) - energies[1::2]) / np.maximum(scale[1::2], FLAT)
    worst = int(np.argmax(off))
    return float(distances[1::2][worst]) if off[worst] > ROUGH else None
