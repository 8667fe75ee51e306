"""Elastic constants: closed form, published numbers, independence of the strain for trained models of every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.units import GPa

from rhopot.export import RhopotCalculator
from rhopot.potentials.properties.elastic import cubic_elastic_constants, force_constant, relaxed_cubic

STRAINS = (5e-4, 2e-3, 1e-2)
DISPLACEMENTS = (1e-3, 2e-3, 5e-3)  # A


def test_springs_between_nearest_neighbours_by_hand() -> None:
    """Closed form of fcc with springs k between nearest neighbours: C11 = 2 k / a, C12 = C44 = k / a, one atom 4 k."""
    sigma, epsilon = 2.5, 0.4
    calculator = LennardJones(sigma=sigma, epsilon=epsilon, rc=1.3 * 2 ** (1 / 6) * sigma)
    bond = 2 ** (1 / 6) * sigma
    spring = 72 * epsilon / bond**2

    crystal = relaxed_cubic(bulk("Cu", "fcc", a=1.02 * np.sqrt(2) * bond), calculator)
    lattice = (4 * crystal.get_volume()) ** (1 / 3)
    found = cubic_elastic_constants(crystal, calculator, [1e-4])[0]

    assert lattice == pytest.approx(np.sqrt(2) * bond, rel=1e-6)
    unit = spring / lattice / GPa
    assert [found.c11, found.c12, found.c44] == pytest.approx([2 * unit, unit, unit], rel=1e-4)
    cell = bulk("Cu", "fcc", a=lattice, cubic=True).repeat(2)
    assert force_constant(cell, calculator, 1e-4) == pytest.approx(4 * spring, rel=1e-4)


def test_relaxed_and_clamped_shear_as_published() -> None:
    """Published: silicon of Tersoff, Phys. Rev. B 38, 9902 (1988); in GPa, rounded there to 0.1."""
    words = "3 1 0 100390 16.217 -0.59825 0.78734 1.1e-6 1.73222 471.18 2.85 0.15 2.4799 1830.8"
    parameters = TersoffParameters.from_list([float(word) for word in words.split()])
    calculator = Tersoff({("Si", "Si", "Si"): parameters})

    found = cubic_elastic_constants(relaxed_cubic(bulk("Si", a=5.4), calculator), calculator, [1e-3])[0]

    assert [found.c11, found.c12, found.c44, found.c44_clamped] == pytest.approx([142.5, 75.4, 69.0, 118.8], abs=0.3)


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_constants_do_not_depend_on_the_strain(family: str, trained_model: Callable[[str], Path]) -> None:
    """A perfect silicon crystal that the models have not seen: its stiffness is theirs, but it is one number.

    At a fixed lattice constant with atoms clamped, since small models need not hold the crystal; changes are compared
    with the largest constant, for a model may give another any value near zero.
    """
    calculator = RhopotCalculator(trained_model(family))

    found = cubic_elastic_constants(bulk("Si", a=5.47), calculator, STRAINS, relax=False)
    values = np.array([(c.c11, c.c12, c.c44) for c in found])

    assert np.abs(values - values[0]).max() < 0.03 * np.abs(values[0]).max()


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_force_constants_do_not_depend_on_the_displacement(family: str, trained_model: Callable[[str], Path]) -> None:
    """Up to 0.005 A: beyond, quartic terms count, which are large in a crystal so unlike the training data."""
    calculator = RhopotCalculator(trained_model(family))
    crystal = bulk("Si", a=5.47, cubic=True)

    found = np.array([force_constant(crystal, calculator, u) for u in DISPLACEMENTS])

    assert np.abs(found - found[0]).max() < 0.05 * abs(found[0])


def test_what_cannot_be_measured_is_refused() -> None:
    crystal, calculator = bulk("Cu", a=3.6), LennardJones(sigma=2.5, rc=3.7)
    with pytest.raises(ValueError, match=r"strains must be positive numbers, got \[0.01, 0.0\]"):
        cubic_elastic_constants(crystal, calculator, [0.01, 0.0])
    with pytest.raises(ValueError, match=r"crystal must have zero pressure within 0\.05 of its lattice constant"):
        relaxed_cubic(bulk("Cu", a=5.0), calculator)
