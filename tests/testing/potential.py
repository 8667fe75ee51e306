"""What every local potential owes physics. A test class inherits these and provides `model`.

    class TestMine(PotentialContract):
        @pytest.fixture
        def model(self) -> LoadedModel: ...

The model must know Li and Si. Tolerances are for float64; energies of some eV per atom, forces of some eV/A.
"""

from __future__ import annotations

import ase
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ortho_group

from rhopot.export import Evaluation, LoadedModel, evaluate, script
from rhopot.testing import numerics, structures

Floats = NDArray[np.float64]


def run(model: LoadedModel, atoms: ase.Atoms) -> Evaluation:
    """Everything the model gives for one structure."""
    members = model.card.uncertainty.members > 0
    return evaluate(model, [atoms], members=members, virials=True)[0]


def energy(model: LoadedModel, atoms: ase.Atoms) -> float:
    """Energy in eV."""
    return evaluate(model, [atoms], gradients=False)[0].energy


def derivative_along(model: LoadedModel, atoms: ase.Atoms, direction: Floats, step: float = 1e-3) -> float:
    """dE/ds in eV/A along a direction (N, 3), by central differences of fourth order."""

    def at(shift: float) -> float:
        moved = atoms.copy()
        moved.positions += shift * direction
        return energy(model, moved)

    return (8.0 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12.0 * step)


class PotentialContract:
    """Inherit and provide the fixture `model`."""

    noise = 1e-9  # eV and eV/A: what sums in another order may change
    numeric = 1e-6  # eV/A and eV/A^3: error of central differences

    @pytest.fixture
    def model(self) -> LoadedModel:
        raise NotImplementedError("a potential's test class provides its model")

    @pytest.mark.parametrize("seed", [0, 1])
    def test_rotation_and_inversion(self, model: LoadedModel, seed: int) -> None:
        atoms = structures.skewed()
        matrix = ortho_group.rvs(3, random_state=seed)
        matrix *= (-1.0) ** seed * np.linalg.det(matrix)  # a rotation for even seeds, with inversion for odd ones
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ matrix.T, scale_atoms=True)
        before, after = run(model, atoms), run(model, turned)
        np.testing.assert_allclose(after.energies, before.energies, atol=self.noise)
        np.testing.assert_allclose(after.forces, before.forces @ matrix.T, atol=self.noise)
        np.testing.assert_allclose(after.virials, matrix @ before.virials @ matrix.T, atol=self.noise)
        assert np.abs(before.forces).max() > 0.01

    def test_translation_and_wrapping(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        moved = atoms.copy()
        moved.positions += (1.7, -0.4, 9.1)
        moved.wrap()
        np.testing.assert_allclose(run(model, moved).energies, run(model, atoms).energies, atol=self.noise)
        np.testing.assert_allclose(run(model, moved).forces, run(model, atoms).forces, atol=self.noise)

    def test_permutation(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        order = np.random.default_rng(4).permutation(len(atoms))
        before, after = run(model, atoms), run(model, atoms[order])
        np.testing.assert_allclose(after.energies, before.energies[order], atol=self.noise)
        np.testing.assert_allclose(after.forces, before.forces[order], atol=self.noise)

    def test_supercell_is_made_of_its_cells(self, model: LoadedModel) -> None:
        atoms = structures.tiny()
        cell, supercell = run(model, atoms), run(model, atoms * (2, 1, 3))
        np.testing.assert_allclose(supercell.energies, np.tile(cell.energies, 6), atol=self.noise)
        np.testing.assert_allclose(supercell.forces, np.tile(cell.forces, (6, 1)), atol=self.noise)

    def test_separated_fragments_add(self, model: LoadedModel) -> None:
        one, two = structures.cluster(1), structures.cluster(2)
        two.positions += (0.0, 0.0, 50.0)
        both = energy(model, one + two)
        assert both == pytest.approx(energy(model, one) + energy(model, two), abs=self.noise)

    @pytest.mark.parametrize("symbol", ["Li", "Si"])
    def test_isolated_atom_feels_nothing(self, model: LoadedModel, symbol: str) -> None:
        result = run(model, ase.Atoms(symbol, positions=[(0.0, 0.0, 0.0)]))
        assert np.isfinite(result.energy)
        np.testing.assert_array_equal(result.forces, 0.0)

    def test_nothing_jumps_at_the_cutoff(self, model: LoadedModel) -> None:
        def dimer(distance: float) -> Evaluation:
            return run(model, ase.Atoms("LiSi", [(0.0, 0.0, 0.0), (0.0, 0.0, distance)]))

        cutoff = model.card.cutoff
        apart, edge, inside = dimer(1.01 * cutoff), dimer((1 - 1e-5) * cutoff), dimer(0.6 * cutoff)
        assert edge.energy == pytest.approx(apart.energy, abs=1e-9)
        assert np.abs(edge.forces).max() < 1e-6
        assert np.abs(inside.forces).max() > 1e-3

    @pytest.mark.parametrize("make", [structures.skewed, structures.slab, structures.cluster, structures.tiny])
    def test_forces_are_derivatives_of_the_energy(self, model: LoadedModel, make) -> None:  # type: ignore[no-untyped-def]
        atoms = make()
        forces = run(model, atoms).forces
        for seed in range(3):
            direction = np.random.default_rng(seed).standard_normal((len(atoms), 3))
            derivative = derivative_along(model, atoms, direction / np.linalg.norm(direction))
            assert -np.sum(forces * direction) / np.linalg.norm(direction) == pytest.approx(
                derivative, abs=self.numeric
            )

    def test_stress_is_the_derivative_by_strain(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        stress = run(model, atoms).stress(atoms)
        numeric = numerics.stress_from_energies(lambda strained: energy(model, strained), atoms)
        np.testing.assert_allclose(stress, numeric, atol=self.numeric)
        np.testing.assert_allclose(stress, stress.T, atol=self.noise)

    def test_parts_sum_to_the_whole(self, model: LoadedModel) -> None:
        result = run(model, structures.skewed())
        assert result.energies.sum() == pytest.approx(result.energy, abs=self.noise)
        np.testing.assert_allclose(result.virials.sum(axis=0), result.virial, atol=self.noise)
        np.testing.assert_allclose(result.forces.sum(axis=0), 0.0, atol=self.noise)

    def test_structure_without_atoms(self, model: LoadedModel) -> None:
        result = run(model, ase.Atoms())
        assert result.energy == 0.0
        assert result.forces.shape == (0, 3)

    def test_asking_for_members_changes_nothing_else(self, model: LoadedModel) -> None:
        atoms = structures.skewed()
        without, beside = (evaluate(model, [atoms], members=members)[0] for members in (False, True))
        np.testing.assert_allclose(beside.energies, without.energies, atol=self.noise)
        np.testing.assert_allclose(beside.forces, without.forces, atol=self.noise)
        count = 0 if beside.members is None else beside.members.shape[1]
        assert count == model.card.uncertainty.members

    def test_compiled_equals_eager(self, model: LoadedModel) -> None:
        compiled = LoadedModel(card=model.card, module=script.compile_module(model.module))
        for atoms in (structures.skewed(), structures.cluster()):
            eager, fast = run(model, atoms), run(compiled, atoms)
            np.testing.assert_allclose(fast.energies, eager.energies, atol=self.noise)
            np.testing.assert_allclose(fast.virials, eager.virials, atol=self.noise)

    def test_dynamics_conserve_energy(self, model: LoadedModel) -> None:
        numerics.assert_dynamics_conserve_energy(model)
