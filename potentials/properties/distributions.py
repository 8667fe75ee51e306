"""Radial and angular distribution functions of the frames of a run.

    g_ab(r) = V / (4 pi r^2 dr N_a N_b) * <pairs of an atom a and an atom b at r .. r + dr>        (N_a - 1 for a = b)

averaged over frames, with the volume of each. Periodic images count as neighbors, so that r may exceed half of a cell;
what lies beyond it repeats the cell. Angles b-a-c at the atom a are those of neighbors within a cutoff for each pair,
by default the first minimum of its g(r): where it has fallen lowest between its first two peaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.lammps.dynamics_settings import pairs_of
from rhopot.potentials.units import Floats

WIDTH = 0.02  # A, of a bin
DEGREES = 1.0  # width of a bin of angles
FARTHEST = 8.0  # A
SMOOTHED = 0.06  # A: width of the Gaussian with which peaks are searched
PROMINENCE = 0.2  # of g(r), for peaks
EMPTY = 0.02  # of the height of the first peak: g(r) this close to its lowest value counts as the minimum


@dataclass(frozen=True)
class Distributions:
    """Distributions of a run.

    r: (n,) in A, and `pairs`: g(r) (n,) by pair of elements `Li-Si`; cutoffs: A by pair, of neighbors that angles are
    made of; angles: (m,) in degrees, and `triples`: densities (m,) in 1/degree by triple `Si-Li-Si`, the center in the
    middle; n_frames: frames that were read
    """

    r: Floats
    pairs: dict[str, Floats]
    cutoffs: dict[str, float]
    angles: Floats
    triples: dict[str, Floats]
    n_frames: int


def distributions(frames: Sequence[Atoms], cutoff: float | None = None, farthest: float = FARTHEST) -> Distributions:
    """Distributions of frames of a bulk.

    Args:
        frames: with the same elements, periodic in three directions.
        cutoff: A, of neighbors for angles, of all pairs; None: the first minimum of each g(r).
        farthest: A, end of g(r).

    Raises:
        ValueError: no frames, or open sides.
    """
    if not frames or not all(all(frame.pbc) for frame in frames):
        raise ValueError("frames must be periodic in three directions, got none or open sides; g(r) needs a density")
    r, pairs = radial(frames, farthest)
    if cutoff is not None:
        cutoffs = dict.fromkeys(pairs, cutoff)
    else:
        found = {pair: first_minimum(r, g) for pair, g in pairs.items()}
        cutoffs = {pair: where for pair, where in found.items() if where is not None}
    angles, triples = angular(frames, cutoffs)
    return Distributions(r, pairs, cutoffs, angles, triples, len(frames))


def radial(frames: Sequence[Atoms], farthest: float) -> tuple[Floats, dict[str, Floats]]:
    """Centers of bins (n,) in A and g(r) (n,) by pair of elements."""
    names = pairs_of(frames[0].get_chemical_symbols())
    edges_of_bins = np.arange(0.0, farthest + 0.5 * WIDTH, WIDTH)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges_of_bins**3)
    sums = {name: np.zeros(len(shells)) for name, *_ in names}
    for frame in frames:
        symbols = np.array(frame.get_chemical_symbols())
        edges = find_edges(frame, farthest)
        first, second = symbols[edges.edge_centre], symbols[edges.neighbour]
        distances = np.linalg.norm(edges.vectors, axis=1)
        for name, a, b in names:
            counts = np.histogram(distances[(first == a) & (second == b)], bins=edges_of_bins)[0]
            n_a, n_b = int((symbols == a).sum()), int((symbols == b).sum())
            partners = n_b - 1 if a == b and n_b > 1 else n_b
            sums[name] += counts * frame.get_volume() / (n_a * partners * shells)
    centers = 0.5 * (edges_of_bins[1:] + edges_of_bins[:-1])
    return centers, {name: total / len(frames) for name, total in sums.items()}


def first_minimum(r: Floats, g: Floats) -> float | None:
    """Where g(r) is lowest between its first two peaks, or behind its only one, in A; None without a peak."""
    smooth = gaussian_filter1d(g, SMOOTHED / (r[1] - r[0]))
    peaks = find_peaks(smooth, prominence=PROMINENCE)[0]
    if not len(peaks):
        return None
    end = peaks[1] if len(peaks) > 1 else len(r) - 1
    between = smooth[peaks[0] : end + 1]
    low = np.flatnonzero(between <= between.min() + EMPTY * between[0])
    # The first stretch of them: in a crystal g(r) is zero over a whole range, whose middle is taken.
    breaks = np.flatnonzero(np.diff(low) > 1)
    stretch = low[: breaks[0] + 1] if len(breaks) else low
    return float(r[peaks[0] + round(float(stretch.mean()))])


def angular(frames: Sequence[Atoms], cutoffs: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
    """Centers of bins (m,) in degrees and densities (m,) in 1/degree by triple, the center in the middle."""
    bins = np.linspace(0.0, 180.0, round(180.0 / DEGREES) + 1)
    order = sorted({symbol for pair in cutoffs for symbol in pair.split("-")} | set(frames[0].get_chemical_symbols()))
    limits = np.array([[cutoffs.get("-".join(sorted((a, b))), 0.0) for b in order] for a in order])
    counts: dict[str, Floats] = {}
    for frame in frames if limits.any() else ():
        species = np.array([order.index(symbol) for symbol in frame.get_chemical_symbols()])
        edges = find_edges(frame, float(limits.max()))
        lengths = np.linalg.norm(edges.vectors, axis=1)
        kept = lengths < limits[species[edges.edge_centre], species[edges.neighbour]]
        directions = edges.vectors[kept] / lengths[kept, None]
        centers, ends = edges.edge_centre[kept], species[edges.neighbour[kept]]
        first, second = _combinations(centers)
        cosines = np.clip(np.einsum("ij,ij->i", directions[first], directions[second]), -1.0, 1.0)
        degrees = np.degrees(np.arccos(cosines))
        low, high = np.minimum(ends[first], ends[second]), np.maximum(ends[first], ends[second])
        triples = np.column_stack([low, species[centers[first]], high])
        for triple in np.unique(triples, axis=0):
            found = np.histogram(degrees[(triples == triple).all(axis=1)], bins=bins)[0]
            name = "-".join(order[k] for k in triple)
            counts[name] = counts.get(name, np.zeros(len(bins) - 1)) + found
    densities = {name: found / (found.sum() * DEGREES) for name, found in sorted(counts.items())}
    return 0.5 * (bins[1:] + bins[:-1]), densities


def _combinations(centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (p,), (p,) of each pair of edges that have one center; `centers` are sorted."""
    counts = np.unique(centers, return_counts=True)[1]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else np.zeros(0, dtype=int)
    first, second = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    for count in np.unique(counts):
        i, j = np.triu_indices(int(count), 1)
        begin = starts[counts == count][:, None]
        first.append((begin + i).ravel())
        second.append((begin + j).ravel())
    return np.concatenate(first), np.concatenate(second)
