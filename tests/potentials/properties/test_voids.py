"""Voids: interstitial sites of crystals in closed form, translations, and a hop of hydrogen between them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.voids import (
    Hop,
    best_hop,
    find_voids,
    hop_into,
    insertion_energies,
    neighbors_of,
    with_inserted,
)


@pytest.mark.parametrize(
    ("crystal", "radii"),
    [
        # diamond: 2 tetrahedral sites at sqrt(3)/4 a, 4 hexagonal ones at sqrt(11)/8 a
        (bulk("Si", a=5.0), [np.sqrt(3) / 4 * 5.0] * 2 + [np.sqrt(11) / 8 * 5.0] * 4),
        # fcc: 1 octahedral site at a/2, 2 tetrahedral ones at sqrt(3)/4 a
        (bulk("Cu", a=4.0), [2.0] + [np.sqrt(3)] * 2),
        # bcc: 6 tetrahedral sites at sqrt(5)/4 a
        (bulk("Fe", a=3.0), [np.sqrt(5) / 4 * 3.0] * 6),
    ],
    ids=["diamond", "fcc", "bcc"],
)
def test_interstitial_sites_by_hand(crystal: Atoms, radii: list[float]) -> None:
    found = find_voids(crystal, 50)
    np.testing.assert_allclose(found.radii, radii, rtol=1e-6)
    moved = crystal.copy()
    moved.translate([0.3, -0.7, 1.1])
    np.testing.assert_allclose(find_voids(moved, 50).radii, radii, rtol=1e-6)


def test_voids_are_far_from_every_atom() -> None:
    """Of a disordered, triclinic structure: four atoms at the radius, and no point has a larger one."""
    atoms = bulk("Cu", a=3.7, cubic=True).repeat(2)
    atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0.2], [0.1, 0, 1]], scale_atoms=True)
    atoms.rattle(0.3, seed=1)
    del atoms[5]
    found = find_voids(atoms, 5)
    for position, radius in zip(found.positions, found.radii, strict=True):
        filled = with_inserted(atoms, "H", position)
        nearest = np.sort(filled.get_distances(len(atoms), range(len(atoms)), mic=True))[:4]
        np.testing.assert_allclose(nearest, radius, atol=1e-6)
    points = np.random.default_rng(0).random((300, 3)) @ atoms.cell.array
    free = [
        with_inserted(atoms, "H", point).get_distances(len(atoms), range(len(atoms)), mic=True).min()
        for point in points
    ]
    assert max(free) <= found.radii[0]
    assert max(free) > 0.7 * found.radii[0]


@pytest.mark.slow
def test_hydrogen_hops_to_an_equal_site() -> None:
    """In fcc aluminium the largest voids are the octahedral sites, which are all alike."""
    engine = AseEngine(EMT())
    metal = engine.relaxed(bulk("Al", a=4.0, cubic=True).repeat(2), fmax=0.01)
    voids = find_voids(metal, 3)
    energies = insertion_energies(metal, voids, "H", engine, fmax=0.02)
    assert np.ptp(energies) < 0.01
    occupied = engine.relaxed(with_inserted(metal, "H", voids.positions[0]), fmax=0.02)
    free = find_voids(occupied, 50)
    distances = [np.linalg.norm(p - occupied.positions[-1]) for p in free.positions]
    assert min(distances) > 1.0
    octahedral = free.positions[0]
    assert neighbors_of(occupied, octahedral, "H", 10.0) == [len(occupied) - 1]
    assert neighbors_of(occupied, octahedral, "H", 0.5) == []
    hop = hop_into(occupied, len(occupied) - 1, octahedral, engine, fmax=0.02)
    assert hop.held
    assert hop.energy == pytest.approx(0.0, abs=0.02)
    assert 0.0 < hop.others < 0.6, "the atoms around the old and the new site"


def test_a_hop_that_does_not_stay_is_not_chosen() -> None:
    hops = [Hop(0, 2.0, energy, 0.1, held, Atoms("H")) for energy, held in ((0.1, False), (0.5, True), (0.3, True))]
    assert best_hop(hops) == 2
    with pytest.raises(ValueError, match="a neighbor must stay in the void it is moved into, got none of 1 that does"):
        best_hop(hops[:1])


def test_what_has_no_voids_is_refused() -> None:
    with pytest.raises(ValueError, match="structure must be periodic in three directions to have voids"):
        find_voids(molecule("H2O"), 3)
    with pytest.raises(ValueError, match="symbol must be an element, got 'Xx'"):
        with_inserted(bulk("Cu"), "Xx", np.zeros(3))
