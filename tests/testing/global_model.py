"""What every global model owes physics and the programs that run it. A test class provides `model`.

    class TestMine(GlobalModelContract):
        @pytest.fixture
        def model(self) -> LoadedModel: ...

The model must know Li and Si. Derivatives are exact on the grid that was prepared, so they are held to differences on
the same one; what the grid itself leaves (translations, other cells of one crystal) to `grid`.
"""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.stats import ortho_group

from rhopot.export import Evaluation, LoadedModel, RhopotCalculator, evaluate, script
from rhopot.export.global_models import evaluate_global, prepare
from rhopot.potentials.verification.finite_differences import derivative, numerical_stress
from rhopot.testing import numerics, structures


def wire() -> ase.Atoms:
    """Periodic along z only."""
    atoms = structures.crystal((1, 1, 1))
    atoms.pbc = (False, False, True)
    return atoms


def perfect() -> ase.Atoms:
    """A crystal on whose symmetric sites forces vanish, with a cell that is no grid's friend."""
    return bulk("Si", "diamond", a=5.43)


STRUCTURES = [
    structures.skewed, structures.tiny, structures.slab, wire, structures.cluster, perfect,
]  # fmt: skip


def run(model: LoadedModel, atoms: ase.Atoms) -> Evaluation:
    """Everything the model gives for one structure."""
    return evaluate(model, [atoms], members=model.card.uncertainty.members > 0)[0]


