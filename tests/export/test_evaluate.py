"""Derivatives against finite differences; packing and batching change nothing."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from toy_model import cluster, rattled, toy_model

from rhopot.export import LoadedModel, evaluate

MODEL = toy_model(members=3)


def energy(atoms: ase.Atoms) -> float:
    return evaluate(MODEL, [atoms], gradients=False)[0].energy


def slab() -> ase.Atoms:
    atoms = rattled()
    atoms.pbc = (True, True, False)
    return atoms


@pytest.mark.parametrize("atoms", [rattled(), slab(), cluster()], ids=["crystal", "slab", "cluster"])
def test_forces_equal_finite_differences(atoms: ase.Atoms) -> None:
    forces, step = evaluate(MODEL, [atoms])[0].forces, 1e-4
    numeric = np.zeros_like(forces)
    for n, c in np.ndindex(numeric.shape):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[n, c] += sign * step
            numeric[n, c] -= sign * energy(moved) / (2 * step)
    assert np.abs(numeric).max() > 0.05
    np.testing.assert_allclose(forces, numeric, atol=1e-8)


def test_stress_equals_finite_strain() -> None:
    atoms, step = rattled(), 1e-5
    stress = evaluate(MODEL, [atoms])[0].stress(atoms)
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain.T, scale_atoms=True)
            numeric[a, b] += sign * energy(strained) / (2 * step * atoms.get_volume())
    assert np.abs(numeric).max() > 1e-3
    np.testing.assert_allclose(stress, numeric, atol=1e-9)


def test_parts_sum_to_the_whole() -> None:
    result = evaluate(MODEL, [rattled()], members=True, virials=True)[0]
    assert result.energies.sum() == pytest.approx(result.energy, abs=1e-12)
    np.testing.assert_allclose(result.virials.sum(axis=0), result.virial, atol=1e-12)
    np.testing.assert_allclose(result.forces.sum(axis=0), 0.0, atol=1e-12)


def test_deviations_are_those_of_totals_and_of_atoms() -> None:
    result = evaluate(MODEL, [rattled()], members=True)[0]
    scale = MODEL.module.scale.numpy()
    assert result.energy_uncertainty() == pytest.approx(abs(result.energy) * np.std(scale), rel=1e-12)
    np.testing.assert_allclose(result.energies_uncertainty(), np.abs(result.energies) * np.std(scale), rtol=1e-12)


@pytest.mark.parametrize("max_edges", [1, 40, 10**6])
def test_batches_and_packs_change_nothing(max_edges: int) -> None:
    structures = [rattled(), cluster(), ase.Atoms("Si", [(0, 0, 0)]), rattled((1, 1, 1), seed=5), ase.Atoms()]
    together = evaluate(MODEL, structures, members=True, virials=True, max_edges=max_edges)
    assert len(together) == len(structures)
    for atoms, result in zip(structures, together, strict=True):
        alone = evaluate(MODEL, [atoms], members=True, virials=True)[0]
        assert result.energy == pytest.approx(alone.energy, abs=1e-12)
        for name in ("energies", "forces", "virial", "virials", "members"):
            np.testing.assert_allclose(getattr(result, name), getattr(alone, name), atol=1e-12)


def test_isolated_atom_has_its_baseline_and_no_force() -> None:
    result = evaluate(MODEL, [ase.Atoms("LiSi", [(0, 0, 0), (0, 0, 4.0)])])[0]
    np.testing.assert_array_equal(result.energies, [-1.5, -4.0])
    np.testing.assert_array_equal(result.forces, 0.0)


def test_stress_needs_a_volume_and_gradients() -> None:
    atoms = rattled()
    assert evaluate(MODEL, [cluster()])[0].stress(cluster()) is None
    assert evaluate(MODEL, [atoms], gradients=False)[0].stress(atoms) is None


def test_unknown_elements_are_refused_naming_the_known() -> None:
    with pytest.raises(ValueError, match=r"model 'toy' knows \(Li, Si\), got O, Xe; train a model with them"):
        evaluate(MODEL, [ase.Atoms("SiXeO", positions=np.eye(3))])


def test_results_that_are_not_finite_are_refused() -> None:
    broken = toy_model()
    broken.module.strength[:] = np.nan
    with pytest.raises(ValueError, match="energies and forces of model 'toy' must be finite, got NaN or infinity"):
        evaluate(LoadedModel(broken.card, broken.module, "toy"), [cluster()])
