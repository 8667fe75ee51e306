"""Settings and paths: counts, rules, refusals."""

from typing import Any

import pytest

from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletPath, WaveletScattering, all_paths

SYMBOLS = ("Li", "Si")


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1 + 5 * 4 * (1 + 15 + 9 * 19)),
        ({"scale_lag": 0.0}, 1 + 5 * 4 * (1 + 15 + 9 * 15)),
        ({"degree_rule": "greater"}, 1 + 5 * 4 * (1 + 15 + 3 * 19)),
        ({"scale_step": 0.5, "max_scale": 2.5, "scale_lag": 0.0}, 1 + 5 * 4 * (1 + 18 + 9 * 21)),
        ({"n": (1, 2, 3, 4, 5), "max_order": 1}, 1 + 5 * 4 * (1 + 15 * 5)),
        ({"max_order": 0, "channels": {"all": {"Li": 1.0, "Si": 1.0}}, "powers": (2.0,)}, 2),
    ],
)
def test_number_of_features(changes: dict[str, Any], count: int) -> None:
    settings = ScatteringSettings(symbols=SYMBOLS, **changes)
    paths = all_paths(settings)
    assert len(paths) == len(set(paths)) == WaveletScattering(settings).n_features == count


def test_default_count_is_the_published_one() -> None:
    assert len(all_paths(ScatteringSettings(symbols=SYMBOLS))) == 3741


def test_names_of_paths() -> None:
    assert WaveletPath(-1).name == "bias"
    assert WaveletPath(2, "ionic", 3, 0, 0.5, 3, 2, 1.0, 4 / 3).name == "ionic n3l0j0.5 n3l2j1 q1.333"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": (0,)}, "n must be different whole numbers"),
        ({"powers": (0.5,)}, "powers must be different numbers >= 1"),
        ({"scale_step": 0.3}, "scale_step must be 1 or 0.5"),
        ({"channels": {"a": {"O": 1.0}}}, "channels must weigh elements among symbols"),
        ({"channels": {}}, "channels must name at least one density"),
        ({"symbols": ("Li", "Li")}, "symbols must differ"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScatteringSettings(**{"symbols": SYMBOLS, **changes})


def test_foreign_paths_and_missing_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="paths must be allowed by the settings, got lithium n9l0j0 q2"):
        WaveletScattering(ScatteringSettings(symbols=SYMBOLS), [WaveletPath(1, "lithium", 9, 0, 0.0, q=2.0)])
    with pytest.raises(ValueError, match="symbols must name at least one element"):
        WaveletScattering(ScatteringSettings())


def test_description_states_counts_and_the_reach_into_images() -> None:
    text = "\n".join(ScatteringSettings(symbols=SYMBOLS).describe())
    assert "5 scales" in text
    assert "of its maximum" in text


def test_settings_survive_their_document() -> None:
    settings = ScatteringSettings(symbols=SYMBOLS, channels={"cation": {"Li": 1.0}})
    assert ScatteringSettings.model_validate_json(settings.model_dump_json()) == settings
