"""Pooling models: invariances, derivatives, nodes in one place, members, and TorchScript."""

from __future__ import annotations

import ase
import molecules
import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.stats import ortho_group

from rhopot.export import script
from rhopot.potentials.models.pooling.network import SOFT
from rhopot.potentials.verification.finite_differences import derivative

NODES = [(), (0.5,), (0.6, 0.3)]


def along(model: torch.nn.Module, atoms: ase.Atoms, direction: np.ndarray) -> float:
    """Derivative of the energy along a displacement, by differences."""

    def energy(step: float) -> float:
        return float(molecules.energies(model, atoms, torch.tensor(atoms.positions + step * direction))[0])

    return derivative(energy, 2e-4)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("seed", [0, 1])
def test_turning_mirroring_and_moving_a_molecule(nodes: tuple[float, ...], seed: int) -> None:
    atoms, moved, model = molecules.rattled("CH3CH2OH"), molecules.rattled("CH3CH2OH"), molecules.model(nodes)
    matrix = ortho_group.rvs(3, random_state=seed)
    moved.positions = atoms.positions @ matrix.T + (7.0, -3.0, 100.0)
    (before, forces), (after, others) = (molecules.energy_and_forces(model, each) for each in (atoms, moved))
    assert after == pytest.approx(before, abs=1e-9)
    np.testing.assert_allclose(others, forces @ matrix.T, atol=1e-11)
    assert np.abs(forces).max() > 1e-2


@pytest.mark.parametrize("nodes", NODES)
def test_order_of_the_atoms(nodes: tuple[float, ...]) -> None:
    atoms, model = molecules.rattled("CH3CH2OH"), molecules.model(nodes)
    order = np.random.default_rng(3).permutation(len(atoms))
    (before, forces), (after, others) = (molecules.energy_and_forces(model, each) for each in (atoms, atoms[order]))
    assert after == pytest.approx(before, abs=1e-9)
    np.testing.assert_allclose(others, forces[order], atol=1e-11)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("name", ["CH3CH2OH", "H2O", "CO"])
def test_forces_are_those_of_finite_differences(nodes: tuple[float, ...], name: str) -> None:
    atoms, model = molecules.rattled(name), molecules.model(nodes)
    forces = molecules.energy_and_forces(model, atoms)[1]
    numeric = np.zeros_like(forces)
    for index in np.ndindex(forces.shape):
        direction = np.zeros_like(forces)
        direction[index] = 1.0
        numeric[index] = -along(model, atoms, direction)
    np.testing.assert_allclose(forces, numeric, atol=1e-7 * max(1.0, np.abs(forces).max()))
    assert np.abs(forces).max() > 1e-3, "two atoms act on each other as well"


def test_nodes_in_one_place_have_finite_derivatives() -> None:
    """Symmetry puts every node of benzene into its center; the force is that of differences, the second one finite."""
    atoms, model = molecule("C6H6"), molecules.model((0.5,), largest=12)
    (_, places), *_ = model.pooled_nodes(torch.tensor(atoms.positions), molecules.species(atoms), 0)
    assert float((places - places.mean(0)).abs().max()) < 1e-3 * SOFT
    positions = torch.tensor(atoms.positions, requires_grad=True)
    (gradient,) = torch.autograd.grad(molecules.energies(model, atoms, positions)[0], positions, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), positions)
    assert bool(torch.isfinite(gradient).all())
    assert bool(torch.isfinite(second).all())
    direction = np.random.default_rng(3).standard_normal((12, 3))
    exact = float((gradient.detach() * torch.tensor(direction)).sum())
    assert exact == pytest.approx(along(model, atoms, direction), abs=1e-7 * abs(exact))
    assert abs(exact) > 0.1


def test_a_single_atom_has_an_energy_and_no_force() -> None:
    energy, forces = molecules.energy_and_forces(molecules.model(), ase.Atoms("O", [(1.0, 2.0, 3.0)]))
    assert np.isfinite(energy)
    np.testing.assert_array_equal(forces, 0.0)


