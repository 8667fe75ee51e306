"""Tables of radial functions, accurate to 1e-9, whose cost does not depend on what was tabulated.

Functions are sampled, with their exact first and second derivative, at K equidistant knots from 0 to the cutoff, and
evaluated by quintic Hermite interpolation (see `hermite`). Intervals are added, as many as an error that falls with h^6
asks for, until the largest difference from the functions, probed at three interior points of every interval, is at most
`tolerance` times the largest magnitude of the function (of each function (a, l, q) for itself, unless the caller knows
a better measure). The last knot is set to exactly zero.

A cutoff function has a jump in a higher derivative where its transition starts. When that point is a rational fraction
of the cutoff, as it is for numbers that people type, the numbers of intervals are chosen such that a knot falls on it,
and the table converges with h^6. Functions that are not C2 cannot be represented by a C2 table to 1e-9; they get about
`LARGEST_ROUGH` intervals, and the error that remains, next to the kinks, is part of the result.

Functions that are sharp only where no two atoms ever meet would set the number of knots for all distances. `closest`
leaves such distances out of the error: the table stays C2 there, and exact at its knots, the one at zero included.

In : a callable, distances (R,) -> (3, R, A, L+1, Q). Out: table (A, K, 3, L+1, Q).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rhopot.potentials.density.cutoff import CutoffFunction

Function = Callable[[np.ndarray], np.ndarray]
Measure = Callable[[np.ndarray], np.ndarray]
SMALLEST = 32  # fewest intervals
LARGEST = 32768  # most intervals before giving up
LARGEST_ROUGH = 4096  # intervals of a function that is not C2
LARGEST_DENOMINATOR = 2048
LARGEST_GROWTH = 4.0  # intervals of one attempt over those of the last
MARGIN = 1.05  # more intervals than h^6 asks for
PROBES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class SplineTable:
    """A tabulated set of radial functions.

    Attributes:
        values: (A, K, 3, L+1, Q): value, first and second derivative (A^-1, A^-2) at knot k * cutoff / (K - 1).
        cutoff: last knot in A.
        error: largest interpolation error, as a fraction of each function's largest magnitude.
    """

    values: np.ndarray
    cutoff: float
    error: float


def tabulate(
    function: Function,
    cutoff_function: CutoffFunction,
    tolerance: float = 1e-9,
    closest: float = 0.0,
    measure: Measure | None = None,
) -> SplineTable:
    """Return a table of `function` whose error is at most `tolerance` of each function's maximum.

    Args:
        function: distances (R,) in A -> (3, R, A, L+1, Q), already multiplied by the cutoff function.
        cutoff_function: names the cutoff, the kinks and the smoothness.
        tolerance: relative to the largest magnitude of each function.
        closest: distance in A below which neither errors nor magnitudes count.
        measure: maps the largest magnitudes (A, L+1, Q) to those that errors are compared with; None keeps them.

    Raises:
        ValueError: a C2 function does not reach the tolerance with `LARGEST` intervals.
    """
    cutoff = cutoff_function.cutoff
    smooth = cutoff_function.continuity >= 2
    first = first_intervals(cutoff_function)
    probes = PROBES if smooth else PROBES[1:2]
    intervals = first if smooth else first * max(1, LARGEST_ROUGH // first)
    while True:
        samples = _sample(function, np.linspace(0.0, cutoff, intervals + 1))
        error = _interpolation_error(function, samples, cutoff, probes, closest, measure)
        if not smooth or error <= tolerance:
            break
        growth = min(LARGEST_GROWTH, MARGIN * (error / tolerance) ** (1.0 / 6.0))
        wanted = first * max(intervals // first + 1, int(np.ceil(growth * intervals / first)))
        if intervals == LARGEST // first * first:
            raise ValueError(
                f"tolerance must be reachable with {LARGEST} intervals, got {tolerance:g} where {error:g} remains; "
                "choose a wider density, a wider cutoff transition or a larger tolerance"
            )
        intervals = min(wanted, LARGEST // first * first)
    samples[:, -1] = 0.0
    return SplineTable(np.ascontiguousarray(np.moveaxis(samples, (0, 2), (2, 0))), cutoff, error)


def first_intervals(cutoff_function: CutoffFunction) -> int:
    """Return the number of intervals to begin with: at least `SMALLEST`, with a knot on every kink where possible."""
    intervals = 1
    for kink in cutoff_function.kinks:
        fraction = Fraction(kink / cutoff_function.cutoff).limit_denominator(LARGEST_DENOMINATOR)
        if abs(float(fraction) * cutoff_function.cutoff - kink) < 1e-12 * cutoff_function.cutoff:
            intervals = fraction.denominator
    return intervals * int(np.ceil(SMALLEST / intervals))


def _sample(function: Function, distance: np.ndarray) -> np.ndarray:
    """Return (3, R, A, L+1, Q) at `distance` (R,)."""
    return np.asarray(function(distance), dtype=float)


def _interpolation_error(
    function: Function,
    samples: np.ndarray,
    cutoff: float,
    probes: tuple[float, ...],
    closest: float,
    measure: Measure | None,
) -> float:
    """Return the largest relative error between knots, beyond `closest`."""
    intervals = samples.shape[1] - 1
    step = cutoff / intervals
    knots = np.arange(intervals + 1) * step
    largest = np.abs(samples[0, knots >= closest]).max(axis=0)
    worst = np.zeros_like(largest)
    for t in probes:
        counted = np.flatnonzero(knots[:-1] + t * step >= closest)
        exact = _sample(function, knots[counted] + t * step)[0]
        found = _hermite(samples[:, counted], samples[:, counted + 1], t, step)
        largest = np.maximum(largest, np.abs(exact).max(axis=0, initial=0.0))
        worst = np.maximum(worst, np.abs(found - exact).max(axis=0, initial=0.0))
    if measure is not None:
        largest = measure(largest)
    relative = np.divide(worst, largest, out=np.zeros_like(worst), where=largest > 0)
    return float(relative.max())


def _hermite(left: np.ndarray, right: np.ndarray, t: float, step: float) -> np.ndarray:
    """Return the interpolant at fraction `t` of every interval from samples (3, ...) at its ends."""
    result = np.zeros_like(left[0])
    for side, s, sign in ((left, t, 1.0), (right, 1.0 - t, -1.0)):
        basis = (
            1.0 - s**3 * (10.0 - s * (15.0 - 6.0 * s)),
            sign * step * (s - s**3 * (6.0 - s * (8.0 - 3.0 * s))),
            0.5 * step**2 * s**2 * (1.0 - s) ** 3,
        )
        result += basis[0] * side[0] + basis[1] * side[1] + basis[2] * side[2]
    return result
