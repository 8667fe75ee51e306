"""Polarization-like vectors: zero at inversion centers, along displacements, turned with the structure."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk
from collective_variables_at_hand import values
from scipy.stats import special_ortho_group

from rhopot.potentials.collective_variables import Polarization
from rhopot.testing import structures


def rock_salt(displacement: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> ase.Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.positions[atoms.symbols == "Na"] += displacement
    return atoms


def test_atoms_amidst_their_neighbors_have_none() -> None:
    found = values(Polarization(["Na"], ["Cl"], 3.6, direction="vector"), rock_salt())
    np.testing.assert_allclose(found, 0.0, atol=1e-12)
    assert values(Polarization(["Na"], ["Cl"], 3.6), rock_salt())[0] == pytest.approx(1e-3)


def test_displaced_atoms_point_back_in_closed_form() -> None:
    """Six neighbors within the part of the switching function that is 1: unit vectors add up."""
    d, a = 0.1, 2.8
    expected = ((a - d) / abs(a - d) - (a + d) / abs(a + d)) - 4 * d / np.hypot(a, d)
    found = values(Polarization(["Na"], ["Cl"], 3.7, width=0.5, direction="vector"), rock_salt((0.0, d, 0.0)))
    np.testing.assert_allclose(found, [0.0, expected, 0.0], atol=1e-9)
    along = values(Polarization(["Na"], ["Cl"], 3.7, width=0.5, direction=[0.0, -3.0, 0.0]), rock_salt((0.0, d, 0.0)))
    assert along[0] == pytest.approx(-expected, abs=1e-9)


def test_the_vector_turns_with_the_structure() -> None:
    atoms = structures.skewed()
    rotation = special_ortho_group.rvs(3, random_state=np.random.default_rng(5))
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    vector = Polarization(["Li"], ["Si"], 3.3, direction="vector")
    np.testing.assert_allclose(values(vector, turned), rotation @ values(vector, atoms), atol=1e-9)
    norm = values(Polarization(["Li"], ["Si"], 3.3), atoms)[0]
    assert norm == pytest.approx(np.hypot(np.linalg.norm(values(vector, atoms)), 1e-3))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="direction must be three numbers, vector or norm, got up"):
        Polarization(["Li"], ["Si"], 3.3, direction="up")
