"""Structures that workflows start from when the user names none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atom, Atoms
from ase.build import bulk, make_supercell
from ase.data import atomic_numbers, covalent_radii

# Deformation of the cell (off-diagonal: the box is triclinic), small enough to keep distances.
_SHEAR = np.array([[1.0, 0.02, -0.01], [0.0, 0.99, 0.03], [0.0, 0.0, 1.01]])


# Lattice constant over the nearest-neighbor distance of crystals that `ase.build.bulk` makes.
_LATTICES = {
    "sc": 1.0,
    "bcc": 2.0 / np.sqrt(3.0),
    "fcc": np.sqrt(2.0),
    "hcp": 1.0,
    "diamond": 4.0 / np.sqrt(3.0),
    "zincblende": 4.0 / np.sqrt(3.0),
    "wurtzite": np.sqrt(8.0 / 3.0),
    "rocksalt": 2.0,
    "cesiumchloride": 2.0 / np.sqrt(3.0),
    "fluorite": 4.0 / np.sqrt(3.0),
}
PROTOTYPES = tuple(_LATTICES)
_OF_TWO_ELEMENTS = ("zincblende", "wurtzite", "rocksalt", "cesiumchloride", "fluorite")
_LOOSE = {"sc": 1.05, "bcc": 1.1, "fcc": 1.15, "hcp": 1.15, "cesiumchloride": 1.1}  # distance over covalent radii


def prototype(name: str, symbols: Sequence[str], lattice: float | None = None) -> Atoms:
    """Primitive cell of a crystal by the name of its structure.

    name: one of `PROTOTYPES`; symbols: one element, or two for crystals of two; lattice: lattice constant in A (by
    default a guess from covalent radii, up to 30 % off: `properties.first_lattice` finds where to relax from).

    Raises:
        ValueError: an unknown name, another number of elements, something that is no element.
    """
    if name not in PROTOTYPES:
        raise ValueError(
            f"prototype must be one of {', '.join(PROTOTYPES)}, got '{name}'; give a file for other crystals"
        )
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) < 1]
    count = 2 if name in _OF_TWO_ELEMENTS else 1
    if unknown or len(symbols) != count:
        example = "Si,C" if count == 2 else "Si"
        raise ValueError(
            f"symbols of prototype {name} must be {count} element{'s' * (count > 1)}, got '{','.join(symbols)}'; "
            f"write for instance --symbol {example}"
        )
    if lattice is None:
        radii = [covalent_radii[atomic_numbers[symbol]] for symbol in (symbols[0], symbols[-1])]
        lattice = float(_LATTICES[name] * _LOOSE.get(name, 1.0) * sum(radii))
    formula = "".join(symbols) + ("2" if name == "fluorite" else "")
    return bulk(formula, name, a=lattice)


# Conventional cells in terms of the primitive ones of `ase.build.bulk`.
_FACE_CENTERED = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
_CONVENTIONAL = {
    **dict.fromkeys(("fcc", "diamond", "zincblende", "rocksalt", "fluorite"), _FACE_CENTERED),
    "bcc": ((0, 1, 1), (1, 0, 1), (1, 1, 0)),
}


def conventional(name: str, primitive: Atoms) -> Atoms:
    """Conventional (cubic) cell of a prototype's primitive cell; hexagonal ones stay as they are."""
    return make_supercell(primitive, np.array(_CONVENTIONAL.get(name, np.eye(3, dtype=int))))


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


def repeats_for(atoms: Atoms, min_atoms: int) -> tuple[int, int, int]:
    """Repetitions of a supercell of at least `min_atoms` atoms: the shortest periodic edge grows by one cell at a time.

    Raises:
        ValueError: more atoms are wanted of a structure without periodic directions.
    """
    repeats = np.ones(3, dtype=int)
    lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
    while len(atoms) * repeats.prod() < min_atoms:
        if not atoms.pbc.any():
            raise ValueError(
                f"atoms must be at most {len(atoms)} for a structure without periodic directions, got {min_atoms}; "
                "leave --atoms out"
            )
        repeats[int(np.argmin(lengths * repeats))] += 1
    return int(repeats[0]), int(repeats[1]), int(repeats[2])


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
