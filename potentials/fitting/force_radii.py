"""Predicted error of the force on an atom: the radius that 90% of the force-error vectors stay within.

    radius_i = m sqrt( sigma_i^2 + f^2 ),    m, f of the element of atom i

sigma_i is the calibrated standard deviation of the members' forces on the atom (eV/A, per Cartesian component). Members
of a fit have errors in common, the form of the model and the noise of the labels among them, of which sigma says
nothing, and on sites of high symmetry sigma vanishes: the floor f stands for these. Where errors follow sigma, f is
small beside it, and for normal errors m is 2.50, the 90% quantile of the chi distribution with three degrees.

The multiple m is the quantile of |dF| / sqrt(sigma^2 + f^2) over atoms of structures that the members have not seen
(split conformal prediction [1]) at the level 0.9 (n + 1) / n, which widens it by what n errors allow to know. Atoms of
one structure are correlated, so n is not their number but the number of independent ones that would know the part
p = 0.1 outside the radius as well (design effect [2]): n = p (1 - p) / V, with V the variance of this part between
structures, and never fewer than the structures. The level 0.9 (n + 1) / n at the number of structures would hold
whatever the correlation, and covers 93% to 97% of the atoms for 15 structures. The floor is the one of `FLOORS` times
the root mean square of sigma, not below `LEAST_FLOOR`, with the smallest pinball loss

    < max( 0.9 (|dF| - radius), 0.1 (radius - |dF|) ) >

whose minimum is the conditional quantile [3]: it prefers radii that follow the errors to radii that hold on average
only.

[1] J. Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), doi:10.1080/01621459.2017.1307116
[2] L. Kish, Survey Sampling, Wiley (1965), section 5.4
[3] R. Koenker, G. Bassett, Econometrica 46, 33 (1978), doi:10.2307/1913643
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.minimum_counts import FEWEST_ERRORS
from rhopot.potentials.units import NEGLIGIBLE_FORCE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COVERAGE = 0.9
# Candidates of the floor, in units of the root mean square of the standard deviations.
FLOORS = (0.0, *np.geomspace(1e-3, 10.0, 25))
# eV/A: forces of labels are seldom converged better than to this.
LEAST_FLOOR = 1e-3


@dataclass(frozen=True)
class ForceRadius:
    """Radius multiple sqrt(sigma^2 + floor^2) in eV/A of the errors of forces on atoms of one element."""

    multiple: float
    floor: float

    def of(self, deviations: Floats) -> Floats:
        """Return the radii (n) for standard deviations (n) in eV/A."""
        return np.asarray(self.multiple * np.hypot(deviations, self.floor))


def force_radii(
    lengths: Floats, deviations: Floats, species: Integers, frames: Integers, symbols: Sequence[str]
) -> dict[str, ForceRadius]:
    """Return the radius of every element from force errors of atoms that were not fitted.

    An element that fewer than `FEWEST_ERRORS` structures hold takes the radius of all atoms together; without as many
    structures altogether there are none. Atoms on which error and deviation are both rounding are left out.

    Args:
        lengths: (n) lengths of the force-error vectors in eV/A.
        deviations: (n) calibrated standard deviations in eV/A.
        species, frames: (n) index of the atom's element in `symbols`, number of its structure.
    """
    counts = not_negligible(lengths, deviations)
    together = _radius(lengths[counts], deviations[counts], frames[counts])
    if together is None:
        return {}
    found = {}
    for s, symbol in enumerate(symbols):
        atoms = counts & (species == s)
        found[symbol] = _radius(lengths[atoms], deviations[atoms], frames[atoms]) or together
    return found


def not_negligible(lengths: Floats, deviations: Floats) -> NDArray[np.bool_]:
    """Return which atoms count: those whose error or deviation is more than rounding."""
    return np.asarray((lengths > NEGLIGIBLE_FORCE) | (deviations > NEGLIGIBLE_FORCE))


def _radius(lengths: Floats, deviations: Floats, frames: Integers) -> ForceRadius | None:
    """Return the radius of these atoms; None where they are of too few structures."""
    if len(np.unique(frames)) < FEWEST_ERRORS:
        return None
    size = float(np.sqrt(np.mean(deviations**2)))
    floors = sorted({max(factor * size, LEAST_FLOOR) for factor in FLOORS})
    floor = min(floors, key=lambda one: _loss(lengths, deviations, one))
    ratios = lengths / np.hypot(deviations, floor)
    count = _independent(ratios > _quantile(ratios, COVERAGE), frames)
    multiple = _quantile(ratios, COVERAGE * (count + 1.0) / count)
    return ForceRadius(multiple, floor) if multiple > 0.0 else None


def _loss(lengths: Floats, deviations: Floats, floor: float) -> float:
    """Return the mean pinball loss (eV/A) of the radii with this floor, at the plain quantile."""
    widths = np.hypot(deviations, floor)
    excess = lengths - _quantile(lengths / widths, COVERAGE) * widths
    return float(np.mean(np.maximum(COVERAGE * excess, (COVERAGE - 1.0) * excess)))


def _independent(outside: NDArray[np.bool_], frames: Integers) -> float:
    """Return the number of independent atoms that would know the part `outside` as well as these of few structures."""
    rows = np.unique(frames, return_inverse=True)[1]
    n_frames, part = int(rows.max()) + 1, 1.0 - COVERAGE
    sums = np.bincount(rows, weights=outside - part)
    variance = float(np.sum(sums**2)) / len(outside) ** 2 * n_frames / (n_frames - 1)
    return float(np.clip(part * (1.0 - part) / max(variance, np.finfo(np.float64).tiny), n_frames, len(outside)))


def _quantile(ratios: Floats, level: float) -> float:
    return float(np.quantile(ratios, min(level, 1.0), method="inverted_cdf"))
