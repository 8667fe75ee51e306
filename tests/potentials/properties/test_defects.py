"""Formation energies of point defects: closed forms of pair potentials, symmetry, what is refused."""

from __future__ import annotations

import closed_forms
import numpy as np
import pytest
from ase import Atom
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.properties.defects import chemical_potentials, formation_energy, point_defects, void_kinds
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.structures.prototypes import conventional


def test_vacancy_of_a_pair_potential_by_hand() -> None:
    """Bonds to nearest neighbors only, at their minimum: nothing relaxes, and E_f = 12 bonds - 6 bonds = 6 epsilon."""
    crystal = conventional("fcc", closed_forms.fcc())
    engine = AseEngine(closed_forms.lennard_jones())
    per_atom = engine.energy(crystal) / len(crystal)
    (vacancy,) = point_defects(crystal, vacancies=True, interstitials=[], substitutions=[], voids=1)
    supercell = crystal.repeat(3)
    potentials = chemical_potentials(crystal, per_atom, {})
    found = formation_energy(vacancy, supercell, per_atom * len(supercell), potentials, engine, fmax=1e-5)
    assert found.energy == pytest.approx(-per_atom, abs=1e-6)
    shift = 4 * closed_forms.EPSILON * (1.3**-12 / 4 - 1.3**-6 / 2)  # ASE's potential is zero at the cutoff
    assert per_atom == pytest.approx(6 * (-closed_forms.EPSILON - shift), rel=1e-6)
    assert (found.n_sites, len(found.atoms)) == (108, 107)


def test_one_defect_of_each_kind() -> None:
    """Zincblende: two sites, vacancies and substitutions of each, and its kinds of voids."""
    crystal = bulk("SiC", "zincblende", a=4.36, cubic=True)
    found = point_defects(crystal, vacancies=True, interstitials=["C"], substitutions=["Ge", "C"], voids=3)
    assert [each.name for each in found[:5]] == ["vacancy Si", "Ge on Si", "C on Si", "vacancy C", "Ge on C"]
    assert all(each.name.startswith("C interstitial") for each in found[5:])
    counts = {each.name: len(each.placed(crystal.repeat(2))) for each in found}
    assert counts["vacancy Si"] == 63
    assert counts["Ge on C"] == 64
    assert counts[found[-1].name] == 65
    antisite = next(each for each in found if each.name == "C on Si").placed(crystal)
    assert antisite.get_chemical_formula() == "C5Si3"


def test_voids_of_one_radius_are_two_kinds() -> None:
    """The tetrahedral sites of zincblende: one among four atoms of each element, at the same distance."""
    crystal = bulk("SiC", "zincblende", a=4.36, cubic=True)
    found = point_defects(crystal, vacancies=False, interstitials=["C"], substitutions=[], voids=6)
    names = [each.name for each in found]
    assert {"C interstitial, 1.89 A void among 4 C", "C interstitial, 1.89 A void among 4 Si"} < set(names)
    assert len(set(names)) == len(names) == 3
    for symbol in ("Si", "C"):
        (void,) = (each for each in found if each.name.endswith(f"among 4 {symbol}"))
        placed = crystal + Atom("X", void.position)
        distances = placed.get_distances(8, range(8), mic=True)
        nearest = {placed.symbols[k] for k in np.flatnonzero(distances < distances.min() + 0.01)}
        assert nearest == {symbol}
        assert distances.min() == pytest.approx(np.sqrt(3) / 4 * 4.36)


@pytest.mark.parametrize(
    ("name", "lattice", "count"), [("diamond", 5.43, 2), ("fcc", 3.6, 2), ("bcc", 2.87, 1), ("rocksalt", 5.6, 1)]
)
def test_kinds_of_voids_of_simple_crystals(name: str, lattice: float, count: int) -> None:
    """Tetrahedral and hexagonal, octahedral and tetrahedral, tetrahedral, cubic; the same in a supercell."""
    crystal = bulk("NaCl" if name == "rocksalt" else "Si", name, a=lattice, cubic=True)
    assert len(void_kinds(crystal, 6).radii) == count
    longer = crystal.repeat((1, 1, 2))
    assert void_kinds(longer, 6).radii == pytest.approx(void_kinds(crystal, 6).radii)


def test_formation_energies_add_up() -> None:
    """Copper on a gold site and back are opposite defects of two crystals; here each in its own, far apart in size."""
    engine = AseEngine(EMT())
    gold = engine.relaxed(bulk("Au", a=4.06, cubic=True), cell="full", fmax=1e-4)
    mu = {"Au": gold.get_potential_energy() / 4, "Cu": -0.0057}
    (substitution,) = point_defects(gold, vacancies=False, interstitials=[], substitutions=["Cu"], voids=1)
    supercell = gold.repeat(2)
    found = formation_energy(substitution, supercell, mu["Au"] * 32, mu, engine, fmax=0.01)
    direct = found.atoms.get_potential_energy() - 31 * mu["Au"] - mu["Cu"]
    assert found.energy == pytest.approx(direct, abs=1e-9)
    shifted = formation_energy(substitution, supercell, mu["Au"] * 32, {**mu, "Cu": 0.5}, engine, fmax=0.01)
    assert found.energy - shifted.energy == pytest.approx(0.5 + 0.0057, abs=1e-9)


def test_an_unknown_chemical_potential_is_refused() -> None:
    crystal = bulk("SiC", "zincblende", a=4.36)
    vacancy = point_defects(crystal, vacancies=True, interstitials=[], substitutions=[], voids=1)[0]
    assert chemical_potentials(crystal, -5.0, {}) == {}
    with pytest.raises(ValueError, match=r"got none of Si for 'vacancy Si'; write --chemical-potential Si=-1\.23"):
        formation_energy(vacancy, crystal, -10.0, {"C": -1.0}, AseEngine(EMT()), fmax=0.1)
