"""Edges against an exhaustive search that shares no code with them."""

from __future__ import annotations

from itertools import product

import ase
import numpy as np
import pytest
from ase.build import bulk

from rhopot.potentials.graph.neighbours import Edges, concatenate, find_edges

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


def cluster_pairs(atoms: ase.Atoms, cutoff: float) -> list[tuple[int, int]]:
    distances = atoms.get_all_distances()
    np.fill_diagonal(distances, np.inf)
    return list(zip(*(rows.tolist() for rows in np.nonzero(distances < cutoff)), strict=True))


@pytest.mark.parametrize("direction", [(1.0, 0.0, 0.0), (0.0, 0.7, 1.0), (1.0, 0.7, 0.9)])
@pytest.mark.parametrize("distance", [300.0, 2e3, 7e5, 9e8])
def test_fragments_that_flew_apart_keep_their_edges(direction: tuple[float, ...], distance: float) -> None:
    """The cell list divides by zero where one axis is some 1e5 cutoffs, or two are some 400, and another is one."""
    here = ase.Atoms("H4", positions=[[0, 0, 0], [0.5, 1.5, 0], [0.4, 0, 2.9], [9, 0, 0]])
    there = here.copy()
    there.positions += np.array(direction) * distance
    edges = find_edges(here + there, 3.0)
    found = list(zip(edges.edge_centre.tolist(), edges.neighbour.tolist(), strict=True))
    assert sorted(found) == cluster_pairs(here + there, 3.0)
    assert [pair for pair in found if max(pair) < 4] == cluster_pairs(here, 3.0) != []


@pytest.mark.parametrize("pbc", PERIODICITIES, ids=lambda pbc: "".join("TF"[not p] for p in pbc))
@pytest.mark.parametrize("length", [1e4, 1e7, 1e8])
@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
def test_huge_cells(pbc: tuple[bool, ...], length: float, axes: tuple[int, ...]) -> None:
    """Long axes are cut where nothing is; atoms near a face see those behind the opposite one."""
    small = ase.Atoms(
        "H3", [[0.2, 0.3, 0.1], [1.9, 1.1, 0.4], [3.6, 3.8, 3.7]], cell=CELLS["skewed"] + np.eye(3), pbc=pbc
    )
    huge = small.copy()
    for axis in axes:
        huge.cell[axis] *= round(length)
    fractions = small.get_scaled_positions(wrap=False)
    turns = np.array([[0, 0, 0], [1, 0, 1], [-1, 1, 0]]) * np.isin(range(3), axes)  # atom 2 on the other side
    huge.positions = fractions @ small.cell.array + turns * pbc @ huge.cell.array
    edges = find_edges(huge, 3.0)
    lost = np.array(pbc) & np.isin(range(3), axes)
    one_cell = [row for row in as_tuples(find_edges(small, 3.0)) if not np.any(np.array(row[2:])[lost])]
    shifts = [(i, j, *(np.array(s) - (turns * pbc)[j] + (turns * pbc)[i])) for i, j, *s in one_cell]
    assert as_tuples(edges) == sorted(shifts)


def test_a_wide_thin_sheet() -> None:
    """One cell thick and some 400 wide: its edges are those of a row of atoms, and of two across a face."""
    row = ase.Atoms("H", cell=[100.0, 100.0, 2.0], pbc=True)
    wide = ase.Atoms("H2", [[0.0, 0.5, 0.0], [699.5, 0.0, 0.0]], cell=[700.0, 700.0, 1.5], pbc=True)
    row.cell[2, 2] = wide.cell[2, 2]
    across = [(0, 1, -1, 0, s) for s in (-1, 0, 1)] + [(1, 0, 1, 0, s) for s in (-1, 0, 1)]
    own = [(i, i, *s) for _, _, *s in as_tuples(find_edges(row, 1.7)) for i in (0, 1)]
    assert as_tuples(find_edges(wide, 1.7)) == sorted(across + own)


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
    for huge, sentence in ((2e9, "must lie within"), (1e308, "must lie within"), (np.inf, "must be finite")):
        with pytest.raises(ValueError, match=f"positions {sentence}"):
            find_edges(ase.Atoms("H2", positions=[[0, 0, 0], [huge, 0, 0]]), 3.0)
    for huge in (1e200, 1e308, np.inf):
        with pytest.raises(ValueError, match="cell must be finite"):
            find_edges(ase.Atoms("H", cell=[3, 3, huge], pbc=True), 3.0)
    for cell in ([1e-3] * 3, [1e-9] * 3, [1e-5, 10, 10], [1e-9, 1e5, 1e5]):
        for pbc in (True, (True, False, False)):
            with pytest.raises(ValueError, match=r"positions and cell must be in A, got about .* neighbours of every"):
                find_edges(ase.Atoms("H", cell=cell, pbc=pbc), 30.0)
    with pytest.raises(ValueError, match="look at the units of this structure"):
        find_edges(ase.Atoms("H30000", 1e-10 * np.random.default_rng(1).uniform(size=(30000, 3))), 5.0)
    with pytest.raises(ValueError, match="cell must span the periodic directions"):
        find_edges(ase.Atoms("H", cell=[3, 3, 0], pbc=True), 3.0)
    with pytest.raises(ValueError, match="cell must be finite"):
        find_edges(ase.Atoms("H", cell=[3, 3, np.inf], pbc=True), 3.0)
    with pytest.raises(ValueError, match="atoms 0 and 1 in one place"):
        find_edges(ase.Atoms("H2"), 3.0)
    with pytest.raises(ValueError, match="sizes must have one entry per part"):
        concatenate([find_edges(bulk("Cu"), 3.0)], [])
