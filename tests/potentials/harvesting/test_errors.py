"""Predicted errors: those of the calculator, where radii are not known, and the deviation that an error stands for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_models
from ase import Atoms

from rhopot.export import RhopotCalculator
from rhopot.export.card import ForceRadii
from rhopot.potentials.fitting.force_radii import ForceRadius
from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.harvesting.errors import NORMAL, ErrorPredictor, deviation_of


def card(**radii: tuple[float, float]) -> SimpleNamespace:
    made = {name: ForceRadii(multiple=multiple, floor=floor) for name, (multiple, floor) in radii.items()}
    return SimpleNamespace(uncertainty=SimpleNamespace(force_radii=made))


@pytest.fixture
def atoms() -> Atoms:
    rng = np.random.default_rng(1)
    return Atoms(
        "Si8", positions=2.5 * np.indices((2, 2, 2)).reshape(3, -1).T + rng.normal(0, 0.1, (8, 3)), cell=3 * [5], pbc=1
    )


def test_without_radii_errors_are_those_of_normal_members(atoms: Atoms) -> None:
    model = small_models.linear()
    predict = ErrorPredictor(model)
    assert not predict.calibrated
    assert not predict.grades
    found = predict.of(Candidate(atoms, "run.xyz", 0))
    wanted = RhopotCalculator(model).get_property("forces_uncertainty", atoms)
    assert found.forces == pytest.approx(NORMAL * wanted)
    assert not found.unsupported.any()
    assert predict.of(Candidate(Atoms("Si"), "run.xyz", 0)) is found, "kept by its name"


def test_what_cannot_be_evaluated_is_named(atoms: Atoms) -> None:
    atoms.symbols[0] = "U"
    with pytest.raises(ValueError, match=r"^run.xyz, frame 3, around atom 2: .*U"):
        ErrorPredictor(small_models.linear()).of(Candidate(atoms, "run.xyz", 3, 2))


def test_normal_errors_stay_within_the_stated_radius() -> None:
    """The 90% quantile of the length of three normal numbers."""
    draws = np.linalg.norm(np.random.default_rng(1).normal(size=(100_000, 3)), axis=1)
    assert np.quantile(draws, 0.9) == pytest.approx(NORMAL, abs=0.02)


def test_deviation_and_error_are_inverse() -> None:
    """At the deviation, atoms of one element reach the error, those of the others are above it."""
    radii = {"Li": (2.0, 0.1), "Si": (4.0, 0.01)}
    sigma = deviation_of(card(**radii), 0.5)
    errors = [float(ForceRadius(*pair).of(np.array([sigma]))[0]) for pair in radii.values()]
    assert min(errors) == pytest.approx(0.5)
    assert max(errors) > 0.5
    assert deviation_of(card(), 0.5) == pytest.approx(0.5 / NORMAL)


def test_an_error_that_no_atom_is_below_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"must be above 0.2 eV/A, which the model predicts at least, got 0.1; raise it"
    ):
        deviation_of(card(Si=(2.0, 0.1)), 0.1)
