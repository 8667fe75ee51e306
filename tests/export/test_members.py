"""Ensemble members in ASE: the arrays of all members, the calculator of one, both derivatives of energies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import small_models
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from trained_models import FAMILIES

from rhopot.export import LoadedModel, RhopotCalculator, evaluate, load_model
from rhopot.export.results import FORCE_MEMBERS

OLD_GLOBAL = Path(__file__).parents[1] / "data" / "format_1_scattering.pt"
SMALL: dict[str, Callable[[], LoadedModel]] = {
    "toy": lambda: toy.in_memory(members=3),
    "more members than gradients": lambda: toy.in_memory(members=FORCE_MEMBERS + 2),
    "linear": small_models.linear,
    "gap": small_models.gap,
    "network": small_models.network,
    "scattering": small_models.scattering,
}


def ask(calc: RhopotCalculator, atoms: ase.Atoms, *names: str) -> list[np.ndarray]:
    return [np.asarray(calc.get_property(name, atoms)) for name in names]


def check_members(model: LoadedModel, atoms: ase.Atoms, chosen: int) -> None:
    """Shapes, standard deviations, and the calculator of one member beside its rows of the arrays."""
    count = model.card.uncertainty.members
    calc = RhopotCalculator(model)
    energies, forces, stresses = ask(calc, atoms, "energy_members", "forces_members", "stress_members")
    assert energies.shape == (count,)
    assert forces.shape == (min(count, FORCE_MEMBERS), len(atoms), 3)
    assert stresses.shape == (min(count, FORCE_MEMBERS), 6)
    sigma, sigmas = ask(calc, atoms, "energy_uncertainty", "forces_uncertainty")
    assert sigma > 1e-4
    assert np.std(energies) == pytest.approx(sigma, rel=1e-10)
    factors = np.array([model.card.uncertainty.force_factors.get(symbol, 1.0) for symbol in atoms.symbols])
    np.testing.assert_allclose(factors * np.sqrt(np.var(forces, axis=0).mean(axis=1)), sigmas, rtol=1e-10)
    single = RhopotCalculator(model, member=chosen)
    energy, force, stress = ask(single, atoms, "energy", "forces", "stress")
    assert energy == pytest.approx(energies[chosen], rel=1e-12)
    np.testing.assert_allclose(force, forces[chosen], atol=1e-9)
    np.testing.assert_allclose(stress, stresses[chosen], atol=1e-11)
    assert np.abs(forces[0] - forces[1]).max() > 1e-5


@pytest.mark.parametrize("name", SMALL)
def test_members_of_small_models(name: str) -> None:
    check_members(SMALL[name](), toy.skewed(), chosen=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_trained_models(trained_model: Callable[[str], Path], family: str) -> None:
    model = load_model(trained_model(family))
    check_members(model, toy.crystal((1, 1, 1)), chosen=model.card.uncertainty.members - 1)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "more members than gradients"])
def test_forces_and_stress_of_a_member_are_derivatives_of_its_energy(name: str) -> None:
    atoms = toy.tiny()
    atoms.calc = RhopotCalculator(SMALL[name](), member=1)
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)


def test_atoms_of_a_member_sum_to_it() -> None:
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(toy.in_memory(members=3), member=2)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-11)
    np.testing.assert_allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), atol=1e-13)


def test_one_member_costs_one_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many members there are."""
    calls = []
    gradient = toy.torch.autograd.grad
    monkeypatch.setattr(toy.torch.autograd, "grad", lambda *args, **named: calls.append(1) or gradient(*args, **named))
    atoms = toy.skewed()
    atoms.calc = RhopotCalculator(toy.in_memory(members=5), member=3)
    atoms.get_stress()
    assert len(calls) == 1
    atoms.calc = RhopotCalculator(toy.in_memory(members=5))
    atoms.calc.get_property("forces_members", atoms)
    assert len(calls) == 1 + 5