def test_more_atoms_than_any_training_structure_get_no_more_nodes() -> None:
    small = molecules.model((0.5,), largest=6)
    (parts, places), *_ = small.pooled_nodes(
        torch.tensor(molecules.rattled("CH3CH2OH").positions), molecules.species(molecules.rattled("CH3CH2OH")), 0
    )
    assert parts.shape == (9, 3)
    assert places.shape == (3, 3)
    torch.testing.assert_close(parts.sum(1), torch.ones(9, dtype=torch.float64))


def test_members_scatter_around_the_prediction_by_their_spread() -> None:
    atoms = molecules.rattled("CH3OH")
    found = [molecules.energies(molecules.model(members=3, calibration=g), atoms) for g in (1.0, 2.5)]
    assert found[0].shape == (4,)
    for each in found:
        assert float(each[1:].mean()) == pytest.approx(float(each[0]), abs=1e-9)
    torch.testing.assert_close(found[1][1:] - found[1][0], 2.5 * (found[0][1:] - found[0][0]), rtol=0, atol=1e-9)


def test_derivatives_of_members_are_those_of_their_energies() -> None:
    atoms, model = molecules.rattled("CH3OH"), molecules.model(members=3, calibration=1.7)
    positions = torch.tensor(atoms.positions, requires_grad=True)
    energies = molecules.energies(model, atoms, positions)
    expected = [torch.autograd.grad(each, positions, retain_graph=True)[0] for each in energies[1:]]
    no_cell, open_sides = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    given = (positions, molecules.species(atoms), no_cell, open_sides, torch.zeros(0, dtype=torch.float64))
    found = model.member_derivatives(*given, 0, 1, 1, 2)
    torch.testing.assert_close(found[:, :6], torch.stack(expected[1:]), rtol=0, atol=1e-12)
    assert not bool(found[:, 6:].any()), "the cell does nothing"
    torch.testing.assert_close(model.member_gradients(*given, 0, 1, 1)[0], expected[0], rtol=0, atol=1e-12)
    assert not bool(model.member_gradients(*given, 1, 2, 2).any()), "share 0 does all the work"


def test_the_first_share_does_all_the_work() -> None:
    atoms, model = molecules.rattled("CH3OH"), molecules.model(members=2)
    np.testing.assert_array_equal(molecules.energies(model, atoms, share=1), np.zeros(3))


@pytest.mark.parametrize("nodes", NODES)
def test_torchscript_gives_the_same(nodes: tuple[float, ...]) -> None:
    model = molecules.model(nodes, members=2)
    compiled = script.compile_module(model)
    for name in ("CH3CH2OH", "CO", "H2O", "CH3CH2OH"):
        atoms = molecules.rattled(name)
        expected = molecules.energies(model, atoms)
        torch.testing.assert_close(molecules.energies(compiled, atoms), expected, rtol=0, atol=1e-9)
        energy, forces = molecules.energy_and_forces(model, atoms)
        np.testing.assert_allclose(molecules.energy_and_forces(compiled, atoms)[1], forces, atol=1e-11)
        assert energy == pytest.approx(float(expected[0]))


def test_periodic_boundaries_are_refused() -> None:
    atoms, model = molecules.rattled("CH3OH"), molecules.model()
    given = (torch.tensor(atoms.positions), 9.0 * torch.eye(3, dtype=torch.float64))
    assert model.prepare(*given, torch.zeros(3, dtype=torch.bool), 1.1).shape == (0,)
    with pytest.raises(ValueError, match=r"boundaries of a model of family pooling must be open along all axes"):
        model.prepare(*given, torch.tensor([False, False, True]), 1.1)


def test_single_precision_agrees_with_double() -> None:
    """Far from the origin too: positions are taken from the center before they are rounded."""
    atoms = molecules.rattled("CH3CH2OH")
    energy, forces = molecules.energy_and_forces(molecules.model(), atoms)
    atoms.positions += 3000.0
    rounded, others = molecules.energy_and_forces(molecules.model().to(torch.float32), atoms)
    assert rounded == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(others, forces, atol=1e-4)
