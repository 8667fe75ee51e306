"""Self-diffusion from mean squared displacements, its activation energy, and the ionic conductivity it stands for.

    Einstein         MSD(t) = 6 D t + const                        beyond the ballistic time
    Arrhenius        D(T) = D_0 exp(-E_a / k T)
    Nernst-Einstein  sigma = sum_a N_a q_a^2 D_a / (V k T)          ions that move independently (Haven ratio 1)

D. Frenkel, B. Smit, Understanding Molecular Simulation, 2nd ed. (2002), sections 4.4.1 and 4.5. The mean squared
displacement is that of all atoms of an element and of all origins of time, without the motion of the center of mass.
The error of D is the standard error over blocks of the trajectory, each fitted over the same times.

Lengths in A, times in ps, temperatures in K; D in cm^2/s, energies in eV, conductivities in S/cm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import units

from rhopot.potentials.properties.mean_squared_displacement import mean_squared_displacements
from rhopot.potentials.units import Floats

CM2_PER_S = 1e-4  # of 1 A^2/ps
BLOCKS = 5
BALLISTIC = 1.0  # ps
LONGEST = 0.5  # of a block: longest time that is fitted
FEWEST = 5  # times in a fit
MEASURABLE = 1.0  # A^2: growth of the mean squared displacement below which atoms have only vibrated
SIGNIFICANT = 2.0  # errors


@dataclass(frozen=True)
class Diffusion:
    """Diffusion coefficient of the atoms of one element.

    coefficient and error: cm^2/s; blocks: coefficient of each; intercept: A^2; first, last: ps, times that are fitted;
    reached: root mean squared displacement in A at the last of them
    """

    coefficient: float
    error: float
    blocks: Floats
    intercept: float
    first: float
    last: float
    reached: float

    @property
    def measurable(self) -> bool:
        """True where the coefficient exceeds two errors and the line grows by 1 A^2 at least to its last time."""
        growth = 6.0 * self.coefficient / CM2_PER_S * self.last
        return self.coefficient > SIGNIFICANT * self.error and growth > MEASURABLE


@dataclass(frozen=True)
class Arrhenius:
    """Activation energy (eV) and prefactor (cm^2/s) with the standard error of the energy and of the prefactor's log.

    error: NaN where two temperatures without errors leave none
    """

    energy: float
    error: float
    prefactor: float
    log_error: float

    def at(self, kelvin: float | Floats) -> Floats:
        """D in cm^2/s at temperatures."""
        return np.asarray(self.prefactor * np.exp(-self.energy / (units.kB * np.asarray(kelvin))))


def fitted_times(n_frames: int, interval: float, *, ballistic: float, blocks: int) -> tuple[int, int]:
    """First and last time of the fit of `diffusion_coefficient`, in intervals between frames.

    Raises:
        ValueError: fewer than 2 blocks, or a trajectory that is too short for 5 times in the fit.
    """
    if blocks < 2:
        raise ValueError(f"blocks must be 2 or more, got {blocks}; 5 are usual")
    if not 0.0 <= ballistic < np.inf:
        raise ValueError(f"ballistic must be 0 ps or more, got {ballistic:g}; 1 is usual")
    first, last = int(np.ceil(ballistic / interval - 1e-9)), int(LONGEST * (n_frames // blocks - 1))
    first = max(first, 1)
    if last - first + 1 < FEWEST:
        raise ValueError(
            f"trajectory must be long enough for {FEWEST} times between the ballistic time, {ballistic:g} ps, and half "
            f"a block, got {last * interval:g} ps for half of one of {blocks}; run longer "
            f"({blocks * (int(np.ceil((first + FEWEST - 1) / LONGEST)) + 1) * interval:g} ps without what is skipped), "
            "record more often, or give a shorter --ballistic"
        )
    return first, last


def diffusion_coefficient(
    paths: Floats, interval: float, *, ballistic: float = BALLISTIC, blocks: int = BLOCKS
) -> Diffusion:
    """Diffusion coefficient of atoms.

    Args:
        paths: (F, N, 3) unwrapped positions in A, without the motion of the center of mass of all atoms (`paths_of`).
        interval: ps between frames.
        ballistic: ps, shortest time that is fitted.
        blocks: into which the trajectory is cut for the error; times are fitted up to half of the length of one.

    Raises:
        ValueError: fewer than 2 blocks, or a trajectory that is too short for 5 times in the fit.
    """
    first, last = fitted_times(len(paths), interval, ballistic=ballistic, blocks=blocks)
    length = len(paths) // blocks
    lags = np.arange(first, last + 1)

    def fitted(part: Floats) -> tuple[float, float, Floats]:
        msd = mean_squared_displacements(part)[lags]
        rate, intercept = np.polyfit(lags * interval, msd, 1)
        return float(rate) * CM2_PER_S / 6.0, float(intercept), msd

    coefficient, intercept, msd = fitted(paths)
    of_blocks = np.array([fitted(paths[k * length : (k + 1) * length])[0] for k in range(blocks)])
    error = float(of_blocks.std(ddof=1) / np.sqrt(blocks))
    reached = float(np.sqrt(max(msd[-1], 0.0)))
    return Diffusion(coefficient, error, of_blocks, intercept, first * interval, last * interval, reached)


def arrhenius(kelvins: Sequence[float], coefficients: Sequence[float], errors: Sequence[float]) -> Arrhenius:
    """Fit ln D against 1/T, weighted by the errors; the error is enlarged where the points scatter by more than theirs.

    kelvins: K, two different ones or more; coefficients and errors: cm^2/s, positive; an error of zero counts as not
    known for all.

    Raises:
        ValueError: fewer than two temperatures, coefficients that are not positive.
    """
    t, d, e = (np.asarray(values, dtype=np.float64) for values in (kelvins, coefficients, errors))
    if len(np.unique(t)) < 2:
        raise ValueError(f"temperatures must be two or more for an activation energy, got {len(np.unique(t))}; add one")
    if not (d > 0.0).all():
        raise ValueError(
            f"coefficients must be positive for an activation energy, got {d.min():.2g} cm^2/s at {t[d.argmin()]:g} K; "
            "run longer, or leave this temperature out"
        )
    known = bool((e > 0.0).all())
    weights = d / e if known else np.ones(len(t))
    design = np.column_stack([np.ones(len(t)), -1.0 / (units.kB * t)]) * weights[:, None]
    solution, *_ = np.linalg.lstsq(design, weights * np.log(d), rcond=None)
    covariance = np.linalg.inv(design.T @ design)
    freedom = len(t) - 2
    scatter = float(((design @ solution - weights * np.log(d)) ** 2).sum()) / freedom if freedom else np.nan
    if not known or (freedom and scatter > 1.0):
        covariance = covariance * scatter
    log_error, error = (float(value) for value in np.sqrt(np.diag(covariance)))
    return Arrhenius(float(solution[1]), error, float(np.exp(solution[0])), log_error)


def require_charges(charges: Mapping[str, float], symbols: Sequence[str]) -> None:
    """Refuse charges of elements that a structure does not have."""
    missing = sorted(set(charges) - set(symbols))
    if missing:
        raise ValueError(
            f"charge must name elements of the structure, got {', '.join(missing)}; there are {', '.join(symbols)}"
        )


def conductivity(
    coefficients: Mapping[str, float],
    counts: Mapping[str, int],
    charges: Mapping[str, float],
    volume: float,
    kelvin: float,
) -> float:
    """Conductivity in S/cm by the Nernst-Einstein relation.

    coefficients: cm^2/s by element; counts: atoms in the cell of `volume` (A^3); charges: in elementary charges, of the
    elements that carry current.

    Raises:
        ValueError: a charge of an element that is not there.
    """
    require_charges(charges, list(coefficients))
    # N q^2 D / (V k T): (e in C)^2 (cm^2/s) / (cm^3 J) = A/(V cm)
    total = sum(counts[symbol] * charge**2 * coefficients[symbol] for symbol, charge in charges.items())
    return float(total * units._e**2 / (volume * 1e-24 * units._k * kelvin))
