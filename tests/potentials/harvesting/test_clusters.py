"""Clusters cut from large cells: whole environments, fixed buffers, boxes, and what does not fit."""

from __future__ import annotations

from itertools import product
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.neighborlist import neighbor_list

from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.harvesting.clusters import ClusterSettings, centres, cut, fits
from rhopot.potentials.structures import read_frames


@pytest.fixture(scope="module")
def frame() -> Candidate:
    """A rattled crystal whose cell is oblique."""
    atoms = bulk("Cu", a=3.6).repeat(12)
    atoms.rattle(0.1, seed=1)
    return Candidate(atoms, "run.extxyz", 7)


@pytest.mark.parametrize("box", ["vacuum", "periodic"])
def test_counted_atoms_have_their_environments(frame: Candidate, box: str) -> None:
    """All distances within the buffer are those of the large cell."""
    settings = ClusterSettings(radius=3.0, buffer=4.0, box=box)
    cluster = cut(frame, 100, settings, {(29, 29): 1.8})
    small = cluster.candidate.atoms
    assert cluster.candidate.centre == 100
    assert cluster.origin[0] == 100
    for k in np.flatnonzero(cluster.counts):
        found = np.sort(neighbor_list("d", small, 4.0)[neighbor_list("i", small, 4.0) == k])
        whole = neighbor_list("d", frame.atoms, 4.0)[neighbor_list("i", frame.atoms, 4.0) == cluster.origin[k]]
        assert found == pytest.approx(np.sort(whole), abs=1e-9)
    assert list(small.pbc) == [box == "periodic"] * 3


def test_forces_on_counted_atoms_are_those_of_the_cell(frame: Candidate) -> None:
    """With a buffer as wide as atoms act: those of a potential of that range."""
    cluster = cut(frame, 5, ClusterSettings(radius=2.0, buffer=13.0, vacuum=8.0))
    small, large = cluster.candidate.atoms.copy(), frame.atoms.copy()
    small.set_constraint()
    small.calc, large.calc = EMT(), EMT()
    wanted = large.get_forces()[cluster.origin[cluster.counts]]
    assert small.get_forces()[cluster.counts] == pytest.approx(wanted, abs=1e-6)


def test_the_buffer_is_held_and_is_no_label(frame: Candidate, tmp_path) -> None:
    """Constraints survive the file, and a training leaves forces of the buffer out."""
    cluster = cut(frame, 0, ClusterSettings(radius=3.0, buffer=3.0))
    atoms = cluster.candidate.atoms.copy()
    assert isinstance(atoms.constraints[0], FixAtoms)
    atoms.info["REF_energy"] = -1.0
    atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
    ase.io.write(tmp_path / "labelled.xyz", atoms, format="extxyz")
    (read,) = read_frames(tmp_path / "labelled.xyz")
    assert (read.free == cluster.counts).all()


def test_no_two_atoms_meet_across_the_faces(frame: Candidate) -> None:
    cluster = cut(frame, 40, ClusterSettings(radius=3.0, buffer=3.3, box="periodic"), {(29, 29): 2.0})
    assert neighbor_list("d", cluster.candidate.atoms, 2.0).size == 0
    free = cut(frame, 40, ClusterSettings(radius=3.0, buffer=3.3, box="periodic"))
    assert neighbor_list("d", free.candidate.atoms, 2.0).size > 0, "without a limit some do"


def test_vacuum_is_on_every_side(frame: Candidate) -> None:
    atoms = cut(frame, 3, ClusterSettings(radius=3.0, buffer=2.0, vacuum=5.0)).candidate.atoms
    assert atoms.positions.min() >= 5.0 - 1e-9
    assert (atoms.cell.lengths()[0] - atoms.positions).min() >= 5.0 - 1e-9


def test_a_sphere_beyond_the_cell_is_refused() -> None:
    small = Candidate(bulk("Cu", a=3.6, cubic=True), "run.extxyz", 0)
    with pytest.raises(ValueError, match=r"--cluster-radius with its buffer must fit into the cell, got 3 \+ 3 A for"):
        cut(small, 0, ClusterSettings(radius=3.0, buffer=3.0))
    assert not fits(small.atoms, ClusterSettings(radius=3.0, buffer=3.0))


