"""Width, scales and sampling of the wavelets from the data: three small rules and a bound.

    beta >= (D / 2) / sqrt(2 ln(1/eps_o))             D: distance of closest atoms             [1, eq. 2.36]
    J    <= log2(B / (2 sqrt(2) beta))                B: half the box                          [1, eq. 2.39]
    s     : x^(2n-2) exp(-beta^2 x^2 / 2) sqrt(4 pi) <= eps_a  at and beyond x = pi/s          [1, eq. 2.40]

Lengths in A. eps_a is absolute, in the units A^(2-2n) of the wavelet of order n, and is taken beyond the wavelet's
maximum in frequency; with several n the finest spacing counts. The exponent in eq. 2.40 is read as that of the wavelet
(beta^2 (pi/s)^2 / 2). The values printed beside these equations, beta = 1.8, s = 0.1, J = 4 for a box of 10 A, fit
together when beta is read in grid points (0.18 A) and J is rounded up. It is rounded down here: the field of a wavelet
that is wider than the cell is carried by the longest waves of the cell alone, with amplitudes that depend on its
edges exponentially, and a model fitted to cells of some sizes goes astray in others (example: amorphous Li-Si cells of
8 A, beta = 0.5 A, unseen paths: 25 and 31 meV/atom with J = 1 and 2, 69 with 3, 1041 with 4).

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), section 2.4
"""

import math
from collections.abc import Sequence

import ase
import numpy as np
from scipy.optimize import brentq
from scipy.special import eval_genlaguerre

from rhopot.potentials.graph.neighbours import find_edges

LONGEST_BOND = 6.0  # A, within which every structure's atoms are expected to find one another
CLOSEST = 0.01  # share of the atoms whose nearest neighbours are closer than D of eq. 2.36


def beta_from_overlap(distance: float, overlap: float = 0.1) -> float:
    """Return the least beta (A) for which the base Gaussians of two atoms `distance` (A) apart overlap by `overlap`."""
    if not 0 < overlap < 1:
        raise ValueError(f"overlap must be between 0 and 1, got {overlap:g}; 0.1 is usual")
    if distance <= 0:
        raise ValueError(f"distance must be positive, got {distance:g}; give the shortest one of the data in A")
    return distance / 2 / math.sqrt(2 * math.log(1 / overlap))


def largest_scale(box: float, beta: float, step: float = 1.0) -> float:
    """Return J for a box of edge `box` (A): eq. 2.39 rounded down to a multiple of `step`, at least 0."""
    exact = math.log2(box / 2 / (2 * math.sqrt(2) * beta))
    return max(0.0, math.floor(exact / step + 1e-9) * step)


def closest_distance(frames: Sequence[ase.Atoms]) -> float:
    """Return D (A): of a hundred atoms of the frames one has a nearest neighbour, images included, within D.

    Not the shortest distance of all: one frame with atoms in each other would make every grid finer.

    Raises:
        ValueError: all atoms are farther than `LONGEST_BOND` from each other.
    """
    nearest = [_nearest(atoms) for atoms in frames]
    every = np.concatenate([np.zeros(0), *nearest])
    if len(every) == 0:
        raise ValueError(f"atoms must come within {LONGEST_BOND:g} A of each other, got none that do; give beta")
    return float(np.quantile(every, CLOSEST))


def _nearest(atoms: ase.Atoms) -> np.ndarray:
    """Return the distance (A) of the nearest neighbour of every atom that has one within `LONGEST_BOND`."""
    edges = find_edges(atoms, LONGEST_BOND)
    starts = np.asarray(edges.first_edge)
    some = starts[:-1][np.diff(starts) > 0]
    return np.minimum.reduceat(np.linalg.norm(edges.vectors, axis=1), some) if len(some) else np.zeros(0)


def typical_box(frames: Sequence[ase.Atoms]) -> float:
    """Return the median over frames of the size (A) of the cell; of molecules, their longest extent."""
    return float(np.median([_size(atoms) for atoms in frames]))


def _size(atoms: ase.Atoms) -> float:
    """Return the edge (A) of the cube of the cell's volume; without periodic axes, the longest extent.

    Not the smallest distance of opposite faces: in a long cell the wide wavelets still tell structures apart. Of one or
    two periodic axes, the length, or the edge of the square of the same area.
    """
    if not atoms.pbc.any():
        return float(np.ptp(atoms.positions, axis=0).max())
    rows = np.asarray(atoms.cell.array)[atoms.pbc]
    return float(np.linalg.det(rows @ rows.T) ** (0.5 / len(rows)))


def spacing_from_alias(orders: Sequence[int], beta: float, alias: float = 1e-6) -> float:
    """Return the grid spacing s (A) at which no wavelet of the given n exceeds `alias` at the edge of the band."""
    if not 0 < alias < 1:
        raise ValueError(f"alias must be between 0 and 1, got {alias:g}; 1e-6 is usual")
    return min(math.pi / _band_edge(order, beta, alias) for order in orders)


def _band_edge(order: int, beta: float, alias: float) -> float:
    """Return the frequency (1/A) beyond which the wavelet (n, l = 0) stays below `alias`."""
    power = 2 * order - 2

    def excess(x: float) -> float:
        return power * math.log(x) - (beta * x) ** 2 / 2 + 0.5 * math.log(4 * math.pi) - math.log(alias)

    start = max(math.sqrt(power), 1e-3) / beta
    stop = 2 * start
    while excess(stop) > 0:
        stop *= 2
    # A wavelet that is small everywhere is still sampled beyond its maximum.
    return float(brentq(excess, start, stop)) if excess(start) > 0 else 2 * start


def radial_profile(order: int, degree: int, beta: float, distance: np.ndarray) -> np.ndarray:
    """Return r^l L(r^2 / (2 beta^2)) exp(-r^2 / (2 beta^2)), the wavelet in space without its constant (eq. 2.17)."""
    x = (distance / beta) ** 2 / 2
    return (distance / beta) ** degree * eval_genlaguerre(order - degree - 1, degree + 0.5, x) * np.exp(-x)


def padding_error(orders: Sequence[int], beta: float, scale: float, padding: float) -> float:
    """Return the largest |psi(r)| for r >= `padding` (A) over max |psi|, of all wavelets at scale j = `scale`."""
    width = beta * 2.0**scale
    inside = np.linspace(0, 12 * width, 4001)
    outside = padding + inside
    pairs = [(order, degree) for order in orders for degree in range(order)]
    return max(
        float(abs(radial_profile(*pair, width, outside)).max() / abs(radial_profile(*pair, width, inside)).max())
        for pair in pairs
    )
