"""Weights from columns: which bias is that of the hills, walls, moving restraints, units, frames left out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rhopot.potentials.free_energy.biased_frames import ColvarFile, bias_columns, weigh
from rhopot.potentials.free_energy.grid import Variable, default_grid
from rhopot.potentials.free_energy.hills import UNITS, Hills, merge_hills, sum_at_points
from rhopot.potentials.free_energy.reweighting import tiwary_parrinello, weights_of_final
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, PlumedTable

THERMAL = 0.025
RNG = np.random.default_rng(6)
HILLS = Hills(
    (Variable("s"),),
    np.arange(1.0, 41.0),
    RNG.uniform(-1.0, 1.0, (40, 1)),
    np.full((40, 1), 0.3),
    np.full(40, 0.01),
    5.0,
)
GRID = default_grid(HILLS.variables, HILLS.centers, HILLS.spacing)
TIMES = np.arange(0.0, 40.0, 0.5)
S = RNG.uniform(-1.0, 1.0, len(TIMES))
BEFORE = np.searchsorted(HILLS.times, TIMES, side="left")
BIAS = sum_at_points(HILLS, S[:, None], HILLS.weights, BEFORE)


def file(units: str = "metal", **columns: np.ndarray) -> ColvarFile:
    values = {"time": TIMES, "s": S, **columns}
    return ColvarFile(PlumedTable(tuple(values), np.stack(list(values.values()), axis=1)), UNITS[units], {})


def in_time() -> np.ndarray:
    return (BIAS - np.interp(BEFORE, *tiwary_parrinello(HILLS, GRID, THERMAL))) / THERMAL


@pytest.mark.parametrize("name", ["metad.bias", "my.bias", "E_mtd"])
def test_the_column_of_the_hills_is_found_by_its_values(name: str) -> None:
    other = RNG.uniform(0.0, 0.02, len(TIMES))
    noisy = BIAS + 0.02 * BIAS.std()
    found = weigh([file(**{"other.bias": other, name: noisy})], ["s"], THERMAL, hills=HILLS, grid=GRID)
    expected = in_time() + (0.02 * BIAS.std() + other) / THERMAL
    np.testing.assert_allclose(found.frames.log_weights, expected, atol=1e-9)
    assert found.weights == "exp(V / kT), V: V(s, t) - c(t) of the hills + V of other.bias"


def test_a_column_that_the_hills_do_not_give_stops() -> None:
    """Half of the hills are missing, or those of another run stand beside them; a bias that was named is undone."""
    files = [file(**{"metad.bias": BIAS})]
    for hills in (HILLS.part(slice(0, None, 2)), merge_hills([HILLS, replace(HILLS, times=HILLS.times + 0.1)])):
        with pytest.raises(
            ValueError, match=r"column metad\.bias in 'table' must agree with the sum of the hills, got"
        ):
            weigh(files, ["s"], THERMAL, hills=hills, grid=GRID)
        named = weigh(files, ["s"], THERMAL, hills=hills, grid=GRID, biases=["metad.bias"])
        assert named.weights.endswith("of the hills + V of metad.bias")
    few = [file(**{"m.bias": BIAS}), file(**{"m.bias": 1.1 * BIAS})]  # the second walker's bias had more hills
    with pytest.raises(ValueError, match=r"column m\.bias in 'table' must agree with the sum of the hills"):
        weigh(few, ["s"], THERMAL, hills=HILLS, grid=GRID)
    later = replace(HILLS, times=HILLS.times + 100.0)  # no hill yet, no bias: they agree
    found = weigh([file(**{"metad.bias": 0.0 * BIAS})], ["s"], THERMAL, hills=later, grid=GRID)
    assert found.weights.endswith("of the hills")
    both = [file(**{"metad.bias": 2.0 * BIAS, "other.bias": BIAS})]
    with pytest.raises(ValueError, match=r"column metad\.bias"):
        weigh(both, ["s"], THERMAL, hills=HILLS, grid=GRID)


def test_without_a_column_the_hills_give_the_bias() -> None:
    found = weigh([file()], ["s"], THERMAL, hills=HILLS, grid=GRID)
    np.testing.assert_allclose(found.frames.log_weights, in_time(), atol=1e-9)


def test_the_final_bias() -> None:
    found = weigh([file(**{"metad.bias": BIAS})], ["s"], THERMAL, hills=HILLS, grid=GRID, weights="final")
    np.testing.assert_allclose(found.frames.log_weights, weights_of_final(HILLS, THERMAL, S[:, None]), atol=1e-9)
    assert "V(s, t_end) of the hills" in found.weights


def test_columns_as_they_are() -> None:
    """kJ/mol become eV; `bias` needs no hills and ignores them."""
    column = RNG.uniform(0.0, 5.0, len(TIMES))
    for hills in (None, HILLS):
        found = weigh([file("plumed", **{"opes.bias": column})], ["s"], THERMAL, hills=hills, grid=GRID, weights="bias")
        np.testing.assert_allclose(found.frames.log_weights, column * EV_PER_KJ_PER_MOL / THERMAL)
    assert found.weights == "exp(V / kT), V: opes.bias"
    none = weigh([file("plumed", **{"opes.bias": column})], ["s"], THERMAL, biases=[])
    np.testing.assert_array_equal(none.frames.log_weights, 0.0)
    assert none.weights == "equal weights"


def test_walls_belong_to_the_system() -> None:
    wall = RNG.uniform(0.0, 1.0, len(TIMES))
    columns = {"opes.bias": np.zeros(len(TIMES)), "walls.bias": wall}
    found = weigh([file(**columns)], ["s"], THERMAL)
    np.testing.assert_array_equal(found.frames.log_weights, 0.0)
    assert found.notes == ("walls (walls.bias) belong to the system and are not undone; --bias undoes what it names",)
    named = weigh([file(**columns)], ["s"], THERMAL, biases=["walls.bias"])
    np.testing.assert_allclose(named.frames.log_weights, wall / THERMAL)


def test_moving_restraints_are_noted() -> None:
    found = weigh([file(**{"moving.bias": np.linspace(0.0, 1.0, len(TIMES))})], ["s"], THERMAL)
    assert "a moving restraint acts in these frames" in found.notes[0]


def test_walkers_one_after_the_other_and_the_start_left_out() -> None:
    two = [file(**{"x.bias": np.zeros(len(TIMES))}) for _ in range(2)]
    found = weigh(two, ["s"], THERMAL, skip=0.25)
    late = TIMES[0.25 * TIMES[-1] <= TIMES]
    np.testing.assert_array_equal(found.frames.times, np.concatenate([late, late]))


def test_frames_that_are_not_finite_are_left_out() -> None:
    column = np.zeros(len(TIMES))
    column[3] = math.nan
    found = weigh([file(**{"x.bias": column})], ["s"], THERMAL)
    assert len(found.frames) == len(TIMES) - 1
    assert found.notes == ("'table': 1 rows without finite numbers were dropped",)
    assert weigh([file(**{"x.bias": column})], ["s"], THERMAL, skip=0.5).notes == ()
    with pytest.raises(ValueError, match="frames must be left after those skipped, got none"):
        weigh([file(**{"x.bias": column + math.nan})], ["s"], THERMAL)


def marked(constants: dict[str, str], shift: float = 0.0) -> ColvarFile:
    table = PlumedTable(("time", "s"), np.stack([TIMES + shift, S], axis=1), constants)
    return ColvarFile(table, UNITS["plumed"], {})


def test_files_beside_the_hills() -> None:
    """Of another variable, unit or period: refused; the period comes from the hills; times are compared."""
    phi = replace(HILLS, variables=(Variable("s", "radian", (-math.pi, math.pi)),), identity="1a")
    grid = default_grid(phi.variables, phi.centers, phi.spacing)
    found = weigh([marked({"rhopot_cv": "1a"})], ["s"], THERMAL, hills=phi, grid=grid)
    assert found.frames.variables == phi.variables
    assert found.notes == ("'table' does not say that s is periodic: the period is that of the hills",)
    for constants, sentence in (
        ({"rhopot_cv": "2b"}, "must be of the collective-variable file of the hills, rhopot_cv 1a, got 2b"),
        ({"rhopot_unit_s": "A"}, "unit of s must be the same in 'table' and in the hills, got A and radian"),
        ({"min_s": "-180", "max_s": "180"}, "s must have the same period in 'table' and in the hills"),
    ):
        with pytest.raises(ValueError, match=sentence):
            weigh([marked(constants)], ["s"], THERMAL, hills=phi, grid=grid)
    late = weigh([marked({}, 100.0)], ["s"], THERMAL, hills=HILLS, grid=GRID)
    assert late.notes == ("all frames are later than the last hill: are they of the same run?",)
    early = weigh([marked({}, -100.0)], ["s"], THERMAL, hills=HILLS, grid=GRID)
    assert early.notes == ("all frames are earlier than the first hill: are they of the same run?",)


def test_variables_of_columns() -> None:
    table = PlumedTable(
        ("time", "d", "phi", "n"), np.ones((2, 4)), {"rhopot_unit_d": "A", "min_phi": "-pi", "max_phi": "pi"}
    )
    found = ColvarFile(table, UNITS["plumed"], {"n": (0.0, 9.0)})
    assert found.variable("d") == Variable("d", "A")
    assert found.variable("phi") == Variable("phi", "radian", (-math.pi, math.pi))
    assert found.variable("n") == Variable("n", "", (0.0, 9.0))
    np.testing.assert_array_equal(found.values(["d", "n"]), [[10.0, 1.0]] * 2)


def test_what_is_missing_is_said() -> None:
    assert bias_columns(PlumedTable(("time", "a.bias", "E_b", "c"), np.zeros((1, 4)))) == ["a.bias", "E_b"]
    with pytest.raises(ValueError, match=r"must have a column of a bias \(NAME\.bias or E_NAME\), got columns time, s"):
        weigh([file()], ["s"], THERMAL)
    with pytest.raises(ValueError, match="column must be one of time, s in 'table', got 'd'"):
        weigh([file()], ["d"], THERMAL, biases=[])
    with pytest.raises(ValueError, match="weights must be one of time, final, bias, got 'c'"):
        weigh([file()], ["s"], THERMAL, weights="c")
    with pytest.raises(ValueError, match="skip must be a fraction from 0 to below 1, got 1"):
        weigh([file()], ["s"], THERMAL, skip=1.0)