@pytest.mark.parametrize("box", ["vacuum", "periodic"])
@pytest.mark.parametrize("pbc", [True, (True, True, False)])
@pytest.mark.parametrize("cubic", [True, False])
def test_what_fits_can_be_cut(box: str, pbc: Any, cubic: bool) -> None:
    """Up to the shortest lattice vector, for the cube by its largest component; above it, atoms are met twice."""
    cell = bulk("Cu", a=3.6, cubic=cubic).repeat(4 if cubic else 6)
    cell.pbc = pbc
    steps = np.array([step for step in product(range(-3, 4), repeat=3) if any(step)])
    lattice = steps[(steps[:, ~cell.pbc] == 0).all(axis=1)] @ cell.cell.array
    shortest = (np.abs(lattice).max(axis=1) if box == "periodic" else np.linalg.norm(lattice, axis=1)).min()
    assert not fits(cell, ClusterSettings(radius=3.0, buffer=0.5 * shortest - 2.99, box=box))
    settings = ClusterSettings(radius=3.0, buffer=0.5 * shortest - 3.01, box=box)
    assert fits(cell, settings)
    assert len(cut(Candidate(cell, "run.extxyz", 0), 5, settings).origin) > 10
    with pytest.raises(ValueError, match="--cluster-radius with its buffer must fit into the cell"):
        cut(Candidate(cell, "run.extxyz", 0), 5, ClusterSettings(radius=3.0, buffer=0.7 * shortest, box=box))


def test_cells_as_wide_as_the_cube_are_cut() -> None:
    """A cell of 18 A, a cube of 17.6 A, whose diagonal the cell does not hold: environments are those of the cell."""
    atoms = bulk("Cu", a=3.6, cubic=True).repeat(5)
    atoms.rattle(0.1, seed=2)
    settings = ClusterSettings(radius=4.0, buffer=4.8, box="periodic")
    assert settings.width < atoms.cell.lengths().min() < np.sqrt(3.0) * settings.width
    assert fits(atoms, settings)
    cluster = cut(Candidate(atoms, "run.extxyz", 0), 77, settings, {(29, 29): 1.8})
    small = cluster.candidate.atoms
    assert cluster.counts.sum() > 10
    centre, neighbour, distance = neighbor_list("ijd", small, settings.buffer)
    of_cell, beside, whole = neighbor_list("ijd", atoms, settings.buffer)
    for k in np.flatnonzero(cluster.counts):
        mine, wanted = centre == k, of_cell == cluster.origin[k]
        assert sorted(cluster.origin[neighbour[mine]]) == sorted(beside[wanted])
        assert np.sort(distance[mine]) == pytest.approx(np.sort(whole[wanted]), abs=1e-9)


def test_of_two_that_clash_the_one_in_an_environment_stays() -> None:
    """Though it is nearer to the face: it is 3.35 A from an atom that counts, the other 6.3 A."""
    places = [[0, 0, 0], [2.9, 0, 0], [6.25, 0, 0], [-6.2, 0.3, 0.8]]
    atoms = Atoms("Cu4", positions=places, cell=[40.0] * 3)
    settings = ClusterSettings(radius=3.0, buffer=3.4, box="periodic")
    assert list(cut(Candidate(atoms, "run.extxyz", 0), 0, settings, {(29, 29): 1.8}).origin) == [0, 1, 2]


def test_centres_are_apart_and_above_the_limit() -> None:
    atoms = Atoms("Cu5", positions=[[0, 0, 0], [1, 0, 0], [4, 0, 0], [8, 0, 0], [9.5, 0, 0]], cell=[10, 10, 10], pbc=1)
    errors = np.array([1.0, 0.9, 0.5, 0.1, 0.8])
    assert centres(atoms, errors, 2.0, 4, 0.2) == [0, 2], "1 and, through the face, 4 are near 0; 3 is below"


@pytest.mark.parametrize(
    ("words", "said"), [({"box": "tube"}, "--cluster-box must be"), ({"radius": 0.0}, "--cluster-radius must be")]
)
def test_settings_without_meaning_are_refused(words: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ClusterSettings(**{"radius": 3.0, "buffer": 3.0, **words})
