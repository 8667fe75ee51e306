"""Calibration of the predicted uncertainty: the factor that brings 68.27% of the errors within one standard deviation.

Errors and standard deviations are those of structures that the members which predict them have not seen;
`quantile_scale` widens the factor where they are few. Energies are calibrated as a whole, force
components once per element.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.force_radii import ForceRadius, force_radii, not_negligible
from rhopot.potentials.fitting.minimum_counts import FEWEST_ERRORS, FEWEST_FOLDS
from rhopot.potentials.units import NEGLIGIBLE_FORCE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NORMAL_QUANTILE = 0.6827
# Part of the errors below which members differ by rounding alone.
ROUNDING = 1e-6


@dataclass(frozen=True)
class EnergyCalibration:
    """Factor on the members' departures from their mean, and how errors follow the deviations so scaled.

    n_energies in n_groups (None: not all carry one): errors it is based on; widening: part of the factor that is due to
    their small number; within_one, rank_correlation: of these errors.
    """

    factor: float
    n_energies: int
    n_groups: int | None
    widening: float
    within_one: float
    rank_correlation: float


def calibrate_energies(errors: Floats, deviations: Floats, n_groups: int | None = None) -> EnergyCalibration | None:
    """Return the calibration from errors and deviations (n) in eV per atom.

    None with fewer than `FEWEST_ERRORS` structures, or members that agree but for rounding.
    """
    if len(errors) < FEWEST_ERRORS or deviations.min() <= 0.0:
        return None
    if np.median(deviations) < ROUNDING * np.median(np.abs(errors)):
        return None
    factor = quantile_scale(errors, deviations)
    return EnergyCalibration(
        factor=factor,
        n_energies=len(errors),
        n_groups=n_groups,
        widening=factor / plain_scale(errors, deviations),
        within_one=float(np.mean(np.abs(errors) <= factor * deviations)),
        rank_correlation=rank_correlation(np.abs(errors), deviations),
    )


def quantile_scale(errors: Floats, deviations: Floats, n_frames: int | None = None) -> float:
    """Return the factor on the deviations that brings 68.27% of |errors| of further structures within one.

    It is the k-th smallest of n ratios |error| / deviation, k = ceil(0.6827 (n + 1)): a further ratio lies below it
    with a probability of k / (n + 1) or more, whatever the distribution [split conformal prediction, 1]. The factor is
    wider than the plain quantile by what n allows to know.

    n_frames: of how many structures the errors are, where these have many each (components of forces). Then the
    quantile 0.6827 (n_frames + 1) / n_frames of all ratios holds for a component of a further structure [2].

    [1] J. Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), doi:10.1080/01621459.2017.1307116
    [2] R. Dunn, L. Wasserman, A. Ramdas, J. Am. Stat. Assoc. 118, 2491 (2023), doi:10.1080/01621459.2022.2060112
    """
    if n_frames is None:
        level = ceil(NORMAL_QUANTILE * (len(errors) + 1)) / len(errors)
    else:
        level = NORMAL_QUANTILE * (n_frames + 1) / n_frames
    return float(np.quantile(np.abs(errors) / deviations, min(level, 1.0), method="inverted_cdf"))


def plain_scale(errors: Floats, deviations: Floats) -> float:
    """Return the factor that brings 68.27% of these very |errors| within one deviation."""
    return float(np.quantile(np.abs(errors) / deviations, NORMAL_QUANTILE))


@dataclass(frozen=True)
class ForceErrors:
    """Force components (m) of structures that a model was not fitted to, the three of each atom in turn.

    errors, deviations: eV/A, the latter predicted; species: index of the atom's element; frames: its structure.
    """

    errors: Floats
    deviations: Floats
    species: Integers
    frames: Integers

    @staticmethod
    def of(errors: Floats, deviations: Floats, species: Integers, frames: Integers) -> ForceErrors:
        """Return the components of errors (n, 3) on n atoms with deviations, species and numbers of structures (n)."""
        return ForceErrors(errors.ravel(), np.repeat(deviations, 3), np.repeat(species, 3), np.repeat(frames, 3))

    @staticmethod
    def joined(parts: Sequence[ForceErrors]) -> ForceErrors:
        """Return the components of all parts, whose structures are different ones."""
        names, first, frames = ("errors", "deviations", "species"), 0, [np.zeros(0, dtype=np.int64)]
        for part in parts:
            frames.append(part.frames + first)
            first += int(part.frames.max(initial=-1)) + 1
        joined = {
            name: np.concatenate([getattr(NO_FORCES, name), *(getattr(p, name) for p in parts)]) for name in names
        }
        return ForceErrors(**joined, frames=np.concatenate(frames))

    def select(self, chosen: NDArray[np.bool_]) -> ForceErrors:
        """Return some of the components."""
        return ForceErrors(self.errors[chosen], self.deviations[chosen], self.species[chosen], self.frames[chosen])

    @property
    def n_frames(self) -> int:
        """Number of structures."""
        return len(np.unique(self.frames))


NO_FORCES = ForceErrors(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class ForceCalibration:
    """Factors on the standard deviation of the members' forces, from force errors of structures not fitted.

    factors: symbol -> factor for forces on atoms of that element. Members of a fit differ about as much for every
    element, while errors may be several times as large for one element as for another.
    radii: symbol -> radius that 90% of the force-error vectors on its atoms stay within (`force_radii`).
    n_components of n_frames in n_groups (None: not all carry one): errors they are based on; widening: part of the
    factors that is due to the small number of frames, at most; within_one, within_two, rank_correlation: of these
    errors, at the factors; within_radius: part of the atoms whose error vector is within its radius.
    """

    factors: dict[str, float]
    radii: dict[str, ForceRadius]
    n_components: int
    n_frames: int
    n_groups: int | None
    widening: float
    within_one: float
    within_two: float
    within_radius: float
    rank_correlation: float


def calibrate_forces(
    found: ForceErrors, symbols: Sequence[str], n_groups: int | None = None
) -> ForceCalibration | None:
    """Return the calibration from errors of force components; `symbols` names the species.

    None with fewer than `FEWEST_ERRORS` structures, or members that agree but for rounding. Components whose error and
    deviation are both rounding (forces that vanish by symmetry, atoms without neighbours) are left out. An element that
    fewer structures hold, or whose members agree, takes the factor of all components together.
    """
    every = found
    found = found.select((np.abs(found.errors) > NEGLIGIBLE_FORCE) | (found.deviations > NEGLIGIBLE_FORCE))
    together = _force_factor(found)
    if together is None:
        return None
    factors, scaled, widening = {}, np.empty(len(found.errors)), 1.0
    for s, symbol in enumerate(symbols):
        atoms = found.species == s
        factor, wider = _force_factor(found.select(atoms)) or together
        factors[symbol] = factor
        scaled[atoms] = factor * np.maximum(found.deviations[atoms], np.finfo(np.float64).tiny)
        widening = max(widening, wider)
    radii, within_radius = _radii(every, factors, symbols)
    return ForceCalibration(
        factors=factors,
        radii=radii,
        n_components=len(found.errors),
        n_frames=found.n_frames,
        n_groups=n_groups,
        widening=widening,
        within_one=float(np.mean(np.abs(found.errors) <= scaled)),
        within_two=float(np.mean(np.abs(found.errors) <= 2.0 * scaled)),
        within_radius=within_radius,
        rank_correlation=rank_correlation(np.abs(found.errors), scaled),
    )


def _radii(
    found: ForceErrors, factors: dict[str, float], symbols: Sequence[str]
) -> tuple[dict[str, ForceRadius], float]:
    """Return the radius of each element, and the part of these very atoms whose error is within it."""
    lengths = np.linalg.norm(found.errors.reshape(-1, 3), axis=1)
    species, frames = found.species[::3], found.frames[::3]
    deviations = found.deviations[::3] * np.array([factors[symbol] for symbol in symbols])[species]
    radii = force_radii(lengths, deviations, species, frames, symbols)
    sizes = np.zeros(len(lengths))
    for s, symbol in enumerate(symbols):
        sizes[species == s] = radii[symbol].of(deviations[species == s])
    return radii, float(np.mean((lengths <= sizes)[not_negligible(lengths, deviations)]))


def _force_factor(found: ForceErrors) -> tuple[float, float] | None:
    """Return the factor of these components and its widening; None where they do not give one."""
    if found.n_frames < FEWEST_ERRORS:
        return None
    errors, deviations = found.errors, np.maximum(found.deviations, np.finfo(np.float64).tiny)
    if np.median(deviations) < ROUNDING * np.median(np.abs(errors)):
        return None
    factor = quantile_scale(errors, deviations, found.n_frames)
    return (factor, factor / plain_scale(errors, deviations)) if factor > 0.0 else None


def log_likelihood(errors: Floats, deviations: Floats) -> float:
    """Return the mean log-likelihood of errors under Student's t (4 degrees), at the best factor on the deviations."""
    best = -np.inf
    ratio = np.abs(errors) / deviations
    for scale in quantile_scale(errors, deviations) * np.geomspace(0.3, 3.0, 41):
        value = np.mean(-2.5 * np.log1p((ratio / scale) ** 2 / 4.0) - np.log(scale * deviations))
        best = max(best, float(value))
    return best


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation of two samples, 0 when one of them is constant."""
    ranks = [np.argsort(np.argsort(x)).astype(float) for x in (a, b)]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def check_members(members: int, n_energies: int) -> None:
    """Refuse a number of members, or training data, that cannot be calibrated."""
    if members < 0 or members == 1:
        raise ValueError(f"members must be 0 or at least 2, got {members}; 16 is customary")
    if members and n_energies < FEWEST_FOLDS:
        raise ValueError(
            f"train must hold at least {FEWEST_FOLDS} frames with fitted energies to calibrate the members, "
            f"got {n_energies}; add energies or set members to 0"
        )
