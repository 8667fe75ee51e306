"""The small trained models that tests of every family stand on: they load, and have learned something."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase.io import read

from rhopot.export import RhopotCalculator


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_forces_are_better_than_none(family: str, trained_model: Callable[[str], Path]) -> None:
    atoms = read(trained_models.DATA / "Li4Si28_0.xyz", index=2)
    known = atoms.arrays["REF_forces"]
    atoms.calc = RhopotCalculator(trained_model(family))

    left = np.sqrt(np.mean((atoms.get_forces() - known) ** 2))

    assert left < 0.8 * np.sqrt(np.mean(known**2))
