"""Order in slabs in closed form, the reading of made-up runs, and the search for the temperature."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rhopot.potentials.properties.block_averages import block_average
from rhopot.potentials.properties.melting import (
    COEXIST,
    FROZE,
    MELTED,
    PlanarOrder,
    Trial,
    coexistence,
    elongated,
    elongated_repeats,
    next_temperature,
    orthogonal,
    search,
    upper_half_stretched,
)
from rhopot.potentials.structures.prototypes import PROTOTYPES, conventional, prototype

SILICON = bulk("Si", a=5.43, cubic=True)
REPEATS = (4, 4, 12)


@pytest.mark.parametrize("name", PROTOTYPES)
def test_every_perfect_crystal_is_ordered(name: str) -> None:
    """In each slab, wherever the crystal stands; a random arrangement of its atoms is not."""
    symbols = ["Si"] if name in ("sc", "bcc", "fcc", "hcp", "diamond") else ["Li", "F"]
    crystal = orthogonal(conventional(name, prototype(name, symbols)))
    repeats = elongated_repeats(crystal, 500)
    order = PlanarOrder.of_crystal(crystal, repeats)
    atoms = elongated(crystal, repeats)
    atoms.positions += [0.3, -1.1, 0.7]
    assert len(atoms) >= 500
    assert order(atoms).min() > 0.9
    atoms.set_scaled_positions(np.random.default_rng(0).uniform(size=(len(atoms), 3)))
    assert order(atoms).mean() == pytest.approx(repeats[2] / len(atoms), rel=0.5)


def test_vectors_are_the_shortest_that_reflect() -> None:
    """Of diamond {220}, of fcc {200}; of one sign each."""
    for crystal, shortest in ((SILICON, {(2, 2), (-2, 2)}), (bulk("Cu", cubic=True), {(2, 0), (0, 2)})):
        vectors = PlanarOrder.of_crystal(crystal, (1, 1, 8)).vectors
        assert {(int(abs(h) * np.sign(h * k or 1)), int(abs(k))) for h, k in vectors} == shortest
    assert set(map(tuple, PlanarOrder.of_crystal(SILICON, REPEATS).vectors)) == {(8.0, 8.0), (-8.0, 8.0)}


def test_order_of_a_hot_crystal() -> None:
    """Gaussian displacements of variance u^2 along each axis: exp(-G^2 u^2), and 1/N of what is left for N atoms."""
    atoms = elongated(SILICON, (8, 8, 12))
    atoms.rattle(0.15, seed=1)
    factor = np.exp(-((2.0 * np.pi / 5.43) ** 2) * 8.0 * 0.15**2)
    found = PlanarOrder.of_crystal(SILICON, (8, 8, 12))(atoms)
    assert found.mean() == pytest.approx(factor + (1.0 - factor) / 512.0, rel=0.02)


def test_the_lower_half_comes_first() -> None:
    atoms = elongated(SILICON, REPEATS)
    half = len(atoms) // 2
    assert atoms.positions[:half, 2].max() < atoms.positions[half:, 2].min()
    assert elongated_repeats(SILICON, 1000) == REPEATS


def test_the_upper_half_is_stretched() -> None:
    """The lower half stays; distances along z between layers of the upper one grow, also across the boundary."""
    atoms = elongated(SILICON, (1, 1, 8))
    found = upper_half_stretched(atoms, 1.1)
    assert found.positions[:32] == pytest.approx(atoms.positions[:32])
    assert found.cell.lengths() == pytest.approx([5.43, 5.43, 1.05 * 8 * 5.43])
    layers = np.diff(np.unique(found.positions[32:, 2].round(9)))
    assert layers == pytest.approx(np.full(15, 1.1 * 5.43 / 4.0))
    across = found.positions[32:, 2].min() - found.positions[:32, 2].max()
    above = found.cell.lengths()[2] - found.positions[:, 2].max()
    assert across == pytest.approx(1.05 * 5.43 / 4.0)
    assert above == pytest.approx(1.05 * 5.43 / 4.0)


def test_hexagonal_cells_become_orthogonal() -> None:
    """The same crystal: number of atoms, volume and distances."""
    for angle in (120, 60):
        crystal = bulk("Mg", "hcp", a=3.2, c=5.2)
        if angle == 60:
            crystal = Atoms(crystal, cell=[crystal.cell[0], crystal.cell[0] + crystal.cell[1], crystal.cell[2]])
        found = orthogonal(crystal)
        assert found.cell.angles() == pytest.approx([90.0] * 3)
        assert len(found) == 4
        assert found.get_volume() == pytest.approx(2.0 * crystal.get_volume())
        cells = [each.repeat(8) for each in (found, crystal)]
        distances = [np.sort(each.get_distances(0, range(1, len(each)), mic=True))[:50] for each in cells]
        assert distances[0] == pytest.approx(distances[1])
    with pytest.raises(ValueError, match="cell of right angles, or a hexagonal one, got 60, 60, 60"):
        orthogonal(bulk("Cu"))


def made_up(solid: np.ndarray, temperatures: np.ndarray, skip: float = 0.25):
    """A run in 8 slabs with so much of the cell solid, references 0.8 and 0.1."""
    slabs = np.clip(8.0 * solid[:, None] - np.arange(8), 0.0, 1.0)
    times, pressures = 0.1 * np.arange(len(solid)), np.zeros(len(solid))
    return coexistence(times, temperatures, pressures, 0.1 + 0.7 * slabs, (0.8, 0.1), skip)


def test_half_a_crystal_in_its_liquid() -> None:
    atoms, order = elongated(SILICON, REPEATS), PlanarOrder.of_crystal(SILICON, REPEATS)
    half = len(atoms) // 2
    atoms.rattle(0.1, seed=0)
    crystal = float(order(atoms).mean())
    atoms.positions[half:] += np.random.default_rng(0).normal(scale=3.0, size=(half, 3)) * [1, 1, 0]
    found = np.array([order(atoms)] * 40)
    liquid = order.in_melt(found)
    assert liquid == pytest.approx(1.0 / 128.0, abs=0.02)
    read = coexistence(np.arange(40.0), np.full(40, 1000.0), np.zeros(40), found, (crystal, liquid), 0.0)
    assert read.outcome == COEXIST
    assert read.solid == pytest.approx(np.full(40, 0.5), abs=0.03)
    assert read.slabs[0, 1:5].min() > 0.8
    assert read.slabs[0, 7:11].max() < 0.2


def test_the_error_is_that_of_correlated_temperatures() -> None:
    """An AR(1) series x' = a x + noise: the error of its mean is s sqrt((1 + a) / (1 - a) / n)."""
    rng, a, n, s = np.random.default_rng(3), 0.9, 20000, 20.0
    series = np.empty(n)
    series[0] = 0.0
    noise = rng.normal(scale=s * np.sqrt(1.0 - a * a), size=n)
    for k in range(1, n):
        series[k] = a * series[k - 1] + noise[k]
    found = made_up(np.full(n, 0.5), 1000.0 + series)
    expected = s * np.sqrt((1.0 + a) / (1.0 - a) / (0.75 * n))
    assert found.error == pytest.approx(expected, rel=0.3)
    assert abs(found.mean - 1000.0) < 4.0 * expected
    assert found.converged
    assert not found.drifts
    assert found.drift_error == pytest.approx(2.0 * expected, rel=0.5)
    drifting = made_up(np.full(n, 0.5), 1000.0 + series + np.linspace(0.0, 50.0, n))
    assert drifting.drifts


