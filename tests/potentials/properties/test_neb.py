"""Bands whose barrier is known by hand, in both engines and wherever the structures stand."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.morse import MorsePotential
from ase.constraints import FixAtoms, FixCartesian
from scipy.optimize import minimize_scalar

from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.neb import MigrationPath, check_ends, common_translation, matched, minimum_energy_path
from rhopot.potentials.structures.prototypes import vacancy_hop

EPSILON, BOND, WIDTH = 0.4, 2.6, 3.0  # Morse: eV, A, and its exponent in units of the bond: soft, as bands begin high


def morse(distance: float) -> float:
    """Energy of two atoms (eV) at a distance (A)."""
    decay = np.exp(-WIDTH * (distance / BOND - 1.0))
    return float(EPSILON * (decay**2 - 2.0 * decay))


# An atom passes between two others that step aside: from a triangle of three bonds through a chain.
CHAIN = minimize_scalar(lambda r: 2.0 * morse(r) + morse(2.0 * r), bounds=(0.8 * BOND, 1.2 * BOND))
BARRIER = 3.0 * EPSILON + CHAIN.fun


def passing_atom() -> tuple[Atoms, Atoms]:
    """Triangle of argon with its tip above the other two, which stand around the origin, and below them."""
    height = np.sqrt(0.75) * BOND
    ends = [[[-BOND / 2, 0, 0], [BOND / 2, 0, 0], [0, 0, z]] for z in (height, -height)]
    return Atoms("Ar3", ends[0]), Atoms("Ar3", ends[1])


def engine(name: str, folder: Path) -> AseEngine | LammpsEngine:
    """Morse's potential without an end in reach."""
    if name == "ase":
        return AseEngine(MorsePotential(epsilon=EPSILON, rho0=WIDTH, r0=BOND, rcut1=4.0, rcut2=4.5))
    return LammpsEngine(PairStyle("morse 10", (f"* * {EPSILON} {WIDTH / BOND} {BOND}",)), folder, stem="neb")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pbc", "where"),
    [
        ("ase", (True, True, False), [40.0, -7.0, 3.0]),
        ("lammps", (False, False, False), [0.0, 0.0, 0.0]),
        ("lammps", (True, True, False), [40.0, -7.0, 3.0]),
    ],
    ids=["ase, slab", "lammps, cluster at the origin", "lammps, slab"],
)
def test_open_sides(name: str, pbc: tuple[bool, bool, bool], where: list[float], tmp_path: Path) -> None:
    """The barrier by hand, and images that stand where the end points do."""
    initial, final = passing_atom()
    for end in (initial, final):
        end.positions += where
        end.pbc = pbc
        if any(pbc):
            end.set_cell([30.0, 30.0, 6.0])
    rests = engine(name, tmp_path).relaxed(final, fmax=0.01)
    np.testing.assert_allclose(rests.positions, final.positions, atol=0.02)
    path = minimum_energy_path(initial, final, engine(name, tmp_path), images=1, fmax=0.01)
    assert path.forward_barrier == pytest.approx(BARRIER, abs=1e-4)
    assert path.backward_barrier == pytest.approx(BARRIER, abs=1e-4)
    np.testing.assert_allclose(path.positions[0], initial.positions, atol=1e-10)
    np.testing.assert_allclose(path.positions[-1], final.positions, atol=1e-10)
    np.testing.assert_allclose(path.positions[1].mean(axis=0), where, atol=0.5)


def copper_hop() -> tuple[Atoms, Atoms]:
    """Vacancy hop in copper of 31 atoms, unrelaxed."""
    return vacancy_hop(bulk("Cu", a=3.6, cubic=True).repeat(2))


@pytest.mark.parametrize("shift", [[0.3, 0.2, 0.1], [3.6, 0.0, -3.6], [2.0, 3.59, 1.0]])
def test_the_translation_of_the_ends_is_found(shift: list[float]) -> None:
    """Up to half of a cell, where shortest images of atoms that move alike differ, noise on top."""
    initial, final = copper_hop()
    before = matched(initial, final).positions
    final.rattle(0.01, seed=1)
    final.positions += shift
    final.wrap()
    found = common_translation(initial, final)
    left = found - shift
    assert np.abs(left - 7.2 * np.round(left / 7.2)).max() < 0.01
    np.testing.assert_allclose(matched(initial, final).positions, before, atol=0.06)


