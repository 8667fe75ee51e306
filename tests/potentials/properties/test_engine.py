"""Both engines give the same numbers for one potential (Tersoff's silicon, which ASE and LAMMPS have independently)."""

from __future__ import annotations

from pathlib import Path

import closed_forms
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsError
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.lammps_engine import LammpsEngine

pytestmark = pytest.mark.slow

SKEWED = np.array([[1.0, 0.02, 0.03], [-0.01, 1.02, 0.04], [0.02, -0.03, 0.98]])


@pytest.fixture
def ase_engine() -> AseEngine:
    return AseEngine(closed_forms.tersoff())


@pytest.fixture
def lammps_engine(tmp_path: Path) -> LammpsEngine:
    return LammpsEngine(closed_forms.tersoff_style(tmp_path), tmp_path, ranks=2)


def disordered() -> Atoms:
    """A triclinic, displaced crystal."""
    atoms = bulk("Si", a=5.45, cubic=True).repeat((2, 1, 1))
    atoms.set_cell(atoms.cell.array @ SKEWED, scale_atoms=True)
    atoms.rattle(0.05, seed=3)
    return atoms


def test_cells_have_the_same_energies_and_stresses(ase_engine: AseEngine, lammps_engine: LammpsEngine) -> None:
    atoms = disordered()
    cells = [atoms.cell.array @ (np.eye(3) + k * 0.01 * SKEWED) for k in (-1, 0, 2)]
    ours, theirs = (engine.in_cells(atoms, cells, relax=False, fmax=0.0) for engine in (ase_engine, lammps_engine))
    np.testing.assert_allclose(theirs.energies, ours.energies, atol=1e-10)
    np.testing.assert_allclose(theirs.stresses, ours.stresses, atol=1e-9)
    assert np.ptp(ours.energies) > 0.1


def test_relaxed_cells_have_the_same_energies_and_stresses(ase_engine: AseEngine, lammps_engine: LammpsEngine) -> None:
    atoms = bulk("Si", a=5.43)
    shear = np.eye(3) + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.01], [0.0, 0.01, 0.0]])
    cells = [atoms.cell.array @ shear]
    ours, theirs = (engine.in_cells(atoms, cells, relax=True, fmax=1e-6) for engine in (ase_engine, lammps_engine))
    clamped = ase_engine.in_cells(atoms, cells, relax=False, fmax=0.0)
    np.testing.assert_allclose(theirs.energies, ours.energies, atol=1e-10)
    np.testing.assert_allclose(theirs.stresses, ours.stresses, atol=1e-7)
    assert clamped.energies[0] - ours.energies[0] > 1e-4


def test_displaced_atoms_have_the_same_forces(ase_engine: AseEngine, lammps_engine: LammpsEngine) -> None:
    atoms = disordered()
    positions = [atoms.positions.copy() for _ in range(3)]
    positions[1][4] += [0.01, -0.02, 0.03]
    positions[2][[0, 9]] += [0.05, 0.0, 0.0]
    ours, theirs = (engine.forces(atoms, positions) for engine in (ase_engine, lammps_engine))
    np.testing.assert_allclose(theirs, ours, atol=1e-9)
    assert np.abs(ours[1] - ours[0]).max() > 0.1


@pytest.mark.parametrize("open_sides", [False, True], ids=["crystal", "cluster"])
def test_structures_have_the_same_energy(open_sides: bool, ase_engine: AseEngine, lammps_engine: LammpsEngine) -> None:
    tetrahedron = Atoms("Si4", positions=1.7 * np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]))
    atoms = tetrahedron if open_sides else disordered()
    energies = [engine.energy(atoms) for engine in (ase_engine, lammps_engine)]
    assert energies[1] == pytest.approx(energies[0], abs=1e-10)
    assert energies[0] < -5.0


@pytest.mark.parametrize("cell", ["fixed", "isotropic", "full"])
def test_relaxations_end_in_the_same_minimum(cell: str, ase_engine: AseEngine, lammps_engine: LammpsEngine) -> None:
    atoms = disordered()
    pressure = 0.0 if cell == "fixed" else 2.0
    ours, theirs = (
        engine.relaxed(atoms, cell=cell, fmax=1e-5, pressure=pressure) for engine in (ase_engine, lammps_engine)
    )
    volume = theirs.get_volume()
    assert volume == pytest.approx(ours.get_volume(), rel=1e-4)
    enthalpies = [each.get_potential_energy() + pressure / 160.2176634 * each.get_volume() for each in (ours, theirs)]
    assert enthalpies[1] == pytest.approx(enthalpies[0], abs=1e-7)
    np.testing.assert_allclose(theirs.get_all_distances(mic=True), ours.get_all_distances(mic=True), atol=3e-4)
    recomputed = theirs.copy()
    recomputed.calc = closed_forms.tersoff()
    assert theirs.get_potential_energy() == pytest.approx(recomputed.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(theirs.get_forces(), recomputed.get_forces(), atol=1e-9)
    np.testing.assert_allclose(theirs.get_stress(), recomputed.get_stress(), atol=1e-8)
    if cell == "full":
        np.testing.assert_allclose(160.2176634 * ours.get_stress(), [-2, -2, -2, 0, 0, 0], atol=0.01)
        np.testing.assert_allclose(160.2176634 * theirs.get_stress(), [-2, -2, -2, 0, 0, 0], atol=0.01)


def test_symmetry_is_kept() -> None:
    """An hcp crystal far from its axes: all forces vanish by symmetry, and the cell stays hexagonal."""
    start = bulk("Cu", "hcp", a=2.4, c=4.2)
    relaxed = AseEngine(EMT()).relaxed(start, cell="full", fmax=1e-5, keep_symmetry=True)
    a, b, c, *angles = relaxed.cell.cellpar()
    assert a == pytest.approx(b, rel=1e-8)
    assert angles == pytest.approx([90, 90, 120], abs=1e-6)
    assert c / a == pytest.approx(1.63, abs=0.03)


def test_noise_that_breaks_the_symmetry_relaxes() -> None:
    """Positions that are symmetric within 0.01 A only: their forces are not projected away."""
    atoms = bulk("Si", cubic=True, a=5.43)
    ideal = atoms.get_scaled_positions()
    atoms.positions += np.random.default_rng(1).uniform(-0.004, 0.004, size=(8, 3))
    found = AseEngine(closed_forms.tersoff()).relaxed(atoms, cell="full", fmax=1e-5, keep_symmetry=True)
    assert np.abs(found.get_forces()).max() < 1e-5
    off = found.get_scaled_positions() - ideal
    off -= np.round(off) + (off - np.round(off)).mean(axis=0)
    assert np.abs(off).max() < 1e-5


def test_what_does_not_relax_is_refused_with_its_force() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    with pytest.raises(ValueError, match=r"structure must relax to 0 eV/A within 1000 steps, got a largest force of"):
        AseEngine(EMT()).relaxed(atoms, fmax=0.0)


def test_an_error_of_lammps_is_handed_on(tmp_path: Path) -> None:
    engine = LammpsEngine(PairStyle("tersoff", ("* * nothing.tersoff {elements}",)), tmp_path)
    with pytest.raises(LammpsError, match="nothing"):
        engine.relaxed(bulk("Si"))
