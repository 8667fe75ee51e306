"""Settings of SOAP descriptors: refused in words, frozen, complete, described; couplings of species."""

import numpy as np
import pytest
from pydantic import ValidationError

from rhopot.potentials.descriptors.soap import RadialSpectrum, SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.coupling import checked_coupling, mixed_coupling


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cutoff": -1.0}, "cutoff"),
        ({"l_max": 13}, "l_max"),
        ({"n_max": 0}, "n_max"),
        ({"density_width": 0.0}, "density_width"),
        ({"radial_basis": "chebyshev"}, "radial_basis"),
        ({"sigma": 0.5}, "sigma"),
        ({"cutoff": 4.0, "cutoff_width": 4.5}, r"cutoff_width must be at most the cutoff \(4 A\), got 4.5"),
        ({"density_width": 0.01}, "density_width must be at least a hundredth .* use density: delta"),
        ({"symbols": ("Si", "Qq")}, "symbols must be chemical elements, got Qq"),
        ({"symbols": ("Si", "Si")}, "symbols must differ from each other, got Si, Si"),
        ({"scaling": {"rate": 0.0, "scale": 2.0, "exponent": 2}}, "rate"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SoapSettings.model_validate(settings)


def test_settings_are_frozen_and_survive_json() -> None:
    settings = SoapSettings(symbols=("Li", "Si"), cutoff=5.5, scaling={"rate": 1.0, "scale": 2.0, "exponent": 4})
    assert SoapSettings.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ValidationError, match="frozen"):
        settings.cutoff = 4.0  # type: ignore[misc]


def test_symbols_come_later() -> None:
    settings = SoapSettings(n_max=2, l_max=1)
    with pytest.raises(ValueError, match="symbols must name at least one element, got none"):
        SoapPowerSpectrum(settings)
    assert SoapPowerSpectrum(settings.with_symbols(["Si"])).n_features == 3 * 2
    with pytest.raises(ValidationError, match="got Xx"):
        settings.with_symbols(["Xx"])


@pytest.mark.parametrize(("mode", "n_density"), [("separate", 3 * 4), ("mixed", 2 * 4)])
def test_number_of_features(mode: str, n_density: int) -> None:
    settings = SoapSettings(symbols=("C", "H", "O"), n_max=4, l_max=2, species_mode=mode)
    assert SoapPowerSpectrum(settings).n_features == n_density * (n_density + 1) // 2 * 3
    assert RadialSpectrum(settings).n_features == n_density


def test_description_says_what_was_chosen() -> None:
    text = "\n".join(SoapSettings(cutoff_function="shifted_cosine", cutoff_width=0.5, radial_basis="dvr").describe())
    for words in ("C1 only", "DVR", "5 A", "separate"):
        assert words in text


def test_mixed_coupling_couples_species_alone() -> None:
    weights = np.array([[0.6, 0.8], [0.8, -0.6]])
    coupling = mixed_coupling(weights, 3, 1)
    assert coupling.shape == (2, 6, 2, 3)
    np.testing.assert_allclose(coupling[1, 3 + 2, 0], [0.0, 0.0, weights[1, 0]])


@pytest.mark.parametrize("shape", [(2, 3), (4, 3, 2), (3, 4, 2, 3), (0, 2, 3)])
def test_coupling_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"coupling must have shape \(L\+1, Q, A, N\) = \(2, Q, 2, 3\)"):
        checked_coupling(np.zeros(shape), 2, 3, 1)


def test_coupling_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="coupling must be finite"):
        checked_coupling(np.full((4, 2, 3), np.nan), 2, 3, 1)