def test_what_is_no_translation_stays() -> None:
    """Of the hop alone, of one atom, and where atoms are constrained."""
    initial, final = copper_hop()
    assert not common_translation(initial, final).any()
    final.positions += 0.3
    initial.set_constraint(FixAtoms([0]))
    assert not common_translation(initial, final).any()
    assert not common_translation(Atoms("Ar"), Atoms("Ar", [[1.0, 0.0, 0.0]])).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ase", "lammps"])
def test_translated_ends_have_the_same_barrier(name: str, tmp_path: Path) -> None:
    """In a periodic cell; the last image is that of ends which are not translated."""
    initial, final = passing_atom()
    for end in (initial, final):
        end.pbc, end.cell = True, np.diag([30.0, 30.0, 30.0])
    final.positions += [1.0, 2.0, 0.5]
    path = minimum_energy_path(initial, final, engine(name, tmp_path), images=1, fmax=0.01)
    assert path.forward_barrier == pytest.approx(BARRIER, abs=1e-4)
    np.testing.assert_allclose(path.positions[-1][:2], initial.positions[:2], atol=1e-10)


@pytest.mark.parametrize(
    ("energies", "sentence"),
    [
        ([0.0, 0.2, 0.5, 0.1, 0.02], ""),
        ([0.0, 0.2, 0.5, 0.9, 0.89], ""),
        ([0.0, 0.2, -0.01, 0.3, 0.02], "got image 2 of 0 to 4 0.010 eV below the end points; relax this image"),
        ([0.0, -0.1, -0.98, -0.1, 0.0], "got image 2 of 0 to 4 0.980 eV below the end points"),
        ([0.0, 0.0, 0.0, 0.0, 0.0], "got no image above both end points; give more --images"),
        ([0.0, 0.1, 0.2, 0.3, 0.4], "got no image above both end points; give more --images"),
    ],
)
def test_paths_without_a_saddle_have_no_barrier(energies: list[float], sentence: str) -> None:
    path = MigrationPath(np.zeros((5, 1, 3)), np.array(energies))
    assert sentence in path.unresolved
    assert bool(path.unresolved) == bool(sentence)
    with pytest.raises(ValueError, match=sentence) if sentence else nullcontext():
        assert path.forward_barrier == max(energies)


def test_constraints_are_compared_by_their_effect() -> None:
    """In any order of the atoms, and of other kinds."""
    initial, final = copper_hop()
    initial.set_constraint([FixAtoms([3, 1]), FixCartesian(5, (True, False, False))])
    final.set_constraint([FixCartesian(5, (True, False, False)), FixAtoms([1]), FixAtoms([3])])
    check_ends(initial, final, 1)
    final.set_constraint([FixCartesian(5, (True, True, False)), FixAtoms([1, 3])])
    with pytest.raises(ValueError, match=r"the constraints of initial, got fixed atoms 1, 3; .*FixCartesian"):
        check_ends(initial, final, 1)


def test_identical_atoms_in_another_order_are_refused() -> None:
    """Atoms that would cross the cell; neighbors may take each other's places, and images do not matter."""
    initial, final = copper_hop()
    initial, final = initial.repeat(2), final.repeat(2)
    distances = final.get_distances(0, range(len(final)), mic=True)
    far, near = int(np.argmax(distances)), int(np.argsort(distances)[1])
    final.positions[[0, near]] = final.positions[[near, 0]]
    final.positions[5] += 2 * final.cell[0] - final.cell[2]
    check_ends(initial, final, 1)
    final.positions[[0, far]] = final.positions[[far, 0]]
    with pytest.raises(ValueError, match="final must list its atoms in the order of initial, got Cu"):
        check_ends(initial, final, 1)
