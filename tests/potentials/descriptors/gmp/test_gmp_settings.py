"""Settings of GMP features: refused in words, frozen, complete, described."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from valence_models import SOFT

from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cutoff": -1.0}, "cutoff"),
        ({"max_order": 9}, "max_order"),
        ({"n_probes": 0}, "n_probes"),
        ({"harmonics": "spherical"}, "harmonics"),
        ({"regularization": 0.0}, "regularization"),
        ({"regularization_length": 1e-4}, "regularization_length"),
        (
            {"regularization": 10.0, "regularization_length": 0.1},
            r"regularization must be given without regularization_length or that without this, got 10.0 and 0.1 A",
        ),
        ({"regularization": None}, "got None and None A; set one of them to null"),
        ({"sigmas": [0.5]}, "sigmas"),
        ({"widths": ["wide"]}, "widths"),
        ({"cutoff": 4.0, "cutoff_width": 4.5}, r"cutoff_width must be at most the cutoff \(4 A\), got 4.5"),
        ({"widths": [0.5, 0.2]}, "widths must ascend from at least 0.01 A, got 0.5, 0.2; sort them"),
        ({"widths": [0.5, 0.5]}, "widths must ascend"),
        ({"widths": [0.001, 0.5]}, "widths must ascend from at least 0.01 A, got 0.001, 0.5"),
        ({"widths": [0.5, 7.0]}, "max_width"),
        ({"widths": [0.2, 0.5], "n_probes": 3}, "n_probes must be left out beside widths, got 3; widths say 2"),
        ({"widths": [0.2, 0.5], "max_width": 2.0}, "max_width must be left out beside widths, got 2.0; widths say 0.5"),
        ({"symbols": ("Si", "Qq")}, "symbols must be chemical elements, got Qq"),
        ({"symbols": ("Si", "Si")}, "symbols must differ from each other, got Si, Si"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        GmpSettings.model_validate(settings)


def test_probes_are_evenly_spaced_unless_written_out() -> None:
    np.testing.assert_allclose(GmpSettings().probe_widths, np.arange(1, 11) / 5)
    written = GmpSettings(widths=(0.02, 0.3, 1.5))
    assert written.probe_widths == (0.02, 0.3, 1.5)
    assert (written.n_probes, written.max_width) == (3, 1.5)


@pytest.mark.parametrize(
    "changes", [{}, {"widths": (0.3, 0.7)}, {"regularization_length": 0.2}, {"regularization": 0.1}]
)
def test_settings_are_frozen_and_survive_json(changes: dict[str, Any]) -> None:
    settings = GmpSettings(symbols=("Li", "Si"), cutoff=5.5, harmonics="solid", **changes)
    assert GmpSettings.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ValidationError, match="frozen"):
        settings.cutoff = 4.0  # type: ignore[misc]


def test_symbols_come_later() -> None:
    settings = GmpSettings(widths=(0.5, 1.0), max_order=2)
    with pytest.raises(ValueError, match="symbols must name at least one element, got none"):
        GmpFeatures(settings)
    assert GmpFeatures(settings.with_symbols(["Si"])).n_features == 2 * 3
    with pytest.raises(ValidationError, match="got Xx"):
        settings.with_symbols(["Xx"])


def test_densities_are_one_per_symbol() -> None:
    with pytest.raises(ValueError, match="densities must be one per symbol, got 1 for 2 symbols"):
        GmpFeatures(GmpSettings(symbols=("Li", "Si")), [SOFT])


def test_elements_without_a_density_are_refused() -> None:
    with pytest.raises(ValueError, match="must be an element from H to Rn, got 'U'"):
        GmpFeatures(GmpSettings(symbols=("U",)))


def test_description_says_what_was_chosen() -> None:
    text = "\n".join(GmpSettings(cutoff=7.0, cutoff_width=0.5, harmonics="solid", max_order=5).describe())
    for words in (
        "within 7 A",
        "10 Gaussian probes of widths 0.2 ... 2 A",
        "solid",
        "orders 0 ... 5: 60",
        "C2",
        "1e-06",
    ):
        assert words in text
    assert "displacements of 0.2 A" in "\n".join(GmpSettings(regularization_length=0.2).describe())
