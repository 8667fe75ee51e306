"""The predicted error of forces of trained models: known in ASE, and of the size of the errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from trained_models import DATA, FAMILIES

from rhopot.export import RhopotCalculator, load_model
from rhopot.potentials.structures import read_frames

SEEN = ("Li16Si16_0", "Li4Si28_0", "Li12Si20_0", "Li8Si24_0")


@pytest.mark.parametrize("family", FAMILIES)
def test_nine_errors_of_ten_are_within_it(trained_model: Callable[[str], Path], family: str) -> None:
    """On the frames of the paths that the model was trained and calibrated on."""
    calc = RhopotCalculator(load_model(trained_model(family)))
    radii = calc.model.card.uncertainty.force_radii
    assert set(radii) == {"Li", "Si"}
    inside = []
    for name in SEEN:
        for frame in read_frames([str(DATA / f"{name}.xyz")])[::4]:
            radius, sigma = (calc.get_property(f"forces_{what}", frame.atoms) for what in ("error", "uncertainty"))
            expected = [
                radii[symbol].multiple * np.hypot(one, radii[symbol].floor)
                for symbol, one in zip(frame.atoms.symbols, sigma, strict=True)
            ]
            np.testing.assert_allclose(radius, expected, rtol=1e-12)
            error = np.linalg.norm(calc.get_property("forces", frame.atoms) - frame.forces, axis=1)
            inside.append(error <= radius)
    assert 0.8 < np.mean(np.concatenate(inside)) <= 1.0


@pytest.mark.parametrize("members", [0, 3])
def test_models_without_it_refuse_it(members: int) -> None:
    atoms, calc = toy.skewed(), RhopotCalculator(toy.in_memory(members=members))
    assert "forces_error" not in calc.implemented_properties
    sentence = {
        0: "^forces_error must be asked of a model with members, 'toy' has none; train it on data with energies",
        3: "^forces_error must be asked of a model whose force errors are calibrated, 'toy' has no "
        "uncertainty.force_radii; train it again with this version and forces in the validation set$",
    }[members]
    with pytest.raises(PropertyNotImplementedError, match=sentence):
        calc.get_property("forces_error", atoms)
