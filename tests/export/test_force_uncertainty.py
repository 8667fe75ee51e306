"""The predicted uncertainty of forces of trained models: of the size of the errors, and larger where data are far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trained_models import DATA, FAMILIES

from rhopot.export import evaluate, load_model
from rhopot.potentials.structures import read_frames

RATTLE = (0.05, 0.1, 0.2, 0.4, 0.8)  # A


@pytest.mark.parametrize("family", FAMILIES)
def test_on_training_structures_it_lies_near_the_force_error(trained_model: Callable[[str], Path], family: str) -> None:
    """Within a factor of three: the calibration is that of unseen structures of other compositions."""
    model = load_model(trained_model(family))
    assert set(model.card.uncertainty.force_factors) == {"Li", "Si"}
    errors, deviations = [], []
    for name in ("Li16Si16_0", "Li4Si28_0"):
        frame = read_frames([str(DATA / f"{name}.xyz")])[0]
        found = evaluate(model, [frame.atoms], deviations=True)[0]
        errors.append((found.forces - frame.forces).ravel())
        deviations.append(found.forces_uncertainty)
    ratio = np.sqrt(np.mean(np.concatenate(deviations) ** 2) / np.mean(np.concatenate(errors) ** 2))
    assert 1 / 3 < ratio < 3.0


@pytest.mark.parametrize("family", FAMILIES)
def test_it_rises_with_the_displacement_of_atoms(trained_model: Callable[[str], Path], family: str) -> None:
    model = load_model(trained_model(family))
    structures = []
    for rattle in RATTLE:
        structures.append(read_frames([str(DATA / "Li16Si16_0.xyz")])[0].atoms)
        structures[-1].rattle(rattle, seed=3)
    found = evaluate(model, structures, gradients=False, deviations=True)
    means = [one.forces_uncertainty.mean() for one in found]
    assert means == sorted(means)
    assert means[-1] > 1.5 * means[0]
