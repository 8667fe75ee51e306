"""Kept edges are those of a search, bit for bit; beyond the memory allowed structures are searched again."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest

from rhopot.potentials.graph.edge_cache import EdgeCache
from rhopot.potentials.graph.neighbours import Edges, find_edges


def structures(count: int) -> list[ase.Atoms]:
    """Rattled silicon cells smaller than the cutoff."""
    made = [ase.build.bulk("Si", cubic=True) for _ in range(count)]
    for k, atoms in enumerate(made):
        atoms.rattle(0.1, seed=k)
    return made


def assert_same(found: Edges, expected: Edges) -> None:
    for name in ("vectors", "first_edge", "neighbour", "centre", "shift"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_structure_is_searched_once() -> None:
    search, made = EdgeCache(), structures(3)
    for _ in range(3):
        for atoms in made:
            assert_same(search(atoms, 4.0), find_edges(atoms, 4.0))
    assert search.n_searches == 3


def test_smaller_cutoffs_take_the_shorter_edges() -> None:
    search, (atoms,) = EdgeCache(cutoff=5.0), structures(1)
    found, expected = search(atoms, 3.0), find_edges(atoms, 3.0)
    np.testing.assert_array_equal(found.first_edge, expected.first_edge)
    np.testing.assert_array_equal(found.edge_centre, expected.edge_centre)
    rows = np.column_stack([found.edge_centre, found.neighbour, found.shift, found.vectors])
    others = np.column_stack([expected.edge_centre, expected.neighbour, expected.shift, expected.vectors])
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], others[np.lexsort(others.T)])
    assert_same(search(atoms, 5.0), find_edges(atoms, 5.0))
    assert search.n_searches == 1


def test_a_larger_cutoff_is_a_new_search() -> None:
    search, (atoms,) = EdgeCache(), structures(1)
    search(atoms, 3.0)
    assert_same(search(atoms, 4.0), find_edges(atoms, 4.0))
    search(atoms, 3.0)
    assert search.n_searches == 2


def test_memory_is_bounded() -> None:
    made = structures(4)
    two = sum(find_edges(atoms, 4.0).nbytes for atoms in made[:2])
    search = EdgeCache(max_mib=(two + 100) / 2**20)
    for _ in range(3):
        for atoms in made:
            assert_same(search(atoms, 4.0), find_edges(atoms, 4.0))
    assert search.n_searches == 2 + 3 * 2


def test_a_copy_is_another_structure() -> None:
    search, (atoms,) = EdgeCache(), structures(1)
    search(atoms, 3.0)
    moved = atoms.copy()
    moved.rattle(0.1, seed=5)
    assert_same(search(moved, 3.0), find_edges(moved, 3.0))
    assert search.n_searches == 2


def test_errors_of_the_search_stand() -> None:
    with pytest.raises(ValueError, match="cutoff must be a positive length"):
        EdgeCache()(structures(1)[0], 0.0)
