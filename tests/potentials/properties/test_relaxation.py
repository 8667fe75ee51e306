"""Relaxation: closed form under pressure, symmetry kept or broken, what is refused."""

from __future__ import annotations

from pathlib import Path

import closed_forms
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.units import GPa

from rhopot.potentials.lammps import relaxation as lammps_relaxation
from rhopot.potentials.properties import engine
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.relaxation import largest_distance, relax, space_group


@pytest.mark.parametrize("pressure", [0.0, 5.0, -1.0])
def test_distance_under_pressure_by_hand(pressure: float) -> None:
    """Closed form of fcc with nearest neighbors: 6 phi'(r) + p dV/dr = 0 with V = r^3 / sqrt(2)."""
    found = relax(
        closed_forms.fcc(1.01), AseEngine(closed_forms.lennard_jones()), cell="full", fmax=1e-6, pressure=pressure
    )

    r = float((np.sqrt(2.0) * found.atoms.get_volume()) ** (1.0 / 3.0))
    power = (closed_forms.SIGMA / r) ** 6
    slope = 24.0 * closed_forms.EPSILON * (power - 2.0 * power**2) / r
    assert -6.0 * slope / (3.0 * r**2 / np.sqrt(2.0)) == pytest.approx(pressure * GPa, abs=1e-6)
    assert found.pressure == pytest.approx(pressure, abs=1e-4)
    assert found.enthalpy(pressure) - found.energy == pytest.approx(pressure * GPa * found.atoms.get_volume())
    assert found.largest_force < 1e-10
    assert len(found.energies) == len(found.forces) > 1


def test_shape_is_kept_or_not() -> None:
    """A sheared crystal: scaled as a whole, or back to fcc."""
    sheared = closed_forms.fcc()
    sheared.set_cell(sheared.cell.array @ np.array([[1.0, 0.03, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), True)
    made = AseEngine(closed_forms.lennard_jones())

    isotropic = relax(sheared, made, cell="isotropic", fmax=1e-6)
    full = relax(sheared, made, cell="full", fmax=1e-6)

    assert isotropic.cell()[3:] == pytest.approx(sheared.cell.cellpar()[3:], abs=1e-9)
    assert isotropic.pressure == pytest.approx(0.0, abs=1e-4)
    assert full.cell() == pytest.approx(closed_forms.fcc().cell.cellpar(), abs=1e-5)


def test_symmetry_is_kept_or_not() -> None:
    """An equidistant chain, stretched beyond the inflection of the potential, is a maximum: free atoms make pairs."""
    distance = 1.2 * closed_forms.BOND  # the inflection is at 1.109
    chain = Atoms("Cu2", positions=[[0, 0, 0], [distance + 0.001, 0, 0]], cell=[2 * distance, 20, 20], pbc=True)
    made = AseEngine(LennardJones(sigma=closed_forms.SIGMA, epsilon=closed_forms.EPSILON, rc=1.9 * closed_forms.BOND))

    kept = relax(chain, made, cell="fixed", fmax=1e-5, keep_symmetry=True)
    free = relax(chain, made, cell="fixed", fmax=1e-5)

    assert kept.atoms.get_distance(0, 1) == pytest.approx(distance, abs=1e-6)
    assert space_group(kept.atoms) == space_group(chain)
    assert free.atoms.get_distance(0, 1, mic=True) == pytest.approx(closed_forms.BOND, abs=0.1)
    assert free.energy < kept.energy - 0.02


def test_space_groups() -> None:
    assert space_group(bulk("Si")) == "Fd-3m (227)"
    assert space_group(bulk("Mg")) == "P6_3/mmc (194)"
    moved = bulk("Si", cubic=True)
    moved.rattle(0.05, seed=1)
    assert space_group(moved) == "P1 (1)"
    assert space_group(molecule("H2O")) == "-"


def test_distance_between_structures() -> None:
    """One atom moved by 0.1 A of eight: 0.1 less the mean; neither a translation nor a scaled cell counts."""
    first = bulk("Si", cubic=True)
    second = first.copy()
    second.positions[3, 1] += 0.1
    second.positions += [2.2, 0.7, -0.4]
    second.wrap()
    assert largest_distance(first, second) == pytest.approx(0.1 * 7 / 8)
    second = first.copy()
    second.set_cell(1.05 * first.cell.array, scale_atoms=True)
    assert largest_distance(first, second) == pytest.approx(0.0, abs=1e-12)
    water = molecule("H2O")
    turned = water.copy()
    turned.positions += 1.0
    assert largest_distance(water, turned) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", ["H2O", "CO2", "N2", "CH3CH2OH"])
def test_molecules_may_turn(name: str) -> None:
    """An optimizer may turn a molecule, which changes no energy; a stretched bond is another structure."""
    first = molecule(name)
    turned = first.copy()
    turned.rotate(25.0, (1, 2, 3))
    assert np.abs(turned.positions - first.positions).max() > 0.1
    assert largest_distance(first, turned) == pytest.approx(0.0, abs=1e-12)
    turned.positions[-1] += 0.1 * (turned.positions[-1] - turned.positions.mean(axis=0))
    assert largest_distance(first, turned) > 0.01


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    made, crystal = AseEngine(closed_forms.lennard_jones()), closed_forms.fcc(1.02)
    with pytest.raises(ValueError, match=r"pressure must be 0 for a fixed cell, got 2\.0 GPa"):
        relax(crystal, made, cell="fixed", fmax=1e-3, pressure=2.0)
    with pytest.raises(ValueError, match=r"cell must be fixed for a structure with open sides, got full"):
        relax(molecule("H2O"), made, cell="full", fmax=1e-3)
    with pytest.raises(ValueError, match=r"keep_symmetry must be off for a structure with open sides"):
        relax(molecule("H2O"), made, cell="fixed", fmax=1e-3, keep_symmetry=True)
    with pytest.raises(ValueError, match=r"fmax must be a positive number, got 0\.0"):
        relax(crystal, made, cell="full", fmax=0.0)
    monkeypatch.setattr(engine, "MAX_STEPS", 1)
    with pytest.raises(
        ValueError, match=r"must relax to 1e-06 eV/A within 1 steps, got a largest force of [\d.]+ eV/A"
    ):
        relax(crystal, made, cell="full", fmax=1e-6)


@pytest.mark.slow
def test_a_cell_that_lammps_leaves_under_stress_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rounds of minimization of the cell: its atoms are at rest by symmetry, its stress is not."""
    made = LammpsEngine(closed_forms.tersoff_style(tmp_path), tmp_path)
    monkeypatch.setattr(lammps_relaxation, "ROUNDS", ())
    with pytest.raises(
        ValueError, match=r"cell must relax to 0 GPa within \S+ GPa in LAMMPS, got [\d.]+ GPa off for Si2"
    ):
        relax(bulk("Si", a=5.3), made, cell="full", fmax=1e-4)