def turned(atoms: ase.Atoms, matrix: np.ndarray) -> ase.Atoms:
    """The structure with its cell, turned by an orthogonal matrix."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ matrix.T)
    copy.positions = atoms.positions @ matrix.T
    return copy


class GlobalModelContract:
    """Inherit and provide the fixture `model`."""

    noise = 1e-9  # relative: what sums in another order may change
    numeric = 1e-6  # relative to the largest component: error of differences
    grid = 1e-2  # eV per atom, eV/A x 10: what the grid leaves

    @pytest.fixture
    def model(self) -> LoadedModel:
        raise NotImplementedError("a potential's test class provides its model")

    @pytest.mark.parametrize("make", STRUCTURES)
    def test_forces_are_derivatives_of_the_energy(self, model: LoadedModel, make) -> None:  # type: ignore[no-untyped-def]
        atoms = make()
        prepared = prepare(model, atoms)
        forces = evaluate_global(model, atoms, prepared).forces
        scale = max(np.abs(forces).max(), 0.1)
        for seed in range(3):
            direction = np.random.default_rng(seed).standard_normal((len(atoms), 3))
            direction /= np.linalg.norm(direction)

            def energy(step: float, direction: np.ndarray = direction) -> float:
                moved = atoms.copy()
                moved.positions += step * direction
                return evaluate_global(model, moved, prepared, gradients=False).energy

            assert -np.sum(forces * direction) == pytest.approx(derivative(energy, 2e-3), abs=self.numeric * scale)

    @pytest.mark.parametrize("make", STRUCTURES)
    def test_stress_is_the_derivative_by_strain(self, model: LoadedModel, make) -> None:  # type: ignore[no-untyped-def]
        atoms = make()
        atoms.calc = RhopotCalculator(model)
        stress = atoms.get_stress(voigt=False)
        assert np.abs(stress).max() > 1e-4
        np.testing.assert_allclose(stress, numerical_stress(atoms, 2e-4), atol=self.numeric * np.abs(stress).max())
        assert atoms.calc.prepared.n_preparations == 1

    def test_rotation_and_inversion_with_the_cell(self, model: LoadedModel) -> None:
        for make in (structures.skewed, structures.slab):
            atoms = make()
            for seed in (0, 1):
                matrix = ortho_group.rvs(3, random_state=seed)
                before, after = run(model, atoms), run(model, turned(atoms, matrix))
                assert after.energy == pytest.approx(before.energy, rel=self.noise)
                np.testing.assert_allclose(after.forces, before.forces @ matrix.T, atol=self.noise)
                np.testing.assert_allclose(after.virial, matrix @ before.virial @ matrix.T, atol=self.noise)
                assert np.abs(before.forces).max() > 0.01

    def test_virial_is_symmetric_and_nothing_pulls_the_whole(self, model: LoadedModel) -> None:
        result = run(model, structures.skewed())
        np.testing.assert_allclose(result.virial, result.virial.T, atol=self.noise)
        np.testing.assert_allclose(result.forces.sum(axis=0), 0.0, atol=10 * self.grid)

    def test_wrapping_changes_nothing_and_translation_little(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        before = run(model, atoms)
        wrapped, moved = atoms.copy(), atoms.copy()
        wrapped.positions[::2] += np.array([1, -2, 3]) @ atoms.cell.array
        assert run(model, wrapped).energy == pytest.approx(before.energy, rel=self.noise)
        np.testing.assert_allclose(run(model, wrapped).forces, before.forces, atol=self.noise)
        moved.positions += (1.7, -0.4, 9.1)
        assert run(model, moved).energy == pytest.approx(before.energy, abs=self.grid * len(atoms))
        np.testing.assert_allclose(run(model, moved).forces, before.forces, atol=10 * self.grid)

    def test_permutation(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        order = np.random.default_rng(4).permutation(len(atoms))
        before, after = run(model, atoms), run(model, atoms[order])
        assert after.energy == pytest.approx(before.energy, rel=self.noise)
        np.testing.assert_allclose(after.forces, before.forces[order], atol=self.noise)

    def test_supercell_has_the_energy_of_its_cells(self, model: LoadedModel) -> None:
        """Another grid, hence `grid`; twice the points along one axis are the same field, hence `noise`."""
        atoms = structures.skewed()
        cell, other = run(model, atoms), run(model, atoms * (1, 2, 2))
        assert other.energy / 4 == pytest.approx(cell.energy, abs=self.grid * len(atoms))
        np.testing.assert_allclose(other.forces, np.tile(cell.forces, (4, 1)), atol=10 * self.grid)

    def test_separated_fragments_add(self, model: LoadedModel) -> None:
        one, two = structures.cluster(1), structures.cluster(2)
        two.positions += (0.0, 0.0, 25.0)
        apart = run(model, one).energy + run(model, two).energy
        assert run(model, one + two).energy == pytest.approx(apart, abs=self.grid * len(one + two))

    @pytest.mark.parametrize("make", [structures.skewed, structures.slab, structures.cluster])
    @pytest.mark.parametrize("n_shares", [2, 3, 40])
    def test_shares_add_up(self, model: LoadedModel, make, n_shares: int) -> None:  # type: ignore[no-untyped-def]
        atoms = make()
        prepared = prepare(model, atoms)
        whole, parts = (evaluate_global(model, atoms, prepared, members=True, n_shares=n) for n in (1, n_shares))
        assert parts.energy == pytest.approx(whole.energy, rel=self.noise)
        np.testing.assert_allclose(parts.forces, whole.forces, atol=self.noise)
        np.testing.assert_allclose(parts.virial, whole.virial, atol=self.noise)
        np.testing.assert_allclose(parts.members, whole.members, rtol=self.noise)

    def test_members_are_totals_and_change_nothing_else(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        without, beside = (evaluate(model, [atoms], members=members)[0] for members in (False, True))
        assert beside.energy == without.energy
        np.testing.assert_array_equal(beside.forces, without.forces)
        assert without.members is None
        assert beside.members.shape == (model.card.uncertainty.members,)
        assert beside.energy_uncertainty() == pytest.approx(np.std(beside.members))

    def test_deviation_of_a_force_is_that_of_the_members_forces(self, model: LoadedModel) -> None:
        """Finite differences of the members' totals for one atom; shares add up first."""
        atoms, step, count = structures.skewed(), 1e-4, min(model.card.uncertainty.members, 16)
        prepared = prepare(model, atoms)
        forces = np.zeros((count, 3))
        for a in range(3):
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[2, a] += sign * step
                totals = evaluate_global(model, moved, prepared, members=True, gradients=False).members
                forces[:, a] -= sign * totals[:count] / (2 * step)
        expected = np.sqrt(np.var(forces, axis=0).mean())
        assert expected > 1e-4
        whole, parts = (
            evaluate_global(model, atoms, prepared, gradients=False, deviations=True, n_shares=n).forces_uncertainty
            for n in (1, 3)
        )
        assert whole.shape == (len(atoms),)
        assert whole[2] == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(parts, whole, rtol=1e-8)

    def test_nothing_is_known_of_atoms(self, model: LoadedModel) -> None:
        result = run(model, structures.skewed())
        assert result.energies is result.virials is result.forces_uncertainty is None
        with pytest.raises(ValueError, match=r"^virials of atoms must be asked of a model of kind 'local', got '.*'"):
            evaluate(model, [structures.skewed()], virials=True)

    def test_no_gradients_no_forces(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        result = evaluate(model, [atoms], gradients=False)[0]
        assert result.forces is result.virial is result.stress(atoms) is None
        assert result.energy == pytest.approx(run(model, atoms).energy, rel=self.noise)
        assert torch.is_grad_enabled()

    def test_structure_without_atoms(self, model: LoadedModel) -> None:
        result = run(model, ase.Atoms())
        assert result.energy == 0.0
        assert result.forces.shape == (0, 3)
        assert result.members.shape == (model.card.uncertainty.members,)

    def test_compiled_equals_eager(self, model: LoadedModel) -> None:
        compiled = LoadedModel(card=model.card, module=script.compile_module(model.module))
        for make in STRUCTURES:
            eager, fast = run(model, make()), run(compiled, make())
            assert fast.energy == pytest.approx(eager.energy, rel=self.noise)
            np.testing.assert_allclose(fast.forces, eager.forces, atol=self.noise)
            np.testing.assert_allclose(fast.virial, eager.virial, atol=self.noise)
            np.testing.assert_allclose(fast.members, eager.members, rtol=self.noise)

    def test_dynamics_conserve_energy(self, model: LoadedModel) -> None:
        numerics.assert_dynamics_conserve_energy(model)
