"""Small structures cut from large cells, around the atoms that a model knows least.

A sphere of radius R around an atom is what is wanted: its atoms count. With them come all atoms within the buffer B
beyond it, so that the atoms that count have the environments of the large cell where B is at least the distance over
which atoms act on each other. Atoms of the buffer have other environments than in the cell, at the surface of the
cluster: they carry a `FixAtoms` constraint (`move_mask` in extended XYZ), which a training takes as forces that are no
labels.

    vacuum    the cluster in a cubic box without periodic directions, `vacuum` A beyond its extent on every side
    periodic  all atoms of a cube with the edge 2 (R + B) around the atom, periodic; atoms of the buffer that are too
              close to an image of another one are left out, those farthest from the atoms that count first

Images of the cube's atoms are at least B away from the atoms that count, whose distance to the faces this is.

A region that holds an atom of the cell twice shows what the cell repeats, and is not cut. Two images of an atom are a
lattice vector L of the cell apart: the sphere needs |L| > 2 (R + B) for all of them, the cube the same of the largest
component of L. An orthogonal cell in the axes of the cube needs edges longer than 2 (R + B) for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from numpy.typing import NDArray

from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.units import Floats

Box = Literal["vacuum", "periodic"]
BOXES: tuple[Box, ...] = ("vacuum", "periodic")


@dataclass(frozen=True)
class ClusterSettings:
    """How clusters are cut: radius, buffer and vacuum in A; frames of more than `largest` atoms are cut.

    Raises:
        ValueError: a length that is not positive, or an unknown box.
    """

    radius: float
    buffer: float
    largest: int = 200
    box: Box = "vacuum"
    vacuum: float = 6.0

    def __post_init__(self) -> None:
        if self.box not in BOXES:
            raise ValueError(f"--cluster-box must be vacuum or periodic, got '{self.box}'; choose one of them")
        if self.radius <= 0.0 or self.buffer < 0.0 or self.vacuum < 0.0:
            raise ValueError(
                f"--cluster-radius must be positive and buffer and vacuum not negative, got {self.radius:g}, "
                f"{self.buffer:g} and {self.vacuum:g} A; 6 A is a usual radius"
            )

    @property
    def width(self) -> float:
        """Diameter of the sphere, or edge of the cube, in A."""
        return 2.0 * (self.radius + self.buffer)

    @property
    def region(self) -> str:
        """What is cut, in words."""
        return f"{'cube with edges' if self.box == 'periodic' else 'sphere with a diameter'} of {self.width:.4g} A"


@dataclass(frozen=True)
class Cluster:
    """A structure cut from a frame.

    candidate: the structure, with its centre; counts: (n,) atoms within the radius; origin: (n,) their numbers in the
    frame
    """

    candidate: Candidate
    counts: NDArray[np.bool_]
    origin: NDArray[np.int64]


def centres(atoms: Atoms, errors: Floats, radius: float, count: int, least: float) -> list[int]:
    """At most `count` atoms of the largest errors (N,) of at least `least` eV/A, `radius` A apart from each other."""
    chosen: list[int] = []
    for atom in np.argsort(-errors, kind="stable"):
        if len(chosen) == count or errors[atom] < least:
            break
        if not chosen or np.min(atoms.get_distances(int(atom), chosen, mic=bool(atoms.pbc.any()))) > radius:
            chosen.append(int(atom))
    return chosen


def fits(atoms: Atoms, settings: ClusterSettings) -> bool:
    """Whether no atom would be in a cluster twice (see above)."""
    edge = settings.width * (np.sqrt(3.0) if settings.box == "periodic" else 1.0)
    lattice = find_edges(Atoms("H", cell=atoms.cell, pbc=atoms.pbc), edge).vectors
    sizes = np.abs(lattice).max(axis=1) if settings.box == "periodic" else np.linalg.norm(lattice, axis=1)
    return bool((sizes > settings.width).all())


def cut(
    frame: Candidate, centre: int, settings: ClusterSettings, closest: Mapping[tuple[int, int], float] | None = None
) -> Cluster:
    """The cluster around an atom of a frame.

    closest: shortest allowed distance in A of two atomic numbers, lower one first, across the faces of a periodic box

    Raises:
        ValueError: the sphere, or the cube, does not fit into the cell: an atom would be in it twice.
    """
    half = 0.5 * settings.width
    origin, vectors = _around(frame, centre, half * (np.sqrt(3.0) if settings.box == "periodic" else 1.0))
    if settings.box == "periodic":
        inside = (vectors >= -half).all(axis=1) & (vectors < half).all(axis=1)
        origin, vectors = origin[inside], vectors[inside]
    if len(np.unique(origin)) < len(origin):
        raise ValueError(
            f"--cluster-radius with its buffer must fit into the cell, got {settings.radius:g} + {settings.buffer:g} A "
            f"for {frame.name}; lower it, or raise the number of atoms from which cells are cut"
        )
    return _boxed(frame, centre, origin, vectors, settings, closest or {})


def _around(frame: Candidate, centre: int, reach: float) -> tuple[NDArray[np.int64], Floats]:
    """Numbers (n,) and places (n, 3), relative to the centre, of the atoms within a distance, the centre first."""
    edges = find_edges(frame.atoms, reach)
    mine = edges.edge_centre == centre
    origin = np.concatenate([[centre], np.asarray(edges.neighbour)[mine]]).astype(np.int64)
    vectors = np.concatenate([np.zeros((1, 3)), np.asarray(edges.vectors)[mine]])
    order = np.lexsort([origin, np.round(np.linalg.norm(vectors, axis=1), 6)])
    return origin[order], vectors[order]


def _boxed(
    frame: Candidate,
    centre: int,
    origin: NDArray[np.int64],
    vectors: Floats,
    settings: ClusterSettings,
    closest: Mapping[tuple[int, int], float],
) -> Cluster:
    counts = np.linalg.norm(vectors, axis=1) <= settings.radius
    if settings.box == "periodic":
        edge = settings.width
        kept = _without_clashes(frame.atoms.numbers[origin], vectors, counts, edge, closest)
        origin, vectors, counts = origin[kept], vectors[kept], counts[kept]
    else:
        edge = 2.0 * (float(np.abs(vectors).max()) + settings.vacuum)
    cluster = Atoms(
        numbers=frame.atoms.numbers[origin],
        positions=vectors + 0.5 * edge,
        cell=[edge] * 3,
        pbc=settings.box == "periodic",
    )
    if frame.atoms.has("initial_magmoms"):
        cluster.set_initial_magnetic_moments(frame.atoms.get_initial_magnetic_moments()[origin])
    if not counts.all():
        cluster.set_constraint(FixAtoms(mask=~counts))
    return Cluster(Candidate(cluster, frame.source, frame.index, centre), counts, origin)


def _without_clashes(
    numbers: NDArray[np.int64],
    vectors: Floats,
    counts: NDArray[np.bool_],
    edge: float,
    closest: Mapping[tuple[int, int], float],
) -> NDArray[np.int64]:
    """Atoms of a periodic cube that are kept: none of two that are too close across its faces, unless it counts."""
    reach = max(closest.values(), default=0.0)
    kept = np.arange(len(numbers))
    depth = np.linalg.norm(vectors[:, None] - vectors[counts], axis=2).min(axis=1)
    while reach > 0.0:
        box = Atoms(numbers=numbers[kept], positions=vectors[kept], cell=[edge] * 3, pbc=True)
        edges = find_edges(box, reach)
        i, j = np.asarray(edges.edge_centre), np.asarray(edges.neighbour)
        pairs = np.sort(np.stack([box.numbers[i], box.numbers[j]]), axis=0).T
        limits = np.array([closest.get((int(a), int(b)), 0.0) for a, b in pairs])
        distances = np.linalg.norm(edges.vectors, axis=1)
        direct = np.linalg.norm(vectors[kept][j] - vectors[kept][i], axis=1)
        across = (distances < limits) & (np.abs(direct - distances) > 1e-6)
        clashing = np.unique(np.concatenate([i[across], j[across]]))
        clashing = clashing[~counts[kept][clashing]]
        if len(clashing) == 0:
            break
        kept = np.delete(kept, clashing[int(np.argmax(depth[kept][clashing]))])
    return kept
