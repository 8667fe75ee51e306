"""Basins of a free energy on a grid: minima, watersheds, barriers between neighbors and differences of free energy.

Every node belongs to the minimum that steepest descent over neighboring nodes (diagonals included) ends in. The pass
between two basins is the lowest pair of neighboring nodes across their border: the highest point of the minimax path
between the minima that stays in both. Basins that are shallower than a given depth (from the minimum to the lowest
pass), or than twice the error of theirs, are merged over that pass, the shallowest first: topological persistence (H.
Edelsbrunner, D. Letscher, A. Zomorodian, Discrete Comput. Geom. 28, 511 (2002), doi:10.1007/s00454-002-2885-2).

    F_A = -kT ln integral_A exp(-F(s) / kT) ds,   Delta F = F_A - F_B
    barrier A -> B = F(pass) - F(minimum of A)

A barrier is a difference of a density's logarithms and depends on the choice of variable; Delta F does so weakly.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import logsumexp

from rhopot.potentials.free_energy.grid import Grid
from rhopot.potentials.units import Floats

MOST_BASINS = 20
SURE = 2.0  # errors of its depth that a basin is deeper than


@dataclass(frozen=True)
class Pass:
    """The pass between two basins: their numbers, the node of the highest point, and its free energy (eV)."""

    first: int
    second: int
    node: int
    energy: float


@dataclass(frozen=True)
class Basins:
    """Basins in the order of their minima, the lowest first.

    labels: (n_1, ...), the number of each node's basin, -1 where the free energy is infinite
    minima: flat indices of the minima
    passes: between neighbors, the lowest first
    """

    grid: Grid
    labels: np.ndarray
    minima: tuple[int, ...]
    passes: tuple[Pass, ...]

    def __len__(self) -> int:
        return len(self.minima)

    def place(self, node: int) -> tuple[float, ...]:
        """Variables at a node."""
        return tuple(float(value) for value in self.grid.nodes[node])


def find_basins(
    grid: Grid,
    energy: Floats,
    depth: float,
    *,
    known: np.ndarray | None = None,
    error: Floats | None = None,
    most: int | None = MOST_BASINS,
) -> Basins:
    """Basins at least `depth` (eV) deep of a free energy (eV) on a grid.

    known: (n_1, ...), whether a node may be a minimum: other basins are merged as shallow ones are, and nodes without a
        path to a known minimum have none
    error: (n_1, ...), eV, standard deviations; basins are deeper than twice that of their depth, too

    Raises:
        ValueError: depth is not positive, or more than `most` basins are left.
    """
    if not depth > 0.0:
        raise ValueError(f"depth must be positive, got {depth:g}; give the depth in eV of the shallowest basin")
    flat = energy.ravel()
    sure = np.isfinite(flat) if known is None else np.isfinite(flat) & known.ravel()
    variance = np.zeros(flat.size) if error is None else error.ravel() ** 2
    labels, lowest = _merge_shallow(flat, sure, variance, _watershed(grid, energy), depth, grid)
    numbers = np.array(sorted(lowest), dtype=np.int64)
    minima = [lowest[int(k)] for k in numbers]
    if most is not None and len(minima) > most:
        raise ValueError(
            f"basins must be {most} at most, got {len(minima)} deeper than {depth:g} eV; raise the depth, or "
            "smooth with a bandwidth"
        )
    order = np.argsort(flat[minima], kind="stable")
    renumbered = np.full(labels.max() + 2, -1)
    renumbered[numbers[order]] = np.arange(len(order))
    labels = renumbered[labels]
    passes = [Pass(a, b, node, float(flat[node])) for (a, b), node in _passes(grid, energy, labels).items()]
    return Basins(
        grid,
        labels.reshape(grid.shape),
        tuple(minima[k] for k in order),
        tuple(sorted(passes, key=lambda each: each.energy)),
    )


def with_rest(basins: Basins, energy: Floats) -> Basins:
    """The basins with all other nodes of finite free energy (n_1, ...), each to the basin whose node is nearest.

    Distances are counted in nodes. Minima and passes stay.
    """
    grid, labels = basins.grid, basins.labels
    around = [(n, n) if wraps else (0, 0) for n, wraps in zip(grid.shape, grid.wraps, strict=True)]
    padded = np.pad(labels, around, mode="wrap")
    nearest = distance_transform_edt(padded < 0, return_distances=False, return_indices=True)
    inner = tuple(slice(a, a + n) for (a, _), n in zip(around, grid.shape, strict=True))
    filled = padded[tuple(nearest)][inner]
    return replace(basins, labels=np.where(np.isfinite(energy), filled, -1))


def differences(basins: Basins, energy: Floats, thermal: float) -> Floats:
    """F_A - F_0 (..., basins) in eV of free energies (..., n_1, ...); basins stay as they are. thermal: kT in eV."""
    flat = energy.reshape(*energy.shape[: energy.ndim - len(basins.grid.shape)], -1)
    labels = basins.labels.ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        each = [-thermal * logsumexp(-flat[..., labels == k] / thermal, axis=-1) for k in range(len(basins))]
        return np.stack([value - each[0] for value in each], axis=-1)


def barriers(basins: Basins, energy: Floats) -> Floats:
    """Barriers (..., passes, 2) in eV, first -> second and back, between the nodes of minima and passes as they are."""
    flat = energy.reshape(*energy.shape[: energy.ndim - len(basins.grid.shape)], -1)
    if not basins.passes:
        return np.zeros((*flat.shape[:-1], 0, 2))
    with np.errstate(invalid="ignore"):
        return np.stack(
            [
                flat[..., [each.node]] - flat[..., [basins.minima[each.first], basins.minima[each.second]]]
                for each in basins.passes
            ],
            axis=-2,
        )


def barriers_within(basins: Basins, energy: Floats) -> Floats:
    """Barriers (passes, 2) of another free energy: its own minima and passes of the same basins."""
    flat, labels = energy.ravel(), basins.labels.ravel()
    nodes = _passes(basins.grid, energy, labels)
    lowest = [float(flat[labels == k].min()) for k in range(len(basins))]
    found = [
        [flat[nodes[each.first, each.second]] - lowest[k] for k in (each.first, each.second)] for each in basins.passes
    ]
    return np.array(found, dtype=np.float64).reshape(len(basins.passes), 2)


def _neighbors(grid: Grid) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of flat indices of neighboring nodes, each direction once."""
    index = np.arange(int(np.prod(grid.shape))).reshape(grid.shape)
    pairs = []
    for offset in itertools.product((-1, 0, 1), repeat=len(grid.shape)):
        if offset <= (0,) * len(offset):  # one of each pair of opposite directions, and not the node itself
            continue
        shifted = np.roll(index, [-step for step in offset], axis=tuple(range(len(offset))))
        inside = np.ones(grid.shape, dtype=bool)
        for k, step in enumerate(offset):
            if step and not grid.wraps[k]:
                edge = [slice(None)] * len(offset)
                edge[k] = slice(-1, None) if step > 0 else slice(0, 1)
                inside[tuple(edge)] = False
        pairs.append((index[inside], shifted[inside]))
    return pairs


