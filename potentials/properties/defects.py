"""Formation energies of point defects: vacancies, interstitials, substitutions, in supercells of growing size.

    E_f = E(defect) - E(crystal) - sum_X n_X mu_X

with n_X atoms of element X added (negative: removed) to a supercell of the relaxed crystal, whose cell the defect
keeps, and mu_X the chemical potential. In a crystal of one element, mu is its energy per atom; any other is to be
given. As energies fall with the distance between the images of a defect, several sizes are computed.

Positions are perturbed by `RATTLE` before they are relaxed, so that a site of high symmetry, where forces vanish, does
not keep the atoms from a lower minimum (the vacancy of silicon).

Members of an ensemble are evaluated at the model's relaxed structures, which are stationary: their own positions would
change their energies in second order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from ase.utils import spglib_new_errorhandling

from rhopot.potentials.properties.engine import Engine
from rhopot.potentials.properties.voids import MERGED, Voids, find_voids, with_inserted
from rhopot.potentials.units import Floats

RATTLE = 0.01  # A
SYMMETRY = 1e-3  # A
NEAREST = 0.1  # A beyond the radius of a void; atoms within name it


@dataclass(frozen=True)
class Defect:
    """A point defect in the first cell of a supercell.

    added: number of atoms of each element; row: of the atom that is removed or replaced, -1 for an interstitial;
    element: that is put there, empty for a vacancy; position (3,) in A of an interstitial
    """

    name: str
    added: dict[str, int]
    row: int
    element: str
    position: Floats

    def placed(self, supercell: Atoms) -> Atoms:
        """Return the supercell with the defect in its first cell, perturbed, not relaxed."""
        made = supercell.copy()
        made.calc = None
        if self.row >= 0 and self.element:
            made.symbols[self.row] = self.element
        elif self.row >= 0:
            del made[self.row]
        else:
            made = with_inserted(made, self.element, self.position)
        made.rattle(RATTLE, seed=0)
        return made


@dataclass(frozen=True)
class DefectEnergy:
    """A relaxed defect: formation energy (eV), number of sites of the supercell, structure."""

    energy: float
    n_sites: int
    atoms: Atoms


def point_defects(
    crystal: Atoms, *, vacancies: bool, interstitials: Sequence[str], substitutions: Sequence[str], voids: int
) -> list[Defect]:
    """Return the defects of a crystal: one of each set of equivalent sites, interstitials in `voids` kinds of voids."""
    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    equivalent = spglib_new_errorhandling(spglib.get_symmetry)(cell, symprec=SYMMETRY)["equivalent_atoms"]
    nowhere, found = np.zeros(3), []
    symbols = crystal.get_chemical_symbols()
    for row in np.unique(equivalent):
        host, label = symbols[row], _site(symbols, np.unique(equivalent).tolist(), int(row))
        if vacancies:
            found.append(Defect(f"vacancy {label}", {host: -1}, int(row), "", nowhere))
        for element in substitutions:
            if element != host:
                found.append(Defect(f"{element} on {label}", {host: -1, element: 1}, int(row), element, nowhere))
    if interstitials:
        kinds = void_kinds(crystal, voids)
        for element in interstitials:
            for k, name in enumerate(_void_names(crystal, kinds)):
                found.append(Defect(f"{element} interstitial, {name}", {element: 1}, -1, element, kinds.positions[k]))
    return found


def void_kinds(crystal: Atoms, count: int) -> Voids:
    """Return the `count` largest voids that no symmetry operation of the crystal maps onto each other.

    Voids of one radius may differ: the two tetrahedral sites of zincblende, among atoms of one element or the other.
    """
    every = find_voids(crystal, 100)
    rotations, translations, primitive = _operations(crystal)
    kinds: list[int] = []
    for k, place in enumerate(every.positions):
        images = rotations @ place + translations
        apart = (images[:, None, :] - every.positions[kinds]).reshape(-1, 3)
        # Vertices nearer than MERGED are one void, at the place of any of them.
        if not (find_mic(apart, primitive, True)[1] < MERGED).any():
            kinds.append(k)
        if len(kinds) == count:
            break
    return Voids(every.positions[kinds], every.radii[kinds])


def _operations(crystal: Atoms) -> tuple[Floats, Floats, Floats]:
    """Symmetry operations x -> R x + t of the crystal, but for its translations: R (n, 3, 3), t (n, 3) in A.

    They are those of its primitive cell, (3, 3) in A, which comes with them: a supercell need not have them all.
    """
    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    found = spglib_new_errorhandling(spglib.get_symmetry_dataset)(cell, symprec=SYMMETRY)
    lattice, rows = found.primitive_lattice, np.unique(found.mapping_to_primitive, return_index=True)[1]
    fractions = np.linalg.solve(lattice.T, crystal.positions[rows].T).T
    primitive = (lattice, fractions, crystal.numbers[rows])
    operations = spglib_new_errorhandling(spglib.get_symmetry)(primitive, symprec=SYMMETRY)
    rotations = lattice.T @ operations["rotations"] @ np.linalg.inv(lattice.T)
    return rotations, operations["translations"] @ lattice, lattice


def _void_names(crystal: Atoms, voids: Voids) -> list[str]:
    """Names by radius, and where that does not distinguish them by the nearest atoms, and by a number."""
    names = [f"{radius:.2f} A void" for radius in voids.radii]
    among = []
    for name, position, radius in zip(names, voids.positions, voids.radii, strict=True):
        test = with_inserted(crystal, "H", position)
        i, j = neighbor_list("ij", test, radius + NEAREST)
        nearest = Counter(test.get_chemical_symbols()[row] for row in j[(i == len(crystal)) & (j < len(crystal))])
        atoms = ", ".join(f"{count} {symbol}" for symbol, count in sorted(nearest.items()))
        among.append(name if names.count(name) == 1 else f"{name} among {atoms}")
    return [name if among.count(name) == 1 else f"{name}, {among[: k + 1].count(name)}" for k, name in enumerate(among)]


def chemical_potentials(crystal: Atoms, energy_per_atom: float, given: Mapping[str, float]) -> dict[str, float]:
    """Return the chemical potentials (eV): those given, and the energy per atom of a crystal of one element."""
    elements = sorted(set(crystal.get_chemical_symbols()))
    own = {elements[0]: energy_per_atom} if len(elements) == 1 else {}
    return {**own, **given}


def formation_energy(
    defect: Defect, supercell: Atoms, energy: float, potentials: Mapping[str, float], engine: Engine, *, fmax: float
) -> DefectEnergy:
    """Relax a defect in a supercell of relaxed crystal with that energy (eV).

    Raises:
        ValueError: a chemical potential that is not known; a defect that does not relax.
    """
    require_potentials(defect, potentials)
    relaxed = engine.relaxed(defect.placed(supercell), fmax=fmax)
    formed = relaxed.get_potential_energy() - energy - added_energy(defect, potentials)
    return DefectEnergy(float(formed), len(supercell), relaxed)


def require_potentials(defect: Defect, potentials: Mapping[str, float]) -> None:
    """Refuse a defect whose elements have no chemical potential."""
    unknown = [element for element in defect.added if element not in potentials]
    if unknown:
        raise ValueError(
            f"chemical potential must be known of every element that a defect adds or removes, got none of "
            f"{', '.join(unknown)} for '{defect.name}'; write --chemical-potential {unknown[0]}=-1.23 (eV)"
        )


def added_energy(defect: Defect, potentials: Mapping[str, float]) -> float:
    """Return the energy (eV) of the atoms that a defect adds, in their reservoirs."""
    return sum(count * potentials[element] for element, count in defect.added.items())


def _site(symbols: Sequence[str], kinds: Sequence[int], row: int) -> str:
    """Element of a site, with a number where several kinds of sites hold it."""
    same = [k for k in kinds if symbols[k] == symbols[row]]
    return symbols[row] if len(same) == 1 else f"{symbols[row]}{same.index(row) + 1}"
