"""Voids of a structure by Voronoi analysis, and the atoms that can hop into one.

A vertex of the Voronoi tessellation is a point as far from each of its nearest atoms: voids are the vertices with the
largest such distance (their radius). Where an atom is put into the void that holds it with the least energy, and a
neighbor of the same element is moved there instead, the structure before and after are the end points of a migration
path (Brumwell, thesis, section 4.2.1). In crystals these are the interstitial sites: tetrahedral and hexagonal ones in
diamond, tetrahedral ones in bcc, octahedral and tetrahedral ones in fcc.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atom, Atoms
from ase.data import atomic_numbers
from ase.geometry import find_mic
from scipy.spatial import Voronoi, cKDTree

from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.units import Floats

MERGED = 0.7  # A; vertices this close are one void
IMAGES = 12.0  # A; images of the atoms this far around the cell decide about its vertices
STAYS = 0.5  # of the hop's length, at most, by which the moved atom may relax from the void


@dataclass(frozen=True)
class Voids:
    """Positions (n, 3) in A and radii (n,) in A, distances to the nearest atom; the largest first."""

    positions: Floats
    radii: Floats


@dataclass(frozen=True)
class Hop:
    """An atom that moved into a void: its number, the length of the hop (A), the structure relaxed after it.

    energy: of the structure above that before the hop, eV; others: largest displacement of another atom, A;
    held: False where the atom did not stay near the void
    """

    mover: int
    length: float
    energy: float
    others: float
    held: bool
    atoms: Atoms


def find_voids(atoms: Atoms, count: int) -> Voids:
    """Return the `count` largest voids of a structure that is periodic in three directions.

    Raises:
        ValueError: open sides, count below 1.
    """
    if not all(atoms.pbc):
        raise ValueError("structure must be periodic in three directions to have voids, got open sides")
    if count < 1:
        raise ValueError(f"voids must be 1 or more, got {count}")
    points = _images(atoms)
    vertices = Voronoi(points).vertices
    fractions = np.linalg.solve(atoms.cell.array.T, vertices.T).T
    # Vertices on a face of the cell are found on both sides, but for rounding: those twice are merged below.
    inside = np.all((fractions > -1e-6) & (fractions < 1.0 + 1e-6), axis=1)
    vertices = vertices[inside]
    radii, _ = cKDTree(points).query(vertices)
    order = np.lexsort((*np.round(vertices, 6).T, -np.round(radii, 6)))
    kept: list[int] = []
    for k in order:
        apart = [np.linalg.norm(_shortest(atoms, vertices[k] - vertices[other])) for other in kept]
        if min(apart, default=np.inf) > MERGED:
            kept.append(int(k))
        if len(kept) == count:
            break
    return Voids(vertices[kept], radii[kept])


def with_inserted(atoms: Atoms, symbol: str, position: Floats) -> Atoms:
    """Return a copy with one more atom, the last."""
    if atomic_numbers.get(symbol, 0) < 1:
        raise ValueError(f"symbol must be an element, got '{symbol}'; write for instance Li")
    filled = atoms.copy()
    filled.calc = None
    filled.append(Atom(symbol, position))
    return filled


def insertion_energies(
    atoms: Atoms, voids: Voids, symbol: str, engine: AseEngine | LammpsEngine, *, fmax: float
) -> Floats:
    """Return the energy (n,) in eV of the structure with a test atom in each void, relaxed at fixed cell."""
    filled = [with_inserted(atoms, symbol, position) for position in voids.positions]
    return np.array([engine.relaxed(each, fmax=fmax).get_potential_energy() for each in filled])


def neighbors_of(atoms: Atoms, position: Floats, symbol: str, reach: float) -> list[int]:
    """Return the numbers of the atoms of an element within `reach` (A) of a position, the nearest first."""
    rows = [k for k, each in enumerate(atoms.get_chemical_symbols()) if each == symbol]
    distances = np.linalg.norm(_shortest(atoms, atoms.positions[rows] - position), axis=1) if rows else np.zeros(0)
    return [rows[k] for k in np.argsort(distances, kind="stable") if distances[k] <= reach]


def hop_into(atoms: Atoms, mover: int, void: Floats, engine: AseEngine | LammpsEngine, *, fmax: float) -> Hop:
    """Move an atom of a relaxed structure, which carries its energy, into a void and relax at fixed cell."""
    before = atoms.positions[mover].copy()
    step = _shortest(atoms, void - before)
    length = float(np.linalg.norm(step))
    moved = atoms.copy()
    moved.calc = None
    moved.positions[mover] = before + step
    relaxed = engine.relaxed(moved, fmax=fmax)
    shifts = np.linalg.norm(_shortest(atoms, relaxed.positions - moved.positions), axis=1)
    others = np.delete(shifts, mover)
    return Hop(
        mover=mover,
        length=length,
        energy=float(relaxed.get_potential_energy() - atoms.get_potential_energy()),
        others=float(others.max(initial=0.0)),
        held=bool(shifts[mover] < STAYS * length),
        atoms=relaxed,
    )


def best_hop(hops: Sequence[Hop]) -> int:
    """Return the number of the hop with the lowest end among those that held.

    Raises:
        ValueError: none of them held.
    """
    held = [k for k, hop in enumerate(hops) if hop.held]
    if not held:
        raise ValueError(
            f"a neighbor must stay in the void it is moved into, got none of {len(hops)} that does; give more --voids, "
            "a longer --reach, or end points of your own"
        )
    return min(held, key=lambda k: hops[k].energy)


def _images(atoms: Atoms) -> Floats:
    """Positions of the atoms and of their images as far as `IMAGES` around the cell."""
    heights = atoms.get_volume() / np.linalg.norm(
        [np.cross(atoms.cell.array[(k + 1) % 3], atoms.cell.array[(k + 2) % 3]) for k in range(3)], axis=1
    )
    reach = np.ceil(IMAGES / heights).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    wrapped = atoms.get_scaled_positions(wrap=True)
    return (wrapped[None, :, :] + shifts[:, None, :]).reshape(-1, 3) @ atoms.cell.array


def _shortest(atoms: Atoms, vectors: Floats) -> Floats:
    """Shortest images of vectors (3,) or (n, 3)."""
    found = find_mic(np.atleast_2d(vectors), atoms.cell, atoms.pbc)[0]
    return np.asarray(found if vectors.ndim == 2 else found[0])
