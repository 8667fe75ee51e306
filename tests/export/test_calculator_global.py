"""The ASE calculator on global models: what it knows, what it refuses, and what it keeps."""

from __future__ import annotations

import warnings
from pathlib import Path

import ase
import ase.io
import many_body_toy as toy
import numpy as np
import pytest
import small_models
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from rhopot.export import RhopotCalculator, evaluate

MODEL = small_models.scattering()
OF_MEMBERS = {"energy_members", "forces_members", "stress_members", "energy_uncertainty", "forces_uncertainty"}
KNOWN = {"energy", "free_energy", "forces", "stress", *OF_MEMBERS}


def attached(atoms: ase.Atoms, **options: float) -> ase.Atoms:
    atoms.calc = RhopotCalculator(MODEL, **options)
    return atoms


@pytest.mark.parametrize("make", [toy.skewed, toy.slab, toy.cluster])
def test_model_file_gives_every_property_it_knows(scattering_file: Path, make) -> None:  # type: ignore[no-untyped-def]
    atoms = make()
    atoms.calc = RhopotCalculator(scattering_file)
    expected = evaluate(MODEL, [atoms], members=True, deviations=True)[0]
    assert set(atoms.calc.implemented_properties) == KNOWN
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, rel=1e-11)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    stress = expected.stress(atoms)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), 0.5 * (stress + stress.T), atol=1e-10)
    deviation = atoms.calc.get_property("energy_uncertainty", atoms)
    assert deviation == pytest.approx(np.std(expected.members), rel=1e-10)
    assert deviation > 1e-3
    spread = atoms.calc.get_property("forces_uncertainty", atoms)
    assert spread.min() > 1e-4
    np.testing.assert_allclose(spread, expected.forces_uncertainty, rtol=1e-8)


def test_members_of_older_files_have_no_forces() -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(Path(__file__).parents[1] / "data" / "format_1_scattering.pt")
    assert "forces_uncertainty" not in atoms.calc.implemented_properties
    assert atoms.calc.get_property("energy_uncertainty", atoms) > 1e-3
    sentence = "forces_uncertainty must be asked of a model whose members have forces"
    with pytest.raises(PropertyNotImplementedError, match=sentence):
        atoms.calc.get_property("forces_uncertainty", atoms)
    with pytest.raises(PropertyNotImplementedError, match=sentence):
        atoms.calc.calculate(atoms, ["forces_uncertainty"])


def test_forces_and_stress_equal_ase_finite_differences() -> None:
    atoms = attached(toy.skewed())
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)
    assert atoms.calc.prepared.n_preparations == 1


def test_energy_alone_needs_no_gradient() -> None:
    atoms = attached(toy.skewed())
    atoms.get_potential_energy()
    assert set(atoms.calc.results) == {"energy", "free_energy"}
    atoms.get_forces()
    assert set(atoms.calc.results) == {"energy", "free_energy", "forces", "stress"}


@pytest.mark.parametrize("name", ["energies", "stresses"])
def test_properties_of_atoms_are_refused_by_name(name: str) -> None:
    atoms = attached(toy.skewed())
    atoms.get_forces()
    sentence = (
        f"^{name} must be asked of a model of kind 'local', got model 'scattering' of kind 'global', "
        "which gives total energies only; ask for energy, forces or stress$"
    )
    for ask in (
        lambda: atoms.calc.get_property(name, atoms),
        lambda: atoms.calc.get_property(name, atoms, allow_calculation=False),
        lambda: atoms.calc.calculate(atoms, [name]),
    ):
        with pytest.raises(PropertyNotImplementedError, match=sentence):
            ask()


def test_stress_without_a_volume_is_refused() -> None:
    atoms = attached(toy.cluster())
    atoms.set_cell(None)
    assert np.abs(atoms.get_forces()).max() > 0.01
    with pytest.raises(PropertyNotImplementedError, match="cell must span a volume for a stress, got"):
        atoms.get_stress()


def test_uncertainty_of_a_model_without_members_is_refused() -> None:
    atoms = toy.tiny()
    atoms.calc = RhopotCalculator(small_models.scattering(members=0))
    assert "energy_uncertainty" not in atoms.calc.implemented_properties
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="energy_uncertainty must be asked of a model with members"):
        atoms.calc.get_property("energy_uncertainty", atoms)


def test_energies_of_a_compressed_crystal_lie_on_one_smooth_curve() -> None:
    """What is prepared for the largest cell serves the whole curve; fresh grids at every volume leave steps."""
    crystal = bulk("Si", "diamond", a=5.43)
    factors = np.linspace(0.90, 1.0, 41)
    calculator, kept, fresh = RhopotCalculator(MODEL), [], []
    calculator.prepare(crystal)
    for factor in factors:
        cell = crystal.copy()
        cell.set_cell(crystal.cell.array * factor, scale_atoms=True)
        fresh.append(evaluate(MODEL, [cell], gradients=False)[0].energy)
        cell.calc = calculator
        kept.append(cell.get_potential_energy())
    assert calculator.prepared.n_preparations == 1
    roughness = [np.abs(np.diff(curve, 4)).max() for curve in (kept, fresh)]
    assert roughness[0] < 1e-6
    assert roughness[1] > 100 * roughness[0]


def test_stretch_is_how_far_a_cell_may_grow() -> None:
    atoms = attached(toy.skewed(), stretch=1.3)
    atoms.get_potential_energy()
    atoms.set_cell(atoms.cell.array * 1.25, scale_atoms=True)
    atoms.get_potential_energy()
    assert atoms.calc.prepared.n_preparations == 1
    atoms.set_cell(atoms.cell.array * 1.25, scale_atoms=True)
    with pytest.warns(UserWarning, match=r"was prepared again, .*\(edges 0\.7 to 1\.3 times"):
        atoms.get_potential_energy()


def test_prepare_forgets_results_of_other_preparations() -> None:
    atoms = attached(toy.skewed())
    before = atoms.get_potential_energy()
    atoms.calc.prepare(atoms, stretch=1.6)
    after = atoms.get_potential_energy()
    assert before != after
    assert before == pytest.approx(after, abs=0.1)


def test_prepare_is_idle_for_local_models() -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(toy.in_memory())
    energy = atoms.get_potential_energy()
    atoms.calc.prepare(atoms, stretch=2.0)
    assert "energy" in atoms.calc.results
    assert atoms.get_potential_energy() == energy


def test_results_survive_files(tmp_path: Path) -> None:
    atoms = attached(toy.skewed())
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    for name in ("a.traj", "a.xyz"):
        ase.io.write(tmp_path / name, atoms)
        read = ase.io.read(tmp_path / name)
        assert read.get_potential_energy() == pytest.approx(energy, abs=1e-7)
        np.testing.assert_allclose(read.get_forces(), forces, atol=1e-7)


def test_cell_and_atoms_relax_together() -> None:
    """The energy falls steadily, because forces and stress are its derivatives on one grid."""
    atoms = attached(toy.skewed())
    start = atoms.get_potential_energy()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="model .* was prepared again")
        optimizer = BFGS(FrechetCellFilter(atoms), logfile=None, maxstep=0.05)
        energies = [start]
        for _ in range(6):
            optimizer.run(steps=1)
            energies.append(atoms.get_potential_energy())
    assert (np.diff(energies) < 0).all()
