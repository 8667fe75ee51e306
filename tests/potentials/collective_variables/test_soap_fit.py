"""Projections of SOAP vectors: what they are linear in, and how they tell two sets of structures apart."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from collective_variables_at_hand import soap, values

from rhopot.potentials.collective_variables import SoapProjection
from rhopot.potentials.collective_variables.soap_fit import (
    Separation,
    average_spectrum,
    fit_projection,
    normal_overlap,
)
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.testing import structures

SMALL = SoapSettings.model_validate({"cutoff": 4.0, "n_max": 3, "l_max": 2})


def rattled(count: int, rattle: float, seed: int, swapped: bool) -> list[ase.Atoms]:
    """Crystals displaced at random; `swapped` has all its lithium atoms on one sublattice."""
    found = []
    for k in range(count):
        atoms = structures.crystal((1, 1, 1), seed=seed + k, rattle=rattle)
        if swapped:
            atoms.symbols[[2, 3]] = atoms.symbols[[3, 2]]
        found.append(atoms)
    return found


def test_a_projection_is_linear_in_the_average_spectrum() -> None:
    module, atoms = soap(), structures.skewed()
    mean = average_spectrum(SoapPowerSpectrum(module.descriptor.settings), atoms, ["Li", "Si"])
    expected = mean @ module.weights.reshape(-1, 2).numpy() - [0.1, 1.1]
    np.testing.assert_allclose(values(module, atoms), expected, rtol=1e-10)


def test_elements_that_are_left_out_do_not_count() -> None:
    settings = soap().descriptor.settings
    weights = torch.ones(2, SoapPowerSpectrum(settings).n_features, 1, dtype=torch.float64)
    module = SoapProjection(settings, weights, torch.zeros(1), ["s"], {"made": "by hand"}, of=["Si"])
    atoms = structures.crystal((1, 1, 1))
    expected = average_spectrum(SoapPowerSpectrum(settings), atoms, ["Si"]).sum()
    assert values(module, atoms)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("method", ["pca", "pcovr"])
@pytest.mark.parametrize("components", [1, 2])
def test_two_arrangements_of_atoms_are_told_apart(method: str, components: int) -> None:
    first, second = rattled(10, 0.05, 0, swapped=False), rattled(12, 0.05, 100, swapped=True)
    found = fit_projection(first, second, SMALL, method=method, n_components=components)
    assert found.separation[0].means == pytest.approx((0.0, 1.0), abs=1e-9)
    assert found.separation[0].overlap < 1e-3
    assert found.held_out[0].overlap < 1e-2
    assert found.held_out[0].means == pytest.approx((0.0, 1.0), abs=0.1)
    assert found.module.description.names == (("soap",) if components == 1 else ("soap1", "soap2"))
    for atoms, row in ((first[3], found.values[0][3]), (second[5], found.values[1][5])):
        np.testing.assert_allclose(values(found.module, atoms), row, rtol=1e-8, atol=1e-8)


def test_principal_covariates_find_a_difference_that_is_smaller_than_the_variance() -> None:
    """The volume varies in both sets alike, and more than what the swap changes."""
    sets = []
    for seed, swapped in ((0, False), (500, True)):
        rng, of_set = np.random.default_rng(seed), rattled(16, 0.02, seed, swapped)
        for atoms in of_set:
            atoms.set_cell(atoms.cell * (1.0 + 0.06 * rng.standard_normal()), scale_atoms=True)
        sets.append(of_set)
    overlap = {
        method: fit_projection(*sets, SMALL, method=method, mixing=0.1).held_out[0].overlap
        for method in ("pca", "pcovr")
    }
    assert overlap["pca"] > 0.3
    assert overlap["pcovr"] < 0.05


def test_sets_of_the_same_kind_are_not_told_apart() -> None:
    """A fit that remembered its structures would separate those it was fitted to."""
    found = fit_projection(rattled(24, 0.1, 0, False), rattled(24, 0.1, 50, False), SMALL)
    assert found.held_out[0].overlap > 0.3


@pytest.mark.parametrize("swap", [False, True])
def test_overlap_of_normal_distributions_by_quadrature(swap: bool) -> None:
    x = np.linspace(-60.0, 60.0, 400001)
    for mean, deviation in ((1.0, 2.0), (4.0, 1.0), (0.3, 1.0 + 1e-9), (0.0, 3.0)):
        densities = [np.exp(-0.5 * ((x - m) / s) ** 2) / s for m, s in ((0.0, 1.0), (mean, deviation))]
        expected = np.minimum(*densities).sum() * (x[1] - x[0]) / np.sqrt(2 * np.pi)
        words = ((mean, 0.0), (deviation, 1.0)) if swap else ((0.0, mean), (1.0, deviation))
        assert normal_overlap(*words) == pytest.approx(expected, abs=1e-6)
    assert Separation.of(np.zeros(3), np.ones(2)).overlap == pytest.approx(0.0, abs=1e-12)
    assert Separation.of(np.ones(3), np.ones(2)).overlap == 1.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"mixing": 2.0}, "mixing must lie between 0 and 1, got 2"),
        ({"n_components": 4}, "n_components must be from 1 to 3, got 4"),
        ({"of": ["O"]}, "structures must have atoms of O"),
    ],
)
def test_what_is_refused(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit_projection(rattled(2, 0.1, 0, False), rattled(2, 0.1, 9, True), SMALL, **words)


def test_sets_that_cannot_be_fitted_are_refused() -> None:
    same = [structures.crystal((1, 1, 1))] * 3
    with pytest.raises(ValueError, match="structures must differ in at least 1 directions, got 0"):
        fit_projection(same, same, SMALL)
    with pytest.raises(ValueError, match="sets must hold at least 2 structures each, got 3 and 1"):
        fit_projection(same, same[:1], SMALL)
