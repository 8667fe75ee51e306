"""Bias of metadynamics: closed forms, finite differences, the grid against the sum over hills, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import ase.units
import numpy as np
import pytest

from rhopot.export.metadynamics_bias import Bias, ExplicitHills, Grid, Hills
from rhopot.export.metadynamics_settings import Axis, BiasSettings, Moving, Wall

TWO_PI = 2.0 * math.pi
NAMES, PERIODS = ("d", "phi", "q"), (None, TWO_PI, None)
AXES = (Axis(-1.0, 4.0, 40), Axis(-math.pi, math.pi, 50), Axis(-2.0, 2.0, 32))

WALLS = (Wall("d", 2.0, 1.5, upper=True),)


def hills(n: int, count: int = 12, seed: int = 0) -> Hills:
    generator = np.random.default_rng(seed)
    low, high = np.array([0.0, -math.pi, -1.0])[:n], np.array([3.0, math.pi, 1.0])[:n]
    centers = generator.uniform(low, high, size=(count, n))
    return Hills(centers, generator.uniform(0.3, 0.5, size=(count, n)), generator.uniform(0.01, 0.1, size=count))


def points(n: int, count: int = 40, seed: int = 1) -> np.ndarray:
    low, high = np.array([-0.9, -4.0, -1.9])[:n], np.array([3.9, 4.0, 1.9])[:n]
    return np.random.default_rng(seed).uniform(low, high, size=(count, n))


def settings(n: int, **changed: object) -> BiasSettings:
    given: dict[str, object] = {"height": 0.05, "sigma": (0.4,) * n, "pace": 10}
    return BiasSettings(**{**given, **changed})  # type: ignore[arg-type]


def differences(bias: Bias, s: np.ndarray, step: int, h: float = 1e-4) -> np.ndarray:
    """dV/ds by central differences of fourth order."""
    found = []
    for k in range(len(s)):
        e = h * np.eye(len(s))[k]
        v = [bias.evaluate(s + j * e, step).total for j in (-2, -1, 1, 2)]
        found.append((v[0] - 8.0 * v[1] + 8.0 * v[2] - v[3]) / (12.0 * h))
    return np.array(found)


def test_one_hill_in_closed_form() -> None:
    bias = Bias(settings(2), NAMES[:2], PERIODS[:2])
    bias.add(Hills(np.array([[1.0, 3.0]]), np.array([[0.4, 0.2]]), np.array([0.07])))
    s = np.array([1.3, -3.1])
    apart = -3.1 - 3.0 + TWO_PI
    expected = 0.07 * math.exp(-0.5 * (0.3 / 0.4) ** 2 - 0.5 * (apart / 0.2) ** 2)
    found = bias.evaluate(s, 0)
    assert found.total == pytest.approx(expected, rel=1e-13)
    assert found.gradient == pytest.approx([-expected * 0.3 / 0.16, -expected * apart / 0.04], rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("on_grid", [False, True])
def test_gradient_against_finite_differences(n: int, on_grid: bool) -> None:
    walls = (Wall("d", 2.0, 1.5, upper=True), Wall("d", 0.5, 0.7, upper=False))
    moving = (Moving("d", 0.0, 2.0, 0.8, 10, 30), *([Moving("phi", 3.0, 4.0, 0.3, 0, 40)] if n > 1 else []))
    bias = Bias(settings(n, walls=walls, moving=moving, grid=AXES[:n] if on_grid else ()), NAMES[:n], PERIODS[:n])
    bias.add(hills(n))
    for s in points(n, 8):
        found = bias.evaluate(s, 17)
        assert found.gradient == pytest.approx(differences(bias, s, 17), abs=2e-9)
        assert found.total == found.hills + found.walls + found.moving


@pytest.mark.parametrize("n", [1, 2, 3])
def test_nodes_of_the_grid_are_exact(n: int) -> None:
    grid, explicit = Grid(NAMES, AXES[:n], PERIODS[:n]), ExplicitHills(PERIODS[:n])
    grid.add(hills(n))
    explicit.add(hills(n))
    s = np.array([nodes[index] for nodes, index in zip(grid.nodes, (40, 49, 7), strict=False)])
    for image in (s, *([s + [0.0, TWO_PI, 0.0][:n]] if n > 1 else [])):
        value, gradient = grid.evaluate(image)
        expected, derivative = explicit.evaluate(s)
        assert value == pytest.approx(expected, abs=1e-14)
        assert gradient == pytest.approx(derivative, abs=1e-13)


def rms(differences: list) -> float:
    return float(np.sqrt(np.mean(np.square(differences))))


@pytest.mark.parametrize("n", [1, 2])
def test_error_of_the_grid_falls_with_the_fourth_power_of_the_spacing(n: int) -> None:
    """Halving the spacing divides the error of V by 16 and that of dV/ds by 8."""
    explicit = ExplicitHills(PERIODS[:n])
    explicit.add(hills(n))
    errors = []
    for finer in (1, 2, 4):
        grid = Grid(NAMES, [Axis(axis.low, axis.high, axis.n * finer) for axis in AXES[:n]], PERIODS[:n])
        grid.add(hills(n))
        pairs = [(grid.evaluate(s), explicit.evaluate(s)) for s in points(n, 400)]
        errors.append([rms([a[0] - b[0] for a, b in pairs]), rms([a[1] - b[1] for a, b in pairs])])
    value, derivative = np.log2(np.array(errors[:-1]) / np.array(errors[1:])).T
    assert value == pytest.approx(4.0, abs=0.2)
    assert derivative == pytest.approx(3.0, abs=0.2)
    assert errors[-1][0] < 1e-6


def test_bias_is_continuous_across_the_boundary_of_a_periodic_variable() -> None:
    for grid in ((), (Axis(-math.pi, math.pi, 60),)):
        bias = Bias(settings(1, grid=grid), ["phi"], [TWO_PI])
        bias.add(Hills(np.array([[3.1], [-2.9]]), np.full((2, 1), 0.3), np.array([0.1, 0.2])))
        left, right = (bias.evaluate(np.array([s]), 0) for s in (math.pi - 1e-9, -math.pi + 1e-9))
        assert left.total > 0.2
        assert left.total == pytest.approx(right.total, abs=1e-8)
        assert left.gradient == pytest.approx(right.gradient, abs=1e-7)


def test_heights_of_well_tempered_hills() -> None:
    kelvin, factor = 300.0, 6.0
    bias = Bias(settings(1, biasfactor=factor, temperature=kelvin), ["d"], [None])
    s = np.array([0.3])
    for _ in range(5):
        found = bias.evaluate(s, 0).hills
        hill = bias.hill(s, found)
        assert hill.heights[0] == pytest.approx(0.05 * math.exp(-found / (ase.units.kB * kelvin * 5.0)), rel=1e-14)
        bias.add(hill)
    plain = Bias(settings(1), ["d"], [None])
    assert plain.hill(s, 3.0).heights[0] == 0.05


def test_well_tempered_bias_converges_to_the_free_energy_times_a_factor() -> None:
    """Hills drawn from exp(-(F + V)/kT) on a grid of points: V -> -(1 - 1/biasfactor) F + const."""
    kelvin, factor = 300.0, 4.0
    kt = ase.units.kB * kelvin
    x = np.linspace(-1.5, 1.5, 121)
    free = 3.0 * kt * (x**2 - 1.0) ** 2
    bias = Bias(
        settings(1, height=0.2 * kt, sigma=(0.1,), biasfactor=factor, temperature=kelvin, grid=(Axis(-2.5, 2.5, 250),)),
        ["x"],
        [None],
    )
    generator = np.random.default_rng(3)
    values, average, count = np.zeros(len(x)), np.zeros(len(x)), 0
    for k in range(12000):
        weights = np.exp(-(free + values) / kt)
        s = np.array([generator.choice(x, p=weights / weights.sum())])
        hill = bias.hill(s, bias.evaluate(s, 0).hills)
        bias.add(hill)
        values += hill.heights[0] * np.exp(-0.5 * ((x - s[0]) / 0.1) ** 2)
        if k >= 6000:
            average, count = average + values, count + 1
    found = -average / count * factor / (factor - 1.0)
    middle = np.abs(x) < 1.3
    difference = (found - free)[middle]
    assert np.abs(difference - difference.mean()).max() < 0.15 * kt


def test_walls_and_moving_restraints_in_closed_form() -> None:
    walls = (Wall("d", 2.0, 3.0, upper=True), Wall("d", -1.0, 5.0, upper=False))
    moving = (Moving("phi", 3.0, 3.4, 0.5, 100, 300),)
    bias = Bias(BiasSettings(walls=walls, moving=moving), NAMES[:2], PERIODS[:2])
    assert bias.evaluate(np.array([1.0, 3.0]), 0).total == 0.0
    assert bias.evaluate(np.array([2.5, 3.0]), 0).walls == pytest.approx(3.0 * 0.25)
    assert bias.evaluate(np.array([-1.5, 3.0]), 0).walls == pytest.approx(5.0 * 0.25)
    assert bias.evaluate(np.array([1.0, -3.0]), 200).moving == pytest.approx(0.25 * (TWO_PI - 6.2) ** 2)
    stays = Bias(BiasSettings(moving=(Moving("d", 1.5, 1.5, 0.5, 0, 1),)), NAMES[:1], PERIODS[:1])
    assert [stays.evaluate(np.array([1.9]), step).moving for step in (0, 1, 999)] == pytest.approx([0.25 * 0.4**2] * 3)
    assert [moving[0].at(step) for step in (0, 100, 200, 300, 400)] == pytest.approx([3.0, 3.0, 3.2, 3.4, 3.4])
    assert not bias.settings.has_hills


def test_work_of_a_variable_that_stands_still_is_the_change_of_the_restraint() -> None:
    bias = Bias(BiasSettings(moving=(Moving("d", 0.0, 2.0, 1.5, 5, 25),)), ["d"], [None])
    s = np.array([0.3])
    work = [bias.advance(s, step) for step in range(1, 40)]
    assert work[3] == 0.0
    assert work[-1] == pytest.approx(0.75 * (1.7**2 - 0.3**2), rel=1e-12)


def test_many_hills_in_parts() -> None:
    together, parts = ExplicitHills(PERIODS), ExplicitHills(PERIODS)
    many = hills(3, 500)
    together.add(many)
    for k in range(500):
        parts.add(many.only(np.array([k])))
    s = points(3, 1)[0]
    assert parts.evaluate(s)[0] == pytest.approx(together.evaluate(s)[0], rel=1e-13)
    assert len(many.plus(many)) == 1000
    assert len(Hills.none(2)) == 0


def test_outside_of_the_grid() -> None:
    bias = Bias(settings(1, grid=(Axis(0.0, 2.0, 20),)), ["d"], [None])
    bias.evaluate(np.array([2.0]), 0)
    with pytest.raises(
        ValueError, match=r"d must stay within its grid, 0 to 2, got 2\.1; give a wider grid, or a wall"
    ):
        bias.evaluate(np.array([2.1]), 0)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pace": None}, "height, sigma and pace must be given together"),
        ({"height": None, "sigma": (), "pace": None}, "bias must hold hills, walls or a moving restraint"),
        ({"height": -0.1}, "height must be above 0 eV"),
        ({"sigma": (0.0,)}, "sigma must be above 0"),
        ({"pace": 0}, "pace must be 1 step or more"),
        ({"biasfactor": 1.0, "temperature": 300.0}, "biasfactor must be above 1, got 1"),
        ({"biasfactor": 10.0}, "temperature must be above 0 K with a biasfactor, got None"),
        ({"grid": (Axis(1.0, 0.0, 10),)}, "grid must be a lower limit, an upper limit"),
        ({"height": None, "sigma": (), "pace": None, "grid": AXES[:1], "walls": WALLS}, "grid must go with hills"),
        ({"walls": (Wall("d", 1.0, -1.0, True),)}, "kappa must be above 0, got -1 for d"),
        ({"moving": (Moving("d", 1.0, 2.0, 1.0, 7, 7),)}, "moving must end at a later step"),
    ],
)
def test_settings_without_meaning(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        settings(1, **changed)


def test_settings_that_do_not_go_with_the_variables() -> None:
    for given, names, sentence in (
        (settings(2), ["d"], "sigma must be given for each of d, got 2; give 1"),
        (settings(1, grid=AXES[:2]), ["d"], "grid must be given for each of d, got 2"),
        (settings(1, walls=(Wall("e", 0.0, 1.0, True),)), ["d"], "must name one of d, got 'e'"),
        (settings(4), ["a", "b", "c", "d"], "must act on 1 to 3 collective variables, got 4"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Bias(given, names, [None] * len(names))
    with pytest.raises(ValueError, match=r"grid of phi must be one period long, 6\.28.*, got 6; give -pi, pi"):
        Bias(settings(1, grid=(Axis(-3.0, 3.0, 100),)), ["phi"], [TWO_PI])
    with pytest.raises(ValueError, match=r"sigma of phi must be at most a quarter of its period, 1\.571, got 7"):
        Bias(replace(settings(1), sigma=(7.0,)), ["phi"], [TWO_PI])


def test_a_grid_coarser_than_half_of_sigma_is_refused() -> None:
    """The interpolation would be wrong by more than the height of the hills."""
    with pytest.raises(
        ValueError, match=r"spacing must be at most half of sigma, got 0\.4 of d with sigma 0\.1; give 60 intervals"
    ):
        Bias(settings(1, sigma=(0.1,), grid=(Axis(4.0, 6.0, 5),)), ["d"], [None])
    both = settings(2, sigma=(0.4, 0.1), grid=(AXES[0], AXES[1]))
    with pytest.raises(ValueError, match=r"got 0\.1257 of phi with sigma 0\.1; give 189 intervals"):
        Bias(both, NAMES[:2], PERIODS[:2])
    Bias(settings(1, sigma=(0.1,), grid=(Axis(4.0, 6.0, 40),)), ["d"], [None])
    Bias(settings(1, sigma=(0.1,), grid=(Axis(4.0, 6.0, 60),)), ["d"], [None])


@pytest.mark.parametrize(
    ("low", "high", "exact"),
    [(-3.1416, 3.1416, -math.pi), (-3.14, 3.14, -math.pi), (0.0, 6.2832, 0.0), (-1.0, 5.2832, -1.0)],
)
def test_limits_that_are_a_period_but_for_their_digits(low: float, high: float, exact: float) -> None:
    axis = Bias(settings(1, grid=(Axis(low, high, 60),)), ["phi"], [TWO_PI]).settings.grid[0]
    assert (axis.low, axis.high) == (exact, exact + TWO_PI)