def _watershed(grid: Grid, energy: Floats) -> np.ndarray:
    """Flat index (n,) of the minimum that each node belongs to, -1 where the energy is infinite."""
    flat = energy.ravel()
    rank = np.empty(flat.size, dtype=np.int64)  # equal energies: the first node counts as lower
    rank[np.argsort(flat, kind="stable")] = np.arange(flat.size)
    below, lowest = np.arange(flat.size), rank.copy()
    for one, other in _neighbors(grid):
        for a, b in ((one, other), (other, one)):
            lower = rank[b] < lowest[a]
            below[a[lower]] = b[lower]
            lowest[a[lower]] = rank[b[lower]]
    while True:
        further = below[below]
        if np.array_equal(further, below):
            return np.where(np.isfinite(flat), below, -1)
        below = further


def _passes(grid: Grid, energy: Floats, labels: np.ndarray) -> dict[tuple[int, int], int]:
    """Of each pair of touching basins (smaller label first), the node of the pass."""
    flat, labels = energy.ravel(), labels.ravel()
    keys, heights, nodes = [], [], []
    size = int(labels.max()) + 1
    for one, other in _neighbors(grid):
        a, b = labels[one], labels[other]
        border = (a != b) & (a >= 0) & (b >= 0)
        if border.any():
            a, b, one, other = a[border], b[border], one[border], other[border]
            keys.append(np.minimum(a, b) * size + np.maximum(a, b))
            heights.append(np.maximum(flat[one], flat[other]))
            nodes.append(np.where(flat[one] >= flat[other], one, other))
    if not keys:
        return {}
    key, height, node = np.concatenate(keys), np.concatenate(heights), np.concatenate(nodes)
    order = np.lexsort((node, height, key))
    unique, first = np.unique(key[order], return_index=True)
    return {(int(pair // size), int(pair % size)): int(node[order[at]]) for pair, at in zip(unique, first, strict=True)}


def _merge_shallow(
    flat: Floats, sure: np.ndarray, variance: Floats, labels: np.ndarray, depth: float, grid: Grid
) -> tuple[np.ndarray, dict[int, int]]:
    """Labels with shallow basins merged into the neighbor beyond their lowest pass, and each one's lowest node.

    All arrays are flat. Basins without a sure node are merged first or, where they have no neighbor, left out.
    """
    lowest = {}
    for label in np.unique(labels[labels >= 0]):
        nodes = np.flatnonzero(labels == label)
        nodes = nodes[sure[nodes]] if sure[nodes].any() else nodes
        lowest[int(label)] = int(nodes[np.argmin(flat[nodes])])
    neighbors: dict[int, dict[int, int]] = {label: {} for label in lowest}
    for (a, b), node in _passes(grid, flat.reshape(grid.shape), labels).items():
        neighbors[a][b] = neighbors[b][a] = node

    def excess(label: int) -> float:
        """How much deeper the basin is than it must be."""
        low, over = lowest[label], min(neighbors[label].values(), key=lambda node: float(flat[node]))
        needed = max(depth, SURE * float(np.sqrt(variance[low] + variance[over])))
        return float(flat[over] - flat[low]) - needed if sure[low] else -np.inf

    into: dict[int, int] = {}
    while True:
        shallow = [(excess(label), -flat[lowest[label]], label) for label, beside in neighbors.items() if beside]
        if not shallow or min(shallow)[0] >= 0.0:
            break
        label = min(shallow)[2]
        beside = neighbors.pop(label)
        target = min(beside, key=lambda other: (flat[beside[other]], flat[lowest[other]]))
        into[label] = target
        for other, node in beside.items():
            del neighbors[other][label]
            if other != target:
                known = neighbors[target].get(other, node)
                over = node if flat[node] < flat[known] else known
                neighbors[target][other] = neighbors[other][target] = over
        lowest[target] = min(lowest[target], lowest.pop(label), key=lambda node: (not sure[node], flat[node]))
    for label in [label for label in lowest if not sure[lowest[label]]]:
        del lowest[label]
        into[label] = -1
    root = np.arange(flat.size)
    for label in into:
        end = label
        while end in into:
            end = into[end]
        root[label] = end
    return np.where(labels >= 0, root[labels], -1), lowest
