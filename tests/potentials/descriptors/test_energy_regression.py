"""Energies attributed to atoms by a linear model."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.potentials.descriptors.energy_regression import energy_weights, formation_energies, labelled

RANDOM = np.random.default_rng(5)


def structure(n_li: int, n_si: int, energy: float | None) -> ase.Atoms:
    atoms = ase.Atoms(f"Li{n_li}Si{n_si}", positions=RANDOM.uniform(0, 9, (n_li + n_si, 3)))
    if energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def test_energies_of_elements_are_taken_off() -> None:
    """Closed form: -2 eV per Li, -5 eV per Si and an excess that no composition explains."""
    excess = np.array([0.3, -0.3, 0.3, -0.3])
    frames = [structure(2, 4, -24.0 + 6 * e) for e in excess] + [structure(1, 1, -7.0)]
    np.testing.assert_allclose(formation_energies(frames, ("Li", "Si")), [*excess, 0.0], atol=1e-10)
    assert labelled([structure(1, 1, None), frames[0]]) == [frames[0]]


def test_a_linear_energy_is_found_again() -> None:
    """Closed form, for features of any size."""
    weights = RANDOM.normal(size=5)
    for scale in (1e-5, 1.0, 1e5):
        means = scale * RANDOM.normal(size=(40, 5))
        np.testing.assert_allclose(energy_weights(means, means @ weights), weights, rtol=1e-5)


def test_noise_is_not_learned() -> None:
    """More features than structures, energies at random: the cross-validated model predicts nearly nothing."""
    means, energies = RANDOM.normal(size=(30, 60)), RANDOM.normal(size=30)
    others = RANDOM.normal(size=(500, 60)) @ energy_weights(means, energies)
    assert np.sqrt((others**2).mean()) < 0.7
    with pytest.raises(ValueError, match="structures with energies must be at least 4 for a supervised choice, got 3"):
        energy_weights(means[:3], energies[:3])
