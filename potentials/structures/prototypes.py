"""Structures that workflows start from when the user names none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atom, Atoms
from ase.build import bulk, make_supercell
from ase.data import atomic_numbers, covalent_radii

# Deformation of the cell (off-diagonal: the box is triclinic), small enough to keep distances.
_SHEAR = np.array([[1.0, 0.02, -0.01], [0.0, 0.99, 0.03], [0.0, 0.0, 1.01]])


def sample_structure(symbols: Sequence[str], seed: int = 0, min_atoms: int = 64) -> Atoms:
    """Periodic, triclinic, disordered crystal of `symbols` with reasonable distances (A).

    A diamond lattice for one element of group 14, else face-centred cubic sites occupied at random, with nearest
    neighbours at 1.15 times the sum of covalent radii.
    """
    rng = np.random.default_rng(seed)
    radius = float(np.mean([covalent_radii[atomic_numbers[symbol]] for symbol in symbols]))
    distance = 2 * radius * (1.06 if set(symbols) <= {"C", "Si", "Ge"} else 1.15)
    if set(symbols) <= {"C", "Si", "Ge"}:
        cell = bulk(symbols[0], "diamond", a=4 * distance / np.sqrt(3), cubic=True)
    else:
        cell = bulk(symbols[0], "fcc", a=distance * np.sqrt(2), cubic=True)
    repeats = int(np.ceil((min_atoms / len(cell)) ** (1 / 3)))
    atoms = make_supercell(cell, repeats * np.eye(3))
    chosen = np.resize(np.asarray(symbols), len(atoms))
    rng.shuffle(chosen)
    atoms.set_chemical_symbols(chosen.tolist())
    atoms.set_cell(atoms.cell.array @ _SHEAR, scale_atoms=True)
    atoms.positions += rng.normal(0.0, 0.03, atoms.positions.shape)
    return atoms


def enlarged(atoms: Atoms, min_atoms: int) -> Atoms:
    """Supercell of at least `min_atoms` atoms: the shortest periodic edge is doubled until they are enough.

    A structure without periodic directions stays as it is.
    """
    repeats = np.ones(3, dtype=int)
    lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
    while len(atoms) * repeats.prod() < min_atoms and atoms.pbc.any():
        repeats[int(np.argmin(lengths * repeats))] *= 2
    return atoms.repeat(tuple(int(k) for k in repeats))


def vacancy_hop(crystal: Atoms, removed: int | None = None) -> tuple[Atoms, Atoms]:
    """End points of a vacancy hop in a periodic crystal: the nearest neighbour moves into the empty site.

    removed: row of the atom taken out (default: the one nearest to the middle of the cell). Both structures list the
    same atoms in the same order; positions are unrelaxed.
    """
    middle = crystal.cell.array.sum(axis=0) / 2
    row = int(np.argmin(np.linalg.norm(crystal.positions - middle, axis=1))) if removed is None else removed
    distances = crystal.get_distances(row, range(len(crystal)), mic=True)
    distances[row] = np.inf
    mover = int(np.argmin(distances))
    site = crystal.positions[mover] + crystal.get_distance(mover, row, mic=True, vector=True)
    initial, final = crystal.copy(), crystal.copy()
    final.positions[mover] = site
    del initial[row], final[row]
    return initial, final


def interstitial_hop(crystal: Atoms, lattice: float, symbol: str) -> tuple[Atoms, Atoms]:
    """End points of an interstitial's hop between neighbouring tetrahedral sites of a diamond crystal.

    crystal: cubic cells of lattice constant `lattice` (A) with an atom at the origin; the sites are at (1/2, 1/2, 1/2)
    and (3/4, 3/4, 3/4) of the first cell. The interstitial is the last atom of both.
    """
    ends = []
    for fraction in (0.5, 0.75):
        end = crystal.copy()
        end.append(Atom(symbol, np.full(3, fraction * lattice)))
        ends.append(end)
    return ends[0], ends[1]
