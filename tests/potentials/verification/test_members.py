"""Force errors of training structures lie within the predicted ones, unless these are too small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.export import RhopotCalculator, load_model
from rhopot.potentials.runs.stability import training_structures
from rhopot.potentials.verification.members import check_members


class Predicts(Calculator):
    """Forces of zero, and one predicted error for all atoms."""

    implemented_properties = ["energy", "forces", "forces_error"]  # noqa: RUF012

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"forces": np.zeros((len(atoms), 3)), "forces_error": np.full(len(atoms), self.error)}


def labelled() -> Atoms:
    """Eight atoms with forces of 0.1, 0.2, ... 0.8 eV/A."""
    atoms = bulk("Si", cubic=True)
    forces = np.zeros((8, 3))
    forces[:, 1] = 0.1 * np.arange(1, 9)
    atoms.calc = SinglePointCalculator(atoms, forces=forces)
    return atoms


@pytest.mark.parametrize(("error", "share"), [(0.9, 0.0), (0.35, 5 / 8), (0.01, 1.0)])
def test_share_of_errors_beyond_the_predicted(error: float, share: float) -> None:
    (found,) = check_members([labelled(), bulk("Si")], Predicts(error))
    assert found.value == pytest.approx(share)
    assert found.name == "force errors beyond the predicted, 8 atoms"
    assert found.passed == (share <= 0.5)


def test_structures_without_forces_say_nothing() -> None:
    assert check_members([bulk("Si")], Predicts(0.1)) == []


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_models_describe_their_training_structures(family: str, trained_model: Callable[[str], Path]) -> None:
    model = load_model(trained_model(family))
    structures = training_structures(model.card)
    assert all(atoms.calc is not None for atoms in structures)
    (found,) = check_members(structures, RhopotCalculator(model))
    assert found.passed
