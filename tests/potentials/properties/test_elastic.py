"""Elastic constants: closed form, published numbers, symmetry, independence of the strain for trained models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import closed_forms
import numpy as np
import pytest
import trained_models
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa

from rhopot.export import RhopotCalculator
from rhopot.potentials.properties import elastic
from rhopot.potentials.properties.elastic import ElasticConstants, elastic_constants, force_constant, plan_strains
from rhopot.potentials.properties.engine import AseEngine

STRAINS = (5e-4, 2e-3, 1e-2)
DISPLACEMENTS = (1e-3, 2e-3, 5e-3)  # A


def test_springs_between_nearest_neighbours_by_hand() -> None:
    """Closed form of fcc with springs k between nearest neighbours: C11 = 2 k / a, C12 = C44 = k / a, one atom 4 k."""
    calculator = closed_forms.lennard_jones()
    engine = AseEngine(calculator)
    bond, spring = closed_forms.BOND, closed_forms.SPRING

    crystal = engine.relaxed(closed_forms.fcc(1.02), cell="full", fmax=1e-8)
    lattice = (4 * crystal.get_volume()) ** (1 / 3)
    found = elastic_constants(crystal, engine, strain=1e-4)

    assert lattice == pytest.approx(np.sqrt(2) * bond, rel=1e-6)
    unit = spring / lattice / GPa
    np.testing.assert_allclose([found["C11"], found["C12"], found["C44"]], [2 * unit, unit, unit], rtol=1e-4)
    assert found.moduli()["bulk_hill"] == pytest.approx(4 / 3 * unit, rel=1e-4)
    assert found.stable
    cell = bulk("Cu", "fcc", a=lattice, cubic=True).repeat(2)
    assert force_constant(cell, calculator, 1e-4) == pytest.approx(4 * spring, rel=1e-4)


def test_relaxed_and_clamped_shear_as_published() -> None:
    """Published: silicon of Tersoff, Phys. Rev. B 38, 9902 (1988); in GPa, rounded there to 0.1."""
    engine = AseEngine(closed_forms.tersoff())
    crystal = engine.relaxed(bulk("Si", a=5.4), cell="full", fmax=1e-6)

    found, clamped = (elastic_constants(crystal, engine, relax=relax) for relax in (True, False))

    values = [found["C11"], found["C12"], found["C44"], clamped["C44"]]
    assert values == pytest.approx([142.5, 75.4, 69.0, 118.8], abs=0.3)


def turned_hcp() -> Atoms:
    """Hexagonal crystal, its axes anywhere."""
    atoms = AseEngine(EMT()).relaxed(bulk("Cu", "hcp", a=2.55, c=4.16), cell="full", fmax=1e-6, keep_symmetry=True)
    atoms.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    return atoms


def test_symmetry_saves_strains_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crystal, engine = turned_hcp(), AseEngine(EMT())
    found = elastic_constants(crystal, engine, strain=5e-4)
    monkeypatch.setattr(elastic, "point_group", lambda atoms: np.eye(3)[None])
    by_hand = elastic_constants(crystal, engine, strain=5e-4)
    assert (found.n_strains, by_hand.n_strains) == (2, 6)
    scale = np.abs(by_hand.constants).max()
    np.testing.assert_allclose(found.constants, by_hand.constants, atol=1e-4 * scale)
    assert found.residual < 1e-4 * scale


def test_a_hexagonal_crystal_is_isotropic_about_its_axis() -> None:
    """C66 = (C11 - C12) / 2, C11 = C22, C13 = C23, C44 = C55, the rest zero, with the axis along z."""
    engine = AseEngine(EMT())
    crystal = engine.relaxed(bulk("Cu", "hcp", a=2.55, c=4.16), cell="full", fmax=1e-6, keep_symmetry=True)
    c = elastic_constants(crystal, engine).constants
    scale = 1e-4 * np.abs(c).max()
    assert c[5, 5] == pytest.approx(0.5 * (c[0, 0] - c[0, 1]), abs=scale)
    assert [c[1, 1], c[1, 2], c[4, 4]] == pytest.approx([c[0, 0], c[0, 2], c[3, 3]], abs=scale)
    c[np.ix_([0, 1, 2], [0, 1, 2])] = 0.0
    c[range(6), range(6)] = 0.0
    assert np.abs(c).max() < scale


def test_moduli_of_an_isotropic_solid() -> None:
    """With C11 = L + 2 G, C12 = L, C44 = G all averages coincide: K = L + 2 G / 3, nu = L / (2 L + 2 G)."""
    lame, shear = 60.0, 40.0
    c = np.diag([2 * shear] * 3 + [shear] * 3).astype(float)
    c[:3, :3] += lame
    moduli = ElasticConstants(c, 1e-3, 2, 0.0).moduli()
    bulk_modulus = lame + 2 * shear / 3
    for name in ("voigt", "reuss", "hill"):
        assert moduli[f"bulk_{name}"] == pytest.approx(bulk_modulus)
        assert moduli[f"shear_{name}"] == pytest.approx(shear)
    assert moduli["poisson"] == pytest.approx(lame / (2 * lame + 2 * shear))
    assert moduli["young"] == pytest.approx(9 * bulk_modulus * shear / (3 * bulk_modulus + shear))
    assert moduli["anisotropy"] == pytest.approx(0.0, abs=1e-12)


def test_a_crystal_that_gives_way_is_unstable() -> None:
    c = np.diag([100.0, 100.0, 100.0, 50.0, 50.0, 50.0])
    c[0, 1] = c[1, 0] = 120.0
    assert not ElasticConstants(c, 1e-3, 2, 0.0).stable


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_constants_do_not_depend_on_the_strain(family: str, trained_model: Callable[[str], Path]) -> None:
    """A perfect silicon crystal that the models have not seen: its stiffness is theirs, but it is one number.

    At a fixed lattice constant with atoms clamped, since small models need not hold the crystal; changes are compared
    with the largest constant, for a model may give another any value near zero.
    """
    calculator = RhopotCalculator(trained_model(family))

    engine = AseEngine(calculator)
    found = [elastic_constants(bulk("Si", a=5.47), engine, strain=strain, relax=False) for strain in STRAINS]
    values = np.array([(c["C11"], c["C12"], c["C44"]) for c in found])

    assert np.abs(values - values[0]).max() < 0.03 * np.abs(values[0]).max()


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_force_constants_do_not_depend_on_the_displacement(family: str, trained_model: Callable[[str], Path]) -> None:
    """Up to 0.005 A: beyond, quartic terms count, which are large in a crystal so unlike the training data."""
    calculator = RhopotCalculator(trained_model(family))
    crystal = bulk("Si", a=5.47, cubic=True)

    found = np.array([force_constant(crystal, calculator, u) for u in DISPLACEMENTS])

    assert np.abs(found - found[0]).max() < 0.05 * abs(found[0])


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match=r"strain must be a positive number, got 0\.0"):
        plan_strains(bulk("Cu"), 0.0)
    with pytest.raises(ValueError, match="crystal must be periodic in three directions, got open sides"):
        plan_strains(Atoms("Cu", cell=np.eye(3), pbc=[True, True, False]))
