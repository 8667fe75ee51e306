"""Pseudo-species: likeness of radii, the variance that learned ones keep, and what they do to features."""

import ase.io
import numpy as np
import pytest
import torch
from ase.data import atomic_numbers, covalent_radii
from pydantic import ValidationError

from rhopot.potentials import operators
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, learn_basis, residual_variances
from rhopot.potentials.descriptors.soap.primitive_density import primitive_table
from rhopot.potentials.descriptors.soap.pseudo_species import weights_by_radii, weights_by_variance
from rhopot.testing import structures
from rhopot.testing.spectrum import arguments

operators.load()
SYMBOLS = ("Li", "Si", "O")


def ternary(seed: int) -> ase.Atoms:
    """A rattled cell of three elements, few of them oxygen."""
    atoms = structures.skewed()
    random = np.random.default_rng(seed)
    atoms.set_chemical_symbols(random.choice(SYMBOLS, len(atoms), p=(0.45, 0.45, 0.1)))
    atoms[0].symbol, atoms[1].symbol, atoms[2].symbol = SYMBOLS
    atoms.rattle(0.1, seed=seed)
    return atoms


FRAMES = [ternary(seed) for seed in range(4)]


def settings(**changes: object) -> SoapSettings:
    given = {"cutoff": 4.5, "n_max": 4, "l_max": 2, "density_width": 0.5, "symbols": SYMBOLS, **changes}
    return SoapSettings.model_validate(given)


def learned(n_pseudo: int) -> SoapSettings:
    return learn_basis(settings(species_mode="mixed", pseudo_species="learned", n_pseudo=n_pseudo), FRAMES)


def test_elements_of_like_radius_are_put_together() -> None:
    weights = weights_by_radii(["H", "C", "N", "Cs"], 2)
    assert weights.shape == (2, 4)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), 1.0)
    likeness = weights.T @ weights
    assert likeness[1, 2] > 0.99
    assert likeness[1, 3] < 0.5
    assert weights_by_radii(["Si"], 3).shape == (1, 1)


def test_all_pseudo_species_together_are_the_likeness_of_radii() -> None:
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in SYMBOLS])
    likeness = np.exp(-0.5 * ((radii[:, None] - radii) / 0.3) ** 2)
    weights = weights_by_radii(SYMBOLS, 3)
    np.testing.assert_allclose(weights.T @ weights, likeness, atol=1e-12)


def kept(weights: np.ndarray) -> float:
    """Variance of the density that weights (B, A) keep, by its definition."""
    values = density_covariance(settings(), FRAMES).values
    blocks = values.reshape(len(values), 3, 4, 3, 4)
    return float(np.einsum("ba,lancn,bc->", weights, blocks, weights))


@pytest.mark.parametrize("n_pseudo", [1, 2])
def test_learned_pseudo_species_keep_the_most_variance_and_the_mixed_optimal_basis_more(n_pseudo: int) -> None:
    covariance = density_covariance(settings(), FRAMES)
    weights = weights_by_variance(covariance.values, 3, n_pseudo)
    np.testing.assert_allclose(weights @ weights.T, np.eye(n_pseudo), atol=1e-12)
    random = np.random.default_rng(n_pseudo)
    for _ in range(20):
        others = np.linalg.qr(random.normal(size=(3, n_pseudo)))[0].T
        assert kept(others) < kept(weights)
    total = float(np.einsum("lii->", covariance.values))
    mixed = residual_variances(covariance, mixed=True)[4 * n_pseudo - 1]
    assert mixed < 1.0 - kept(weights) / total < 0.9


def test_all_learned_pseudo_species_turn_the_elements() -> None:
    """W is orthogonal for B = A: dot products of power spectra are those of separate elements."""
    turned, separate = SoapPowerSpectrum(learned(3)), SoapPowerSpectrum(settings())
    inputs = arguments(FRAMES[0], SYMBOLS, 4.5)
    one, other = turned(inputs), separate(inputs)
    torch.testing.assert_close(one @ one.t(), other @ other.t(), rtol=1e-8, atol=1e-12)


def test_densities_are_sums_of_those_of_the_elements() -> None:
    chosen = learned(2)
    inputs = arguments(FRAMES[1], SYMBOLS, 4.5)
    each = torch.ops.rhopot.density_expansion_v1(*inputs, *primitive_table(settings(), 2))
    expected = torch.einsum(
        "ba,ckan->ckbn", torch.tensor(chosen.pseudo_weights, dtype=torch.float64), each.reshape(*each.shape[:2], 3, 4)
    )
    found = torch.ops.rhopot.density_expansion_v1(*inputs, *SoapPowerSpectrum(chosen).table())
    torch.testing.assert_close(found, expected.flatten(2), rtol=1e-8, atol=1e-9)


def test_learned_settings_make_the_same_descriptor_without_data() -> None:
    chosen = learned(2)
    again = SoapSettings.model_validate_json(chosen.model_dump_json())
    assert learn_basis(again, ()) is again
    one, other = SoapPowerSpectrum(chosen).state_dict(), SoapPowerSpectrum(again).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert "learned pseudo-species +" in "\n".join(chosen.describe())


def test_what_does_not_go_together_is_refused() -> None:
    for changes, found in (
        ({"species_mode": "separate"}, "species_mode: separate"),
        ({"species_mode": "mixed", "optimal_basis": {"q_max": 3}}, "an optimal basis"),
    ):
        with pytest.raises(ValidationError, match=f"pseudo_species must be radii .* got learned with {found}; write"):
            settings(pseudo_species="learned", **changes)
    with pytest.raises(ValueError, match="pseudo_species must be learned from data first, got no weights"):
        SoapPowerSpectrum(settings(species_mode="mixed", pseudo_species="learned"))
