"""The skin saves searches and changes no edge."""

from __future__ import annotations

import ase
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.potentials.graph.verlet import VerletList

CUTOFF = 4.0


def assert_same_edges(ours: Edges, fresh: Edges) -> None:
    """Equal as sets per centre: order inside a centre may differ."""
    np.testing.assert_array_equal(ours.first_edge, fresh.first_edge)
    np.testing.assert_array_equal(ours.centre, fresh.centre)
    orders = []
    for edges in (ours, fresh):
        keys = np.column_stack([edges.shift[:, ::-1], edges.neighbour, edges.edge_centre])
        orders.append(np.lexsort(keys.T))
    for name in ("neighbour", "shift"):
        np.testing.assert_array_equal(getattr(ours, name)[orders[0]], getattr(fresh, name)[orders[1]])
    np.testing.assert_allclose(ours.vectors[orders[0]], fresh.vectors[orders[1]], atol=1e-12)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_random_walk_with_a_breathing_cell_sees_every_edge(pbc: tuple[bool, bool, bool]) -> None:
    rng, atoms = np.random.default_rng(11), toy.skewed()
    atoms.pbc = pbc
    edges = VerletList(CUTOFF, skin=0.6)
    counts = set()
    for step in range(60):
        atoms.positions += 0.02 * rng.standard_normal(atoms.positions.shape)
        if step % 3 == 0:
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.004 * rng.standard_normal((3, 3))), scale_atoms=True)
        fresh = find_edges(atoms, CUTOFF)
        counts.add(fresh.n_edges)
        assert_same_edges(edges(atoms), fresh)
    assert len(counts) > 2
    assert 2 <= edges.n_searches <= 30


def test_pure_deformation_is_followed_until_the_skin_is_used_up() -> None:
    atoms, edges = toy.crystal((2, 2, 2)), VerletList(CUTOFF, skin=0.5)
    edges(atoms)
    start = atoms.cell.array.copy()
    for shrink, searches in ((0.95, 1), (0.90, 1), (0.88, 2)):
        atoms.set_cell(start * shrink, scale_atoms=True)
        assert_same_edges(edges(atoms), find_edges(atoms, CUTOFF))
        assert edges.n_searches == searches


def moved(atoms: ase.Atoms) -> None:
    atoms.positions[0, 0] += 0.31


def wrapped(atoms: ase.Atoms) -> None:
    atoms.positions[0] += atoms.cell.array[1]


def other_species(atoms: ase.Atoms) -> None:
    atoms.symbols[1] = "Si" if atoms.symbols[1] == "Li" else "Li"


def other_pbc(atoms: ase.Atoms) -> None:
    atoms.pbc = (True, True, False)


def one_more(atoms: ase.Atoms) -> None:
    atoms += ase.Atoms("Li", [atoms.positions[0] + [0.5, 0.5, 0.5]])


def cell_only(atoms: ase.Atoms) -> None:
    atoms.set_cell(atoms.cell.array * 1.2, scale_atoms=False)


@pytest.mark.parametrize("change", [moved, wrapped, other_species, other_pbc, one_more, cell_only])
def test_changes_beyond_the_skin_lead_to_a_new_search(change) -> None:  # type: ignore[no-untyped-def]
    atoms, edges = toy.skewed(), VerletList(CUTOFF, skin=0.6)
    edges(atoms)
    edges(atoms)
    assert edges.n_searches == 1
    change(atoms)
    assert_same_edges(edges(atoms), find_edges(atoms, CUTOFF))
    assert edges.n_searches == 2


def test_structure_without_atoms_or_cell() -> None:
    edges = VerletList(CUTOFF, skin=0.5)
    assert edges(ase.Atoms()).n_edges == edges(ase.Atoms()).n_edges == 0
    assert_same_edges(edges(toy.cluster()), find_edges(toy.cluster(), CUTOFF))


def test_negative_skin_is_refused() -> None:
    with pytest.raises(ValueError, match=r"skin must be a length of 0 A or more, got -0\.1"):
        VerletList(CUTOFF, -0.1)
