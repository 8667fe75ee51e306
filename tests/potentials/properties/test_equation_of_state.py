"""Equation of state: closed form, stresses as a second way, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.equation_of_state import at_least_energy, equation_of_state

VOLUME, MODULUS, DERIVATIVE, ENERGY = 16.0, 0.9, 4.7, -3.0  # A^3, eV/A^3, 1, eV: of one atom


class BirchMurnaghan(Calculator):
    """A solid that is nothing but the equation of Birch and Murnaghan."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        n = len(atoms)
        x = (n * VOLUME / atoms.get_volume()) ** (1 / 3)
        strain = x**2 - 1
        energy = ENERGY + 9 * VOLUME * MODULUS / 16 * (strain**3 * DERIVATIVE + strain**2 * (6 - 4 * x**2))
        pressure = 1.5 * MODULUS * (x**7 - x**5) * (1 + 0.75 * (DERIVATIVE - 4) * strain)
        stress = np.array([-pressure] * 3 + [0.0] * 3)
        self.results = {"energy": n * energy, "forces": np.zeros((n, 3)), "stress": stress}


def test_birch_and_murnaghan_are_found_again(tmp_path: Path) -> None:
    engine = AseEngine(BirchMurnaghan())
    start = at_least_energy(bulk("Cu", a=(4 * 1.3 * VOLUME) ** (1 / 3)), engine)
    assert start.get_volume() == pytest.approx(VOLUME, rel=1e-4)
    curve = equation_of_state(start, engine)
    assert curve.birch_volume0 == pytest.approx(VOLUME, rel=1e-6)
    assert curve.birch_modulus_gpa == pytest.approx(MODULUS / units.GPa, rel=1e-5)
    assert curve.birch_derivative == pytest.approx(DERIVATIVE, rel=1e-4)
    assert curve.pressure_residual < 1e-3
    assert [curve.volume0, curve.energy0] == pytest.approx([VOLUME, ENERGY], rel=2e-3)
    assert curve.bulk_modulus_gpa == pytest.approx(MODULUS / units.GPa, rel=0.02)
    nearest = int(np.argmin(np.abs(curve.volumes - VOLUME)))
    assert curve.moduli[nearest] == pytest.approx(MODULUS / units.GPa, rel=0.02)
    assert np.all(np.diff(curve.moduli) < 0), "a compressed solid is stiffer"
    assert curve.plot(tmp_path / "curve.png").exists()


def test_bulk_modulus_equals_that_from_stresses() -> None:
    """K = -V dp/dV by finite differences of the pressure; the start is 5 % away from equilibrium."""
    engine = AseEngine(EMT())
    curve = equation_of_state(at_least_energy(bulk("Cu", a=3.75), engine), engine, extent=0.01, points=7)
    pressure = []
    for factor in (0.9995, 1.0005):
        atoms = bulk("Cu", a=(4 * curve.volume0 * factor) ** (1 / 3))
        atoms.calc = EMT()
        pressure.append(-atoms.get_stress()[:3].mean())
    expected = -(pressure[1] - pressure[0]) / 0.001 / units.GPa
    assert curve.bulk_modulus_gpa == pytest.approx(expected, rel=0.01)
    assert abs(np.mean(pressure)) / units.GPa < 0.2


def test_relaxed_positions_lower_the_energies() -> None:
    """An atom off its site: relaxed, the curve is that of the crystal; kept, it lies above it."""
    atoms = bulk("Cu", a=3.6, cubic=True)
    crystal = equation_of_state(atoms, AseEngine(EMT()))
    atoms.positions[0] += [0.1, 0.05, 0.0]
    kept, relaxed = (equation_of_state(atoms, AseEngine(EMT()), relax=relax) for relax in (False, True))
    np.testing.assert_allclose(relaxed.energies, crystal.energies, atol=1e-6)
    assert (kept.energies - crystal.energies).min() > 1e-3


def test_bulk_modulus_needs_a_bulk_and_a_minimum() -> None:
    engine = AseEngine(EMT())
    with pytest.raises(ValueError, match="must be periodic in three directions"):
        equation_of_state(Atoms("Cu"), engine)
    with pytest.raises(ValueError, match=r"points must leave 5 or more within \+-0\.04 of the volume, got 1 of 5"):
        equation_of_state(bulk("Cu"), engine, points=5)
    with pytest.raises(ValueError, match=r"energy must have a minimum within 0\.04 of the volume"):
        equation_of_state(bulk("Cu", a=4.2), engine)
    with pytest.raises(ValueError, match="atoms must be near a minimum of the energy"):
        at_least_energy(bulk("Cu", a=9.0), engine)
