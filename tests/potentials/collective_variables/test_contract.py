"""What every collective variable owes physics and calculus."""

from __future__ import annotations

import copy
import io

import ase
import numpy as np
import pytest
import torch
from collective_variables_at_hand import (
    GIVEN_ATOMS,
    NAMES,
    ORIENTED,
    READ_EDGES,
    loaded,
    numeric_gradients,
    values,
    variable,
)
from scipy.stats import special_ortho_group

from rhopot.export import CvCard, LoadedCv, evaluate_cv, script
from rhopot.testing import structures

PERIODIC = pytest.mark.parametrize("name", READ_EDGES)
ALL = pytest.mark.parametrize("name", NAMES)


def small_slab() -> ase.Atoms:
    atoms = structures.crystal((1, 1, 1), seed=4)
    atoms.cell[2, 2] += 8.0
    atoms.pbc = (True, True, False)
    return atoms


SYSTEMS = {
    "crystal": structures.crystal((1, 1, 1)),
    "slab": small_slab(),
    "cluster": structures.cluster(),
}


@ALL
@pytest.mark.parametrize("system", ["crystal", "slab"])
def test_derivatives_are_those_of_finite_differences(name: str, system: str) -> None:
    module, atoms = variable(name), SYSTEMS[system]
    found = evaluate_cv(loaded(module), atoms)
    by_positions, by_strain = numeric_gradients(module, atoms)
    assert found.gradients is not None
    assert found.strain_gradients is not None
    for analytic, numeric in ((found.gradients, by_positions), (found.strain_gradients, by_strain)):
        for mine, theirs in zip(analytic, numeric, strict=True):
            assert np.abs(theirs).max() > 1e-3, "nothing to compare"
            np.testing.assert_allclose(mine, theirs, rtol=0.0, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("name", [name for name in READ_EDGES if name != "combined"])
def test_derivatives_in_a_cell_smaller_than_the_cutoff(name: str) -> None:
    """An atom is its own neighbor there: its displacement moves both ends of such an edge."""
    module, atoms = variable(name), structures.tiny()
    found = evaluate_cv(loaded(module), atoms)
    by_positions, by_strain = numeric_gradients(module, atoms)
    np.testing.assert_allclose(found.gradients, by_positions, rtol=0.0, atol=1e-6 * np.abs(by_positions).max())
    np.testing.assert_allclose(found.strain_gradients, by_strain, rtol=0.0, atol=1e-6 * np.abs(by_strain).max())


@ALL
def test_translations_change_nothing(name: str) -> None:
    module, atoms = variable(name), structures.skewed()
    shifted = atoms.copy()
    shifted.positions += (0.3, -1.7, 11.0)
    shifted.wrap()
    np.testing.assert_allclose(values(module, shifted), values(module, atoms), rtol=1e-9, atol=1e-9)
    gradients = evaluate_cv(loaded(module), atoms).gradients
    np.testing.assert_allclose(gradients.sum(axis=1), 0.0, atol=1e-12)


@ALL
def test_rotations_change_those_with_a_direction_only(name: str) -> None:
    module, atoms = variable(name), structures.skewed()
    rotation = special_ortho_group.rvs(3, random_state=np.random.default_rng(1))
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    change = np.abs(values(module, turned) - values(module, atoms)).max()
    assert (change < 1e-9) == (name not in ORIENTED)
    asymmetry = evaluate_cv(loaded(module), atoms).strain_gradients
    assert (np.abs(asymmetry - asymmetry.transpose(0, 2, 1)).max() < 1e-10) == (name not in ORIENTED)


@PERIODIC
def test_the_order_of_atoms_does_not_matter(name: str) -> None:
    module, atoms = variable(name), structures.skewed()
    given = len(module.description.atoms)
    order = np.concatenate([np.arange(given), given + np.random.default_rng(2).permutation(len(atoms) - given)])
    np.testing.assert_allclose(values(module, atoms[order]), values(module, atoms), rtol=1e-10, atol=1e-12)
    of_all, of_ordered = (evaluate_cv(loaded(module), each).gradients for each in (atoms, atoms[order]))
    np.testing.assert_allclose(of_ordered, of_all[:, order], rtol=0.0, atol=1e-12)


@PERIODIC
def test_a_supercell_has_the_averages_of_its_cell(name: str) -> None:
    module, atoms = variable(name), structures.crystal((1, 1, 1))
    np.testing.assert_allclose(values(module, atoms * (2, 1, 2)), values(module, atoms), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in READ_EDGES if name != "combined"])
def test_smooth_when_a_neighbor_comes_within_the_cutoff(name: str) -> None:
    """Value, first and second derivative along the distance are those without the neighbor; a control inside is not."""
    module = variable(name)
    cutoff = module.description.cutoff

    def chain(distance: float) -> ase.Atoms:
        direction = np.array([2.0, -1.0, 2.0]) / 3.0
        near = [(0.0, 0.0, 0.0), (2.0, 1.0, -1.5), (0.5, 2.0, 1.0)]
        return ase.Atoms("LiSiSiSi", [*near, near[0] + distance * direction])

    def profile(distance: float) -> np.ndarray:
        h = 1e-4
        low, middle, high = (values(module, chain(distance + k * h)) for k in (-1, 0, 1))
        return np.abs([middle - beyond, (high - low) / (2 * h), (high - 2 * middle + low) / h**2]).max(axis=1)

    beyond = values(module, chain(cutoff + 0.5))
    inside, edge = profile(cutoff - 0.4), profile(cutoff - 1e-3)
    assert bool((edge < (1e-6, 1e-4, 3e-2) * inside).all()), (inside, edge)
    assert bool((inside > 1e-3).all())


@ALL
def test_scripted_and_reloaded_equal_eager(name: str) -> None:
    module = variable(name)
    eager = loaded(module)
    compiled = script.compile_module(copy.deepcopy(module))
    content = io.BytesIO(script.serialise(compiled, {}))
    reloaded = LoadedCv(eager.card, script.deserialise(content, torch.device("cpu")), "", b"")
    for atoms in SYSTEMS.values():
        expected, found = evaluate_cv(eager, atoms), evaluate_cv(reloaded, atoms)
        for field in ("values", "gradients", "strain_gradients"):
            np.testing.assert_allclose(getattr(found, field), getattr(expected, field), rtol=1e-12, atol=1e-13)


@PERIODIC
def test_only_atoms_of_the_group_are_centers(name: str) -> None:
    """Neighbors are all atoms, in the group or not."""
    module, atoms = variable(name), structures.crystal((1, 1, 1))
    cv = loaded(module)
    mask = np.arange(len(atoms)) < 3
    some = evaluate_cv(cv, atoms, group=mask)
    np.testing.assert_array_equal(evaluate_cv(cv, atoms, group=np.flatnonzero(mask)).gradients, some.gradients)
    everyone = evaluate_cv(cv, atoms)
    np.testing.assert_array_equal(evaluate_cv(cv, atoms, group=np.arange(len(atoms))).values, everyone.values)
    assert np.abs(some.values - everyone.values).max() > 1e-6
    assert np.abs(some.gradients[:, ~mask]).max() > 1e-6


@ALL
def test_a_description_makes_a_card(name: str) -> None:
    module = variable(name)
    card = CvCard.of(module)
    assert card == CvCard.from_json(card.to_json())
    assert CvCard.of(card.description) == card
    assert card.reads_edges == (name in READ_EDGES)
    assert bool(card.atoms) == (name in GIVEN_ATOMS or name == "combined")