def test_the_error_is_that_of_a_run_that_has_not_settled() -> None:
    """The change between the halves where blocks do not see it, and the upper end of the error of few blocks."""
    solid, noise = np.full(100, 0.5), np.random.default_rng(1).normal(size=100)
    slow = made_up(solid, 1000.0 + noise + np.linspace(0.0, 40.0, 100), skip=0.0)
    assert slow.error == pytest.approx(slow.drift)
    assert slow.drift == pytest.approx(20.0, abs=1.0)
    quiet = made_up(solid, 1000.0 + noise, skip=0.0)
    average = block_average(1000.0 + noise)
    spread = 1.0 / np.sqrt(2.0 * (100 // average.block - 1))
    assert quiet.error == pytest.approx((1.0 + spread) * average.error)
    assert not quiet.drifts
    assert made_up(solid - 0.001 * np.arange(100), 1000.0 + noise).drifts, "of the solid fraction"


def test_one_phase_alone_is_noticed() -> None:
    steady = np.full(100, 1000.0)
    assert made_up(np.linspace(0.5, 0.7, 100), steady).outcome == COEXIST
    assert made_up(np.linspace(0.5, 1.0, 100), steady).outcome == FROZE
    assert made_up(np.linspace(0.5, 0.0, 100), steady).outcome == MELTED
    with pytest.raises(ValueError, match="frames must be 8 or more after those that are skipped, got 7"):
        made_up(np.full(9, 0.5), np.full(9, 1000.0))


@pytest.mark.parametrize("guess", [400.0, 800.0, 950.0, 1000.0, 1200.0, 3000.0])
def test_the_search_comes_to_the_melting_point(guess: float) -> None:
    """A cell that freezes below 850 K, melts above 1100 K, and else comes to 1000 K."""
    seen: list[float] = []

    def attempt(k: int, kelvin: float) -> Trial:
        assert k == len(seen)
        seen.append(kelvin)
        outcome = FROZE if kelvin < 850.0 else MELTED if kelvin > 1100.0 else COEXIST
        return Trial(kelvin, outcome, 1000.0 if outcome == COEXIST else np.nan)

    trials = search(guess, 12, attempt)
    assert trials[-1].result == 1000.0
    assert trials[-1].temperature == pytest.approx(1000.0, rel=0.05)
    assert len(trials) == len(seen)


def test_a_bracket_is_halved() -> None:
    trials = [Trial(800.0, FROZE, np.nan), Trial(1200.0, MELTED, np.nan)]
    assert next_temperature(trials) == 1000.0
    assert next_temperature(trials[:1]) == pytest.approx(920.0)
    assert next_temperature(trials[1:]) == pytest.approx(1020.0)
    assert next_temperature([*trials, Trial(1000.0, COEXIST, 1080.0)]) == 1080.0
    assert next_temperature([*trials, Trial(1000.0, COEXIST, 1030.0)]) is None


def test_a_search_that_finds_nothing_says_what_was_tried() -> None:
    with pytest.raises(RuntimeError, match=r"alone in 2 attempts \(100 K froze, 115 K froze\); give another"):
        search(100.0, 2, lambda k, kelvin: Trial(kelvin, FROZE, np.nan))
    kept = search(900.0, 2, lambda k, kelvin: Trial(kelvin, (COEXIST, FROZE)[k], 1000.0))
    assert [trial.outcome for trial in kept] == [FROZE, COEXIST], "the one that kept both phases is the answer"
