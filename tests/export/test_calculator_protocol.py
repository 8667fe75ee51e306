"""Results belong to the structure asked about, on every path of ASE's calculator protocol and after every change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import trained_models
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.filters import FrechetCellFilter, StrainFilter
from ase.io import read
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from rhopot.export import LoadedModel, RhopotCalculator, load_model


@pytest.fixture(scope="module", params=trained_models.FAMILIES)
def model(request: pytest.FixtureRequest, trained_model: Callable[[str], Path]) -> LoadedModel:
    return load_model(trained_model(request.param))


def start() -> ase.Atoms:
    return toy.crystal((1, 1, 1))


def moved(atoms: ase.Atoms) -> ase.Atoms:
    atoms.set_positions(atoms.positions + 0.2 * np.random.default_rng(3).standard_normal(atoms.positions.shape))
    return atoms


def moved_in_place(atoms: ase.Atoms) -> ase.Atoms:
    atoms.positions[1] += (0.0, 0.3, 0.1)
    return atoms


def strained(atoms: ase.Atoms) -> ase.Atoms:
    atoms.set_cell(atoms.cell.array * 1.02, scale_atoms=True)
    return atoms


def cell_in_place(atoms: ase.Atoms) -> ase.Atoms:
    atoms.cell[2, 1] += 0.3
    return atoms


def renamed(atoms: ase.Atoms) -> ase.Atoms:
    atoms.numbers[1] = 3
    return atoms


def opened(atoms: ase.Atoms) -> ase.Atoms:
    atoms.pbc[2] = False
    return atoms


def another(atoms: ase.Atoms) -> ase.Atoms:
    return moved(toy.crystal((1, 1, 1), seed=9))


def another_size(atoms: ase.Atoms) -> ase.Atoms:
    return toy.skewed()


def one_less(atoms: ase.Atoms) -> ase.Atoms:
    del atoms[0]
    return atoms


CHANGES = (moved, moved_in_place, strained, cell_in_place, renamed, opened, another, another_size, one_less)

# What a program may do with a structure before somebody asks for a result.
PATHS: dict[str, Callable[[RhopotCalculator, ase.Atoms], object]] = {
    "nothing": lambda calc, atoms: None,
    "get_property": lambda calc, atoms: calc.get_property("energy", atoms),
    "get_properties": lambda calc, atoms: atoms.get_properties(["energy"]),
    "calculate": lambda calc, atoms: calc.calculate(atoms, ["energy"]),
    "calculate, no changes told": lambda calc, atoms: calc.calculate(atoms, ["energy"], []),
    "calculate_properties": lambda calc, atoms: calc.calculate_properties(atoms, ["energy", "forces"]),
}


@pytest.fixture(scope="module")
def known(model: LoadedModel) -> RhopotCalculator:
    """A calculator that knows every property of `start()`, to be copied."""
    calc, atoms = RhopotCalculator(model), start()
    for name in calc.implemented_properties:
        calc.get_property(name, atoms)
    return calc


def expected(model: LoadedModel, atoms: ase.Atoms) -> dict[str, object]:
    """Every property of `atoms`, each asked of a calculator that keeps none, but has prepared for `start()`."""
    calc = RhopotCalculator(model)
    calc.get_property("energy", start())
    found = {}
    for name in calc.implemented_properties:
        calc.reset()
        found[name] = calc.get_property(name, atoms)
    return found


@pytest.mark.filterwarnings("ignore:.*was prepared again")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_property_follows_every_change(
    model: LoadedModel, known: RhopotCalculator, change: Callable[[ase.Atoms], ase.Atoms]
) -> None:
    right = expected(model, change(start()))
    assert change is another_size or abs(float(right["energy"]) - known.results["energy"]) > 1e-3
    for name, path in PATHS.items():
        atoms = start()
        calc = copy.copy(known)
        atoms = change(atoms)
        atoms.calc = calc
        assert calc.calculation_required(atoms, ["energy"])
        path(calc, atoms)
        for property_name, value in right.items():
            error = f"{property_name} after {name}"
            np.testing.assert_allclose(calc.get_property(property_name, atoms), value, atol=1e-10, err_msg=error)
        assert not calc.calculation_required(atoms, list(right))


def test_a_failed_calculation_leaves_no_result(known: RhopotCalculator) -> None:
    calc = copy.copy(known)
    foreign = start()
    foreign.symbols[0] = "Xe"
    for _ in range(2):
        with pytest.raises(ValueError, match="got Xe"):
            calc.calculate(foreign, ["forces"])
        assert calc.results == {}
        with pytest.raises(ValueError, match="got Xe"):
            calc.get_property("energy", foreign)


def test_exported_results_are_copies(known: RhopotCalculator) -> None:
    atoms = start()
    atoms.calc = copy.copy(known)
    forces = atoms.get_forces()
    exported = atoms.calc.export_properties()
    kept = SinglePointCalculator(atoms, energy=exported["energy"], forces=exported["forces"])
    kept.results["forces"][:] = exported["forces"][:] = 0.0
    atoms.get_forces()[:] = 0.0
    np.testing.assert_array_equal(atoms.get_forces(), forces)
    moved(atoms)
    assert kept.results["energy"] == exported["energy"] != atoms.get_potential_energy()


def test_filters_see_the_strained_structure(model: LoadedModel) -> None:
    """Cell optimizers change positions and cell together, and ask for forces and stress one after the other."""
    for kind in (StrainFilter, FrechetCellFilter):
        atoms = start()
        atoms.calc = RhopotCalculator(model)
        BFGS(kind(atoms), logfile=None, maxstep=0.02).run(fmax=1e-3, steps=3)
        right = expected(model, atoms)
        atoms.get_properties(["energy"])
        np.testing.assert_allclose(atoms.get_stress(), right["stress"], atol=1e-10)
        np.testing.assert_allclose(atoms.get_forces(), right["forces"], atol=1e-10)


def test_restarted_dynamics_continue(model: LoadedModel, tmp_path: Path) -> None:
    """Four steps, or two, a file, a new calculator, and two more."""

    def run(atoms: ase.Atoms, steps: int) -> ase.Atoms:
        VelocityVerlet(atoms, timestep=1.0 * ase.units.fs, trajectory=str(tmp_path / "md.traj")).run(steps)
        return atoms

    first, second = start(), start()
    for atoms in (first, second):
        atoms.calc = RhopotCalculator(model)
        atoms.set_velocities(0.01 * np.random.default_rng(4).standard_normal(atoms.positions.shape))
    straight = run(first, 4)
    run(second, 2)
    restarted = read(tmp_path / "md.traj")
    restarted.calc = RhopotCalculator(model)
    restarted.calc.get_property("energy", start())  # the structure that a global model prepares for
    np.testing.assert_allclose(run(restarted, 2).positions, straight.positions, atol=1e-12)


def test_settings_are_those_it_was_made_with(known: RhopotCalculator, tmp_path: Path) -> None:
    """ASE's `set` would keep a new model's name and run the old one; what ASE does itself still works."""
    calc = copy.deepcopy(copy.copy(known))
    for settings in ({"model": "other.pt"}, {"device": "cuda"}, {"skin": 0.1, "nonsense": 1}, {"parameters": "file"}):
        sentence = (
            f"must be given when it is made, got set\\({', '.join(settings)}\\); make a new one, RhopotCalculator"
        )
        with pytest.raises(ValueError, match=sentence):
            calc.set(**settings)
    with pytest.raises(AttributeError):
        calc.model = known.model
    assert calc.set() == {}
    assert calc.todict() == {"model": known.model.name}
    atoms = start()
    atoms.calc = calc
    energy = atoms.get_potential_energy()
    with connect(tmp_path / "results.db") as database:
        database.write(atoms)
    row = connect(tmp_path / "results.db").get(1)
    assert row.energy == pytest.approx(energy)
    assert row.calculator_parameters == {"model": known.model.name}