def test_packed_structures_and_batches_have_the_members_of_each_alone() -> None:
    model, structures = toy.in_memory(members=3), [toy.skewed(), toy.tiny(), ase.Atoms(), toy.crystal((1, 1, 1))]
    together = evaluate(model, structures, members=True, deviations=True)
    batched = evaluate(model, structures, members=True, deviations=True, max_edges=30)
    for atoms, *found in zip(structures, together, batched, strict=True):
        alone = evaluate(model, [atoms], members=True, deviations=True)[0]
        for one in found:
            np.testing.assert_allclose(one.energy_members(), alone.energy_members(), atol=1e-11)
            np.testing.assert_allclose(one.member_forces, alone.member_forces, atol=1e-12)
            np.testing.assert_allclose(one.member_virials, alone.member_virials, atol=1e-11)
    assert together[2].member_forces.shape == (3, 0, 3)


def test_shares_of_a_global_model_give_the_members_of_the_whole() -> None:
    model, atoms = small_models.scattering(), toy.tiny()
    for options in ({"deviations": True}, {"member": 1}):
        whole, parts = (evaluate(model, [atoms], n_shares=n, **options)[0] for n in (1, 3))
        np.testing.assert_allclose(parts.forces, whole.forces, atol=1e-10)
        np.testing.assert_allclose(parts.virial, whole.virial, atol=1e-9)
        assert (whole.member_virials is None) == ("member" in options)
    np.testing.assert_allclose(parts.energy, whole.energy, rtol=1e-12)


@pytest.mark.parametrize("name", ["energy_members", "forces_members", "stress_members"])
def test_members_of_a_model_without_are_refused(name: str) -> None:
    atoms = toy.skewed()
    calc = RhopotCalculator(toy.in_memory(members=0))
    assert name not in calc.implemented_properties
    with pytest.raises(PropertyNotImplementedError, match=f"^{name} must be asked of a model with members, 'toy' has"):
        calc.get_property(name, atoms)


@pytest.mark.parametrize(
    ("members", "member", "sentence"),
    [
        (3, 3, "^member must be one of 0 to 2, the members of 'toy', got 3; leave it out for the model's prediction$"),
        (3, -1, "^member must be one of 0 to 2, the members of 'toy', got -1; "),
        (0, 0, "^member must be asked of a model with members, got 0 of 'toy', which has none; train it on data with "),
    ],
)
def test_members_that_are_not_there_are_refused(members: int, member: int, sentence: str) -> None:
    model = toy.in_memory(members=members)
    with pytest.raises(ValueError, match=sentence):
        RhopotCalculator(model, member=member)
    with pytest.raises(ValueError, match=sentence):
        evaluate(model, [toy.skewed()], member=member)


def test_a_member_has_no_uncertainty() -> None:
    atoms = toy.skewed()
    calc = RhopotCalculator(toy.in_memory(members=3), member=1)
    assert calc.todict() == {"model": "toy", "member": 1}
    sentence = "^energy_uncertainty must be asked of all members together, got the calculator of member 1 of 'toy'; "
    with pytest.raises(PropertyNotImplementedError, match=sentence):
        calc.get_property("energy_uncertainty", atoms)


def test_stresses_of_members_need_a_volume() -> None:
    atoms = toy.cluster()
    atoms.set_cell(None)
    calc = RhopotCalculator(toy.in_memory(members=3))
    with pytest.raises(PropertyNotImplementedError, match="cell must span a volume for a stress"):
        calc.get_property("stress_members", atoms)
    assert calc.get_property("forces_members", atoms).shape == (3, len(atoms), 3)


def test_older_global_files_know_the_energies_of_their_members_alone() -> None:
    atoms = toy.skewed()
    calc = RhopotCalculator(OLD_GLOBAL)
    energies, sigma = ask(calc, atoms, "energy_members", "energy_uncertainty")
    assert np.std(energies) == pytest.approx(sigma, rel=1e-10)
    for name, what in (("forces_members", "forces"), ("stress_members", "stresses")):
        with pytest.raises(
            PropertyNotImplementedError, match=f"^{name} must be asked of a model whose members have {what}"
        ):
            calc.get_property(name, atoms)
    single = RhopotCalculator(OLD_GLOBAL, member=0)
    assert single.implemented_properties == ["energy", "free_energy"]
    assert single.get_property("energy", atoms) == pytest.approx(energies[0], rel=1e-12)
    with pytest.raises(PropertyNotImplementedError, match=r"^forces of a member must be asked of a model whose "):
        single.get_property("forces", atoms)
    with pytest.raises(ValueError, match=r"^gradients of a member must be asked of a model whose members have s"):
        evaluate(load_model(OLD_GLOBAL), [atoms], member=0)
