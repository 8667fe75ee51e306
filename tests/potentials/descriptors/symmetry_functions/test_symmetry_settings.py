"""Settings of the symmetry functions: the paper's sets, units of eta, and what is refused."""

import pytest
from pydantic import ValidationError

from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctions, SymmetryFunctionSettings

PAPER = [156, 96, 48, 132, 72, 72, 132, 72, 32, 120, 60, 48]  # Lei and Medford, SI, Table 2: printed, C, H and O
COUNTED = [156, 96, 48, 132, 72, 72, 132, 72, 36, 120, 60, 48]  # set 9: 3 x 4 + 6 x 1 x 2 x 2 = 36


@pytest.mark.parametrize(("number", "count"), list(enumerate(COUNTED, start=1)))
def test_named_sets_have_the_counts_of_the_paper(number: int, count: int) -> None:
    settings = SymmetryFunctionSettings(symbols=("C", "H", "O"), set=number)
    assert settings.n_features == SymmetryFunctions(settings).n_features == count


def test_only_one_printed_count_differs_from_its_own_grid() -> None:
    assert [n for n, (a, b) in enumerate(zip(PAPER, COUNTED, strict=True), start=1) if a != b] == [9]


def test_widths_of_the_sets_are_those_printed() -> None:
    fine = [0.05, 0.0965, 0.1864, 0.3598, 0.6947, 1.3413, 2.5897, 5.0]
    coarse = [0.05, 0.2321, 1.0772, 5.0]  # 0.05 * 100^(1/3) = 0.2321, printed as 0.2324
    for number, printed in ((1, fine), (7, coarse)):
        assert [round(eta, 4) for eta in SymmetryFunctionSettings(set=number).g2_etas] == printed
    assert SymmetryFunctionSettings(set=1).g4_etas == (0.001, 0.01, 0.03)
    assert SymmetryFunctionSettings(set=1).g2_shifts == (0.0, 1.5)


def test_eta_is_relative_to_the_cutoff_or_absolute() -> None:
    relative = SymmetryFunctionSettings(symbols=("Si",), g2_etas=(5.0,), cutoff=10.0)
    absolute = SymmetryFunctionSettings(symbols=("Si",), g2_etas=(0.05,), cutoff=10.0, eta_unit="1/A^2")
    assert float(SymmetryFunctions(relative).radial[0, 0]) == pytest.approx(0.05, rel=1e-15)
    assert float(SymmetryFunctions(absolute).radial[0, 0]) == 0.05


def test_settings_survive_a_round_trip_and_take_symbols() -> None:
    for settings in (
        SymmetryFunctionSettings(),
        SymmetryFunctionSettings(set=12),
        SymmetryFunctionSettings(g2_etas=(1.0, 2.0), cutoff_width=2.0),
    ):
        assert SymmetryFunctionSettings.model_validate_json(settings.model_dump_json()) == settings
        assert settings.with_symbols(["Li", "Si"]).symbols == ("Li", "Si")
        assert settings.with_symbols(["Li"]).n_radial == settings.n_radial


def test_without_grids_a_set_is_chosen_and_named() -> None:
    assert SymmetryFunctionSettings() == SymmetryFunctionSettings(set=3)
    assert "set 3 of Lei and Medford" in SymmetryFunctionSettings().describe()[0]


REFUSED = {
    "set": ({"set": 13}, "less than or equal to 12"),
    "both": ({"set": 1, "g2_etas": (1.0,)}, "g2_etas must be left out beside set: 1"),
    "unit": ({"set": 1, "eta_unit": "1/A^2"}, "eta_unit must be 1/cutoff.2 for a named set"),
    "empty": ({"g2_etas": ()}, "g2_etas or g4_etas must hold at least one width, got none"),
    "twice": ({"g2_etas": (1.0, 1.0)}, "g2_etas must be a list of different numbers"),
    "no_zeta": ({"g4_etas": (1.0,), "g4_zetas": ()}, "g4_zetas must be a list of different numbers"),
    "zeta": ({"g4_etas": (1.0,), "g4_zetas": (1.5,)}, "valid integer"),
    "sign": ({"g4_etas": (1.0,), "g4_signs": (2,)}, "Input should be -1 or 1"),
    "width": ({"cutoff": 4.0, "cutoff_width": 5.0}, r"cutoff_width must be at most the cutoff \(4 A\), got 5"),
    "symbols": ({"symbols": ("Li", "Q")}, "symbols must be chemical elements, got Q"),
    "key": ({"n_max": 3}, "Extra inputs are not permitted"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_settings_are_refused_with_a_sentence(case: str) -> None:
    settings, sentence = REFUSED[case]
    with pytest.raises(ValidationError, match=sentence):
        SymmetryFunctionSettings(**settings)
