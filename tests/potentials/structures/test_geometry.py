"""Structures in which something is impossible: closed answers beside a neighbour search."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk

from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.structures import DataError
from rhopot.potentials.structures.geometry import check_geometry, coincident_pair, volume

CELLS = {
    "triclinic": ([[4.0, 0, 0], [1.5, 3.5, 0], [0.7, -1.1, 5.0]], [True, True, True]),
    "slab": ([[4.0, 0, 0], [1.5, 3.5, 0], [0, 0, 0]], [True, True, False]),
    "wire": ([[0, 0, 0], [0, 3.0, 1.0], [0, 0, 0]], [False, True, False]),
    "free": ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], [False, False, False]),
}


@pytest.mark.parametrize("name", CELLS)
def test_coincident_atoms_through_periodic_images(name: str) -> None:
    cell, pbc = CELLS[name]
    rng = np.random.default_rng(3)
    atoms = ase.Atoms("Si12", rng.uniform(-9, 9, (12, 3)), cell=cell, pbc=pbc)
    atoms = atoms[[k for k in range(12) if k != 7]] if coincident_pair(atoms) else atoms
    assert find_edges(atoms, 0.01).n_edges == 0
    check_geometry(atoms)
    image = np.array([2, -1, 3]) * np.array(pbc)
    atoms.positions[8] = atoms.positions[3] + image @ np.array(cell) + [0, 1e-5, 0]
    assert coincident_pair(atoms) == (3, 8)
    assert find_edges(atoms, 0.01).n_edges == 2


def test_atoms_far_apart_and_on_the_boundary() -> None:
    assert coincident_pair(ase.Atoms("H2", [[0, 0, 0], [1e9, 0, 0]])) is None
    boundary = ase.Atoms("H2", [[0, 0, 0], [-1e-12, 0, 0]], cell=[5, 5, 5], pbc=True)
    assert coincident_pair(boundary) == (0, 1)
    assert coincident_pair(bulk("Si")) is None


def test_volume_of_cells_that_span_nothing() -> None:
    assert volume(ase.Atoms("H")) == 0.0
    assert volume(bulk("Si", cubic=True, a=5.0)) == pytest.approx(125.0)


@pytest.mark.parametrize("far", [2e9, 1e14, -1e14])
def test_positions_that_double_precision_does_not_hold(far: float) -> None:
    with pytest.raises(DataError, match=r"positions must lie within 1e\+09 A of the origin"):
        check_geometry(ase.Atoms("H2", [[0, 0, 0], [0, far, 0]]))
    check_geometry(ase.Atoms("H2", [[0, 0, 0], [0, 9e8, 0]]))
