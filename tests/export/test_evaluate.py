"""Derivatives against finite differences; packing and batching change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ase
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import LoadedModel, Uncertainty, evaluate
from rhopot.testing.numerics import stress_from_energies

RADII: dict[str, Any] = {
    "members": 3,
    "force_factors": {"Li": 0.4, "Si": 2.5},
    "force_radii": {"Li": {"multiple": 2.0, "floor": 0.3}, "Si": {"multiple": 3.5, "floor": 0.0}},
}
MODEL = toy.in_memory(members=3)


def energy(atoms: ase.Atoms) -> float:
    return evaluate(MODEL, [atoms], gradients=False)[0].energy


@pytest.mark.parametrize(
    "atoms", [toy.skewed(), toy.slab(), toy.cluster(), toy.tiny()], ids=["crystal", "slab", "cluster", "tiny"]
)
def test_forces_equal_finite_differences(atoms: ase.Atoms) -> None:
    forces, step = evaluate(MODEL, [atoms])[0].forces, 1e-4
    numeric = np.zeros_like(forces)
    for n, c in np.ndindex(numeric.shape):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[n, c] += sign * step
            numeric[n, c] -= sign * energy(moved) / (2 * step)
    assert np.abs(numeric).max() > 0.05
    np.testing.assert_allclose(forces, numeric, atol=1e-7)  # central differences err by step^2 E'''/6


def test_stress_equals_finite_strain() -> None:
    atoms = toy.skewed()
    stress = evaluate(MODEL, [atoms])[0].stress(atoms)
    numeric = stress_from_energies(energy, atoms)
    assert np.abs(numeric).max() > 1e-3
    np.testing.assert_allclose(stress, numeric, atol=1e-9)


def test_parts_sum_to_the_whole() -> None:
    result = evaluate(MODEL, [toy.skewed()], members=True, virials=True)[0]
    assert result.energies.sum() == pytest.approx(result.energy, abs=1e-12)
    np.testing.assert_allclose(result.virials.sum(axis=0), result.virial, atol=1e-12)
    np.testing.assert_allclose(result.forces.sum(axis=0), 0.0, atol=1e-12)


def test_deviation_of_the_energy_is_that_of_totals() -> None:
    result = evaluate(MODEL, [toy.skewed()], members=True)[0]
    totals = [sum(atom[k] for atom in result.members) for k in range(3)]
    mean = sum(totals) / 3
    expected = np.sqrt(sum((total - mean) ** 2 for total in totals) / 3)
    assert expected > 1e-3
    assert result.energy_uncertainty() == pytest.approx(expected, rel=1e-12)


def test_deviation_of_forces_is_that_of_the_members_forces() -> None:
    """Per Cartesian component, around the members' own mean, over K, times the card's factor."""
    atoms = toy.tiny()
    step = 1e-4
    forces = np.zeros((3, len(atoms), 3))
    for i in range(len(atoms)):
        for a in range(3):
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[i, a] += sign * step
                totals = evaluate(MODEL, [moved], members=True, gradients=False)[0].members.sum(axis=0)
                forces[:, i, a] -= sign * totals / (2 * step)
    departures = forces - forces.mean(axis=0)
    expected = np.sqrt((departures**2).sum(axis=(0, 2)) / 9)
    assert expected.min() > 1e-3
    found = evaluate(MODEL, [atoms], gradients=False, deviations=True)[0]
    np.testing.assert_allclose(found.forces_uncertainty, expected, rtol=1e-5)
    assert found.members is None
    factors = {"Li": 0.4, "Si": 2.5}
    card = MODEL.card.model_copy(update={"uncertainty": Uncertainty(members=3, force_factors=factors)})
    scaled = evaluate(replace(MODEL, card=card), [atoms], deviations=True)[0]
    of_atoms = [factors[symbol] for symbol in atoms.symbols]
    np.testing.assert_allclose(scaled.forces_uncertainty, of_atoms * found.forces_uncertainty, rtol=1e-12)


def test_force_errors_are_radii_of_the_calibrated_deviations() -> None:
    """m sqrt(sigma^2 + f^2) with the numbers of each element, for packed structures too; none in files without them."""
    structures = [toy.skewed(), toy.tiny()]
    assert evaluate(MODEL, structures, deviations=True)[0].forces_error is None
    card = MODEL.card.model_copy(update={"uncertainty": Uncertainty(**RADII)})
    for atoms, found in zip(structures, evaluate(replace(MODEL, card=card), structures, deviations=True), strict=True):
        expected = [
            RADII["force_radii"][symbol]["multiple"] * (sigma**2 + RADII["force_radii"][symbol]["floor"] ** 2) ** 0.5
            for symbol, sigma in zip(atoms.symbols, found.forces_uncertainty, strict=True)
        ]
        np.testing.assert_allclose(found.forces_error, expected, rtol=1e-12)


@pytest.mark.parametrize("max_edges", [1, 40, 10**6])
def test_batches_and_packs_change_nothing(max_edges: int) -> None:
    structures = [toy.skewed(), toy.cluster(), ase.Atoms("Si", [(0, 0, 0)]), toy.tiny(), ase.Atoms()]
    together = evaluate(MODEL, structures, members=True, virials=True, max_edges=max_edges)
    assert len(together) == len(structures)
    for atoms, result in zip(structures, together, strict=True):
        alone = evaluate(MODEL, [atoms], members=True, virials=True)[0]
        assert result.energy == pytest.approx(alone.energy, abs=1e-12)
        for name in ("energies", "forces", "virial", "virials", "members"):
            np.testing.assert_allclose(getattr(result, name), getattr(alone, name), atol=1e-12)


def test_isolated_atom_has_its_baseline_and_no_force() -> None:
    result = evaluate(MODEL, [ase.Atoms("LiSi", [(0, 0, 0), (0, 0, 4.0)])])[0]
    np.testing.assert_array_equal(result.energies, [-2.5, -5.0])
    np.testing.assert_array_equal(result.forces, 0.0)


def test_stress_needs_a_volume_and_gradients() -> None:
    atoms = toy.skewed()
    free = toy.cluster()
    free.set_cell(None)
    assert evaluate(MODEL, [free])[0].stress(free) is None
    assert evaluate(MODEL, [atoms], gradients=False)[0].stress(atoms) is None


def test_unknown_elements_are_refused_naming_the_known() -> None:
    with pytest.raises(ValueError, match=r"model 'toy' knows \(Li, Si\), got O, Xe; train a model with them"):
        evaluate(MODEL, [ase.Atoms("SiXeO", positions=np.eye(3))])


def test_results_that_are_not_finite_are_refused() -> None:
    broken = toy.in_memory()
    broken.module.repulsion[:] = np.nan
    with pytest.raises(ValueError, match="energies and forces of model 'toy' must be finite, got NaN or infinity"):
        evaluate(LoadedModel(broken.card, broken.module, "toy"), [toy.cluster()])
