"""Hills: their sum against the formula written out, units, kernels, walkers, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import ase.units
import numpy as np
import pytest

from rhopot.potentials.free_energy.grid import Variable, make_grid
from rhopot.potentials.free_energy.hills import UNITS, Hills, merge_hills, plumed_hills, sum_at_points, sum_on_grid
from rhopot.potentials.plumed_files import PlumedTable, read_table, write_table

ANGLE = Variable("phi", "radian", (-math.pi, math.pi))
OPEN = Variable("d", "A")
RNG = np.random.default_rng(4)


def some(variables: list[Variable], count: int = 40, stretched: bool = False) -> Hills:
    size = (count, len(variables))
    return Hills(
        tuple(variables),
        np.arange(1.0, count + 1.0),
        RNG.uniform(-3.0, 3.0, size),
        RNG.uniform(0.2, 0.6, size),
        RNG.uniform(0.1, 1.0, count),
        5.0,
        stretched=stretched,
    )


def written_out(hills: Hills, point: np.ndarray, amounts: np.ndarray) -> float:
    """The sum as the equation has it, images of periodic variables one by one."""
    total = 0.0
    for center, sigma, amount in zip(hills.centers, hills.sigmas, amounts, strict=True):
        square = 0.0
        for k, variable in enumerate(hills.variables):
            period = variable.limits[1] - variable.limits[0] if variable.limits else 0.0
            away = min(abs(point[k] - center[k] + image * period) for image in (-2, -1, 0, 1, 2))
            square += 0.5 * (away / sigma[k]) ** 2
        kernel = math.exp(-square)
        if hills.stretched:
            edge = math.exp(-6.25)
            kernel = (kernel - edge) / (1.0 - edge) if square < 6.25 else 0.0
        total += amount * kernel
    return total


@pytest.mark.parametrize("stretched", [False, True])
@pytest.mark.parametrize("variables", [[OPEN], [ANGLE], [OPEN, ANGLE], [ANGLE, OPEN, Variable("n")]])
def test_sums_are_the_formula(variables: list[Variable], stretched: bool) -> None:
    hills = some(variables, stretched=stretched)
    ends = [variable.limits or (-3.0, 3.0) for variable in variables]
    grid = make_grid(variables, [low for low, _ in ends], [high for _, high in ends], [7, 6, 5][: len(variables)])
    expected = np.array([written_out(hills, node, hills.heights) for node in grid.nodes]).reshape(grid.shape)
    np.testing.assert_allclose(sum_on_grid(hills, grid, hills.heights), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        sum_at_points(hills, grid.nodes, hills.heights), expected.ravel(), rtol=1e-12, atol=1e-14
    )


def test_chunks_do_not_change_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    hills = some([OPEN, ANGLE])
    grid = make_grid(hills.variables, [-3.0, -math.pi], [3.0, math.pi], [9, 8])
    whole = sum_on_grid(hills, grid, hills.heights), sum_at_points(hills, grid.nodes, hills.heights)
    monkeypatch.setattr("rhopot.potentials.free_energy.hills.CHUNK", 50)
    np.testing.assert_allclose(sum_on_grid(hills, grid, hills.heights), whole[0], rtol=1e-13)
    np.testing.assert_allclose(sum_at_points(hills, grid.nodes, hills.heights), whole[1], rtol=1e-13)


def test_only_earlier_hills_count() -> None:
    hills = some([OPEN])
    points = RNG.uniform(-3.0, 3.0, (10, 1))
    before = RNG.integers(0, 41, 10)
    found = sum_at_points(hills, points, hills.weights, before)
    for point, count, value in zip(points, before, found, strict=True):
        part = hills.part(slice(0, count))
        assert value == pytest.approx(written_out(part, point, part.weights), abs=1e-13)


def hills_file(path: Path, biasfactor: float = 6.0, **constants: str) -> Path:
    fields = ("time", "d", "phi", "sigma_d", "sigma_phi", "height", "biasf")
    values = np.array([[1.0, 0.3, 3.0, 0.02, 0.3, 1.2, biasfactor], [2.0, 0.31, -3.0, 0.02, 0.3, 1.1, biasfactor]])
    head = {"multivariate": "false", "kerneltype": "gaussian", "min_phi": "-pi", "max_phi": "pi"} | constants
    write_table(path, fields, values, head)
    return path


def test_units_of_a_file(tmp_path: Path) -> None:
    """rhopot's nm become A, kJ/mol become eV; the bias is (g - 1) / g of the heights."""
    hills = plumed_hills(read_table(hills_file(tmp_path / "HILLS", rhopot_unit_d="A")))
    assert hills.variables == (OPEN, ANGLE)
    np.testing.assert_allclose(hills.centers, [[3.0, 3.0], [3.1, -3.0]])
    np.testing.assert_allclose(hills.sigmas, [[0.2, 0.3], [0.2, 0.3]])
    kilojoule = ase.units.kJ / ase.units.mol
    np.testing.assert_allclose(hills.heights, np.array([1.2, 1.1]) * kilojoule)
    np.testing.assert_allclose(hills.weights, np.array([1.2, 1.1]) * kilojoule * 5.0 / 6.0)
    plain = plumed_hills(read_table(hills_file(tmp_path / "HILLS", -1.0)), UNITS["metal"])
    assert plain.variables[0] == Variable("d")
    assert not plain.tempered
    np.testing.assert_allclose(plain.weights, [1.2, 1.1])


def test_walkers_in_the_order_of_time() -> None:
    a, b = some([OPEN], 3), some([OPEN], 2)
    both = merge_hills([a, b])
    np.testing.assert_array_equal(both.times, [1, 1, 2, 2, 3])
    assert both.walkers is not None
    np.testing.assert_array_equal(both.walkers, [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(both.centers[both.walkers == 1], b.centers)
    with pytest.raises(ValueError, match="hills of several walkers must have the same variables and bias factor"):
        merge_hills([a, some([ANGLE])])
    same = [replace(a, identity="1a"), replace(b, identity="")]
    assert merge_hills(same).identity == "1a"
    with pytest.raises(ValueError, match="of one collective-variable file, got rhopot_cv 1a and 2b"):
        merge_hills([same[0], replace(b, identity="2b")])
    with pytest.raises(ValueError, match="walkers must be one or more"):
        merge_hills([])


def test_what_cannot_be_summed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hills in .* must be products of Gaussians"):
        plumed_hills(read_table(hills_file(tmp_path / "HILLS", multivariate="true")))
    colvar = PlumedTable(("time", "d"), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="must be a HILLS file with columns NAME, sigma_NAME and height"):
        plumed_hills(colvar)
    table = read_table(hills_file(tmp_path / "HILLS"))
    for column, value, sentence in (
        (6, 7.0, "bias factors"),
        (3, 0.0, "sigmas of hills"),
        (1, np.nan, "must be finite"),
        (5, -0.1, "heights of hills in .* must not be negative, got"),
    ):
        values = table.values.copy()
        values[1, column] = value
        with pytest.raises(ValueError, match=sentence):
            plumed_hills(PlumedTable(table.fields, values, table.constants))
