"""The ASE calculator: what ASE's own tools expect of it, and the same numbers on every path to them."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import many_body_toy as toy
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS

from rhopot.export import RhopotCalculator, evaluate


def attached(atoms: ase.Atoms, **options: float) -> ase.Atoms:
    atoms.calc = RhopotCalculator(toy.in_memory(members=3), **options)
    return atoms


def test_model_file_gives_every_property(model_file: Path) -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(model_file)
    expected = evaluate(toy.in_memory(members=3), [atoms], members=True, deviations=True)[0]
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-12)
    assert atoms.get_potential_energies().sum() == pytest.approx(expected.energy, abs=1e-12)
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), atol=1e-14)
    deviation = atoms.calc.get_property("energy_uncertainty", atoms)
    assert deviation == pytest.approx(expected.energy_uncertainty(), rel=1e-10)
    spread = atoms.calc.get_property("forces_uncertainty", atoms)
    assert spread.shape == (len(atoms),)
    np.testing.assert_allclose(spread, expected.forces_uncertainty, rtol=1e-10)


def test_the_deviation_of_atomic_energies_is_refused_with_the_name_of_what_replaces_it(model_file: Path) -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(model_file)
    assert "energies_uncertainty" not in atoms.calc.implemented_properties
    with pytest.raises(PropertyNotImplementedError, match="must be asked for as forces_uncertainty"):
        atoms.calc.get_property("energies_uncertainty", atoms)


def test_forces_and_stress_equal_ase_finite_differences() -> None:
    atoms = attached(toy.tiny(), skin=0.0)
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-7)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-8)


def test_skin_changes_no_number_on_a_walk_with_cell_changes() -> None:
    rng = np.random.default_rng(5)
    kept = attached(toy.skewed(), skin=0.6)
    for step in range(20):
        kept.positions += 0.03 * rng.standard_normal(kept.positions.shape)
        if step % 4 == 0:
            kept.set_cell(kept.cell.array @ (np.eye(3) + 0.01 * rng.standard_normal((3, 3))), scale_atoms=True)
        if step == 10:
            kept.wrap()
            kept.symbols[0] = "Si"
        fresh = evaluate(toy.in_memory(), [kept])[0]
        assert kept.get_potential_energy() == pytest.approx(fresh.energy, abs=1e-11)
        np.testing.assert_allclose(kept.get_forces(), fresh.forces, atol=1e-11)
    assert kept.calc.neighbours.n_searches < 15


def test_nve_conserves_energy() -> None:
    atoms = attached(toy.skewed())
    rng = np.random.default_rng(0)
    atoms.set_velocities(0.01 * rng.standard_normal((len(atoms), 3)))
    dynamics = VelocityVerlet(atoms, timestep=0.5 * ase.units.fs)
    start = atoms.get_total_energy()
    kinetic, total = [], []
    for _ in range(60):
        dynamics.run(1)
        kinetic.append(atoms.get_kinetic_energy())
        total.append(atoms.get_total_energy())
    assert np.ptp(kinetic) > 1e-3
    np.testing.assert_allclose(total, start, atol=0.01 * np.ptp(kinetic))


def test_one_calculator_serves_the_images_of_a_band() -> None:
    first = toy.cluster()
    last = first.copy()
    last.positions[0] += (0.3, 0.2, 0.5)
    images = [first, *(first.copy() for _ in range(3)), last]
    band = NEB(images, allow_shared_calculator=True, method="improvedtangent")
    band.interpolate()
    shared = RhopotCalculator(toy.in_memory(members=3))
    for image in images:
        image.calc = shared
    BFGS(band, logfile=None).run(steps=3)
    energies = [shared.get_property("energy", image) for image in images]
    expected = evaluate(toy.in_memory(), images)
    np.testing.assert_allclose(energies, [result.energy for result in expected], atol=1e-12)
    for image, result in zip(reversed(images), reversed(expected), strict=True):
        np.testing.assert_allclose(image.get_forces(), result.forces, atol=1e-12)
        assert shared.get_property("energy_uncertainty", image) > 0
    assert len(set(np.round(energies, 9))) == 5


def test_results_survive_files_and_copies(tmp_path: Path) -> None:
    atoms = attached(toy.skewed())
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc.get_property("energy_uncertainty", atoms)
    for name in ("a.traj", "a.xyz"):
        ase.io.write(tmp_path / name, atoms)
        read = ase.io.read(tmp_path / name)
        assert read.get_potential_energy() == pytest.approx(energy, abs=1e-7)
        np.testing.assert_allclose(read.get_forces(), forces, atol=1e-7)
    exported = atoms.calc.export_properties()
    assert exported["energy"] == energy
    assert "energy_uncertainty" not in exported


def test_energy_alone_needs_no_gradient() -> None:
    atoms = attached(toy.skewed())
    atoms.get_potential_energy()
    assert set(atoms.calc.results) == {"energy", "free_energy", "energies"}
    atoms.get_forces()
    assert {"forces", "stress"} <= set(atoms.calc.results)


def test_stress_without_a_volume_is_refused() -> None:
    atoms = attached(toy.cluster())
    atoms.set_cell(None)
    assert np.abs(atoms.get_forces()).max() > 0.01
    with pytest.raises(PropertyNotImplementedError, match="cell must span a volume for a stress, got"):
        atoms.get_stress()


def test_a_name_that_is_nearly_that_of_a_property() -> None:
    atoms = attached(toy.skewed())
    with pytest.raises(PropertyNotImplementedError, match="got 'force_uncertainty'; did you mean forces_uncertainty"):
        atoms.calc.get_property("force_uncertainty", atoms)
    with pytest.raises(PropertyNotImplementedError, match="dipole"):
        atoms.get_dipole_moment()


def test_uncertainty_of_a_model_without_members_is_refused() -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(toy.in_memory(members=0))
    with pytest.raises(PropertyNotImplementedError, match="energy_uncertainty must be asked of a model with members"):
        atoms.calc.get_property("energy_uncertainty", atoms)


def test_unknown_elements_are_refused_naming_the_known() -> None:
    atoms = attached(toy.cluster())
    atoms.get_potential_energy()
    atoms.symbols[2] = "Xe"
    with pytest.raises(ValueError, match=r"knows \(Li, Si\), got Xe"):
        atoms.get_potential_energy()


def test_calculator_without_a_structure_says_so() -> None:
    with pytest.raises(ValueError, match="atoms must be a structure, got None"):
        RhopotCalculator(toy.in_memory()).calculate()


def test_small_batches_give_the_same_numbers() -> None:
    atoms, batched = attached(toy.skewed()), attached(toy.skewed(), max_edges=30)
    np.testing.assert_allclose(atoms.get_forces(), batched.get_forces(), atol=1e-13)
    np.testing.assert_allclose(atoms.get_stresses(), batched.get_stresses(), atol=1e-14)


def test_name_and_model_are_recorded() -> None:
    calculator = RhopotCalculator(toy.in_memory())
    assert calculator.name == "rhopot"
    assert calculator.todict() == {"model": "toy"}
