"""Edges against an exhaustive search that shares no code with them."""

from __future__ import annotations

from itertools import product

import ase
import numpy as np
import pytest
from ase.build import bulk

from rhopot.potentials.neighbours import Edges, concatenate, find_edges

PERIODICITIES = list(product([False, True], repeat=3))

CELLS = {
    "cube": np.eye(3) * 7.0,
    "small": np.diag([2.2, 2.6, 3.0]),
    "skewed": np.array([[3.0, 0.0, 0.0], [2.4, 2.8, 0.0], [-1.9, 2.1, 3.1]]),
    "left_handed": np.array([[0.0, 3.5, 0.3], [3.2, 0.2, 0.0], [0.1, 0.4, 4.1]]),
}


def every_pair(atoms: ase.Atoms, cutoff: float) -> list[tuple[int, ...]]:
    """(i, j, S) of every directed pair inside the cutoff, by looking at all images that could matter."""
    periodic = np.asarray(atoms.pbc)
    heights = np.ones(3)
    if periodic.any():
        spanned = atoms.cell.array[periodic]
        heights[periodic] = 1.0 / np.linalg.norm(np.linalg.pinv(spanned), axis=0)
    reach = np.ceil((cutoff + np.ptp(atoms.positions, axis=0).sum() * 2) / heights).astype(int)
    found = []
    for shift in product(*[range(-n, n + 1) if p else (0,) for n, p in zip(reach, periodic, strict=True)]):
        offset = sum((s * vector for s, vector in zip(shift, atoms.cell.array, strict=True)), np.zeros(3))
        for i, j in product(range(len(atoms)), repeat=2):
            distance = np.linalg.norm(atoms.positions[j] + offset - atoms.positions[i])
            if distance < cutoff and (i != j or any(shift)):
                found.append((i, j, *shift))
    return sorted(found)


def as_tuples(edges: Edges) -> list[tuple[int, ...]]:
    return sorted(map(tuple, np.column_stack([edges.edge_centre, edges.neighbour, edges.shift]).tolist()))


@pytest.mark.parametrize("pbc", PERIODICITIES, ids=lambda pbc: "".join("TF"[not p] for p in pbc))
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("zeroed", [False, True], ids=["full_cell", "zero_vectors"])
def test_edges_equal_exhaustive_search(name: str, pbc: tuple[bool, ...], zeroed: bool) -> None:
    rng = np.random.default_rng(7)
    positions = rng.uniform(-1.0, 4.0, (3, 3))  # some atoms lie outside the cell
    cell = CELLS[name].copy()
    if zeroed:
        cell[~np.asarray(pbc)] = 0.0
    atoms = ase.Atoms(numbers=[3, 14, 3], positions=positions, cell=cell, pbc=pbc)
    edges = find_edges(atoms, 4.0)
    assert as_tuples(edges) == every_pair(atoms, 4.0)
    assert edges.n_edges > 0
    expected = positions[edges.neighbour] - positions[edges.edge_centre] + edges.shift @ cell
    np.testing.assert_allclose(edges.vectors, expected, atol=1e-13)
    assert np.all(np.diff(edges.edge_centre) >= 0)
    assert edges.first_edge[0] == 0
    assert edges.first_edge[-1] == edges.n_edges


def test_every_edge_has_its_reverse() -> None:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=3)
    pairs = set(as_tuples(find_edges(atoms, 6.0)))
    assert {(j, i, -a, -b, -c) for i, j, a, b, c in pairs} == pairs


def test_one_atom_sees_its_own_images() -> None:
    edges = find_edges(bulk("Cu", "sc", a=2.0), 2.0 * np.sqrt(2) + 1e-6)
    assert edges.n_edges == 6 + 12
    assert set(edges.neighbour.tolist()) == {0}


def test_cutoff_is_strict() -> None:
    pair = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 1.5]])
    assert find_edges(pair, 1.5).n_edges == 0
    assert find_edges(pair, np.nextafter(1.5, 2)).n_edges == 2


def test_supercell_repeats_the_environment() -> None:
    cell = bulk("Si")
    small, large = find_edges(cell, 5.0), find_edges(cell.repeat((3, 2, 2)), 5.0)
    np.testing.assert_array_equal(np.unique(np.diff(large.first_edge)), np.unique(np.diff(small.first_edge)))
    np.testing.assert_allclose(
        np.sort(np.linalg.norm(large.vectors, axis=1))[::12], np.sort(np.linalg.norm(small.vectors, axis=1)), atol=1e-12
    )


def test_far_atoms_without_periodicity() -> None:
    atoms = ase.Atoms("He3", positions=[[0, 0, 0], [1e5, 0, 0], [1e5, 2.0, 0]])
    np.testing.assert_array_equal(find_edges(atoms, 3.0).first_edge, [0, 0, 1, 2])


def test_empty_and_lonely() -> None:
    assert find_edges(ase.Atoms(), 3.0).n_centres == 0
    lonely = find_edges(ase.Atoms("He"), 3.0)
    assert (lonely.n_centres, lonely.n_edges) == (1, 0)


def test_concatenate_offsets_rows() -> None:
    structures = [bulk("Si", cubic=True), ase.Atoms("He"), bulk("Cu")]
    parts = [find_edges(atoms, 4.0) for atoms in structures]
    graph = concatenate(parts, [len(atoms) for atoms in structures])
    assert graph.n_centres == 10
    assert graph.n_edges == sum(part.n_edges for part in parts)
    np.testing.assert_array_equal(graph.centre, np.arange(10))
    last = slice(int(graph.first_edge[9]), None)
    np.testing.assert_array_equal(graph.neighbour[last], 9)
    np.testing.assert_array_equal(graph.vectors[last], parts[2].vectors)
    assert concatenate([], []).n_edges == 0


def test_batches_cover_everything_once() -> None:
    edges = find_edges(bulk("Si", cubic=True), 5.0)
    batches = list(edges.batches(100))
    assert len(batches) > 1
    assert all(batch.n_edges <= 100 for batch in batches)
    np.testing.assert_array_equal(np.concatenate([batch.centre for batch in batches]), edges.centre)
    np.testing.assert_array_equal(np.concatenate([batch.vectors for batch in batches]), edges.vectors)
    assert [batch.n_centres for batch in edges.batches(1)] == [1] * 8


def test_batches_refuse_no_edges() -> None:
    with pytest.raises(ValueError, match="max_edges must be at least 1, got 0"):
        next(find_edges(bulk("Cu"), 3.0).batches(0))


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_bad_cutoff(cutoff: float) -> None:
    with pytest.raises(ValueError, match="cutoff must be a positive length"):
        find_edges(bulk("Cu"), cutoff)


def test_bad_structures() -> None:
    with pytest.raises(ValueError, match="positions must be finite"):
        find_edges(ase.Atoms("H", positions=[[np.nan, 0, 0]]), 3.0)
    with pytest.raises(ValueError, match="cell must span the periodic directions"):
        find_edges(ase.Atoms("H", cell=[3, 3, 0], pbc=True), 3.0)
    with pytest.raises(ValueError, match="cell must be finite"):
        find_edges(ase.Atoms("H", cell=[3, 3, np.inf], pbc=True), 3.0)
    with pytest.raises(ValueError, match="atoms 0 and 1 in one place"):
        find_edges(ase.Atoms("H2"), 3.0)
    with pytest.raises(ValueError, match="sizes must have one entry per part"):
        concatenate([find_edges(bulk("Cu"), 3.0)], [])
