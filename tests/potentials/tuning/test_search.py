"""The search on a landscape in closed form, where the best points are known."""

from __future__ import annotations

import itertools

import pytest

from rhopot.potentials.tuning.pareto import Outcome, choose, pareto_front
from rhopot.potentials.tuning.search import Point, explore

SIZES = (5, 6, 3)


def landscape(point: Point) -> Outcome:
    """Cost grows with the first two keys; the error falls with them and has a minimum in the third."""
    a, b, c = point
    return Outcome(2.0 * 1.5 ** (a + b), 100.0 / (1.0 + a) + 60.0 / (1.0 + b) + 5.0 * abs(c - 1))


EVERY = {point: landscape(point) for point in itertools.product(*(range(size) for size in SIZES))}


def are_neighbors(a: Point, b: Point) -> bool:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("budget", [5.0, 20.0, 60.0])
def test_a_budget_is_met_as_well_as_on_the_full_grid(budget: float, seed: int) -> None:
    found = explore((2, 2, 0), SIZES, landscape, trials=40, budget=lambda: budget, seed=seed)
    best = choose(list(found.values()), budget)
    best_of_all = choose(list(EVERY.values()), budget)
    assert best is not None
    assert best_of_all is not None
    assert list(found.values())[best] == list(EVERY.values())[best_of_all]
    assert len(found) <= 40 < len(EVERY)


def test_every_trial_is_a_neighbor_of_an_earlier_one_and_none_is_made_twice() -> None:
    asked: list[Point] = []

    def counted(point: Point) -> Outcome:
        asked.append(point)
        return landscape(point)

    found = explore((2, 2, 0), SIZES, counted, trials=25, seed=1)
    assert list(found) == asked
    assert len(set(asked)) == 25
    for k in range(1, 25):
        assert any(are_neighbors(asked[k], earlier) for earlier in asked[:k])


def test_it_ends_when_the_front_has_no_untried_neighbors() -> None:
    found = explore((4, 5, 1), SIZES, landscape, trials=1000)
    front = [list(found)[k] for k in pareto_front(list(found.values()))]
    assert len(found) < len(EVERY)
    for point in front:
        assert all(other in found for other in EVERY if are_neighbors(point, other))


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (list(explore((2, 2, 0), SIZES, landscape, trials=12, seed=s)) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_points_that_there_are_not_are_passed_over_and_do_not_count() -> None:
    found = explore((2, 2, 0), SIZES, lambda p: None if p[0] > 2 else landscape(p), trials=30)
    assert len(found) == 30
    assert all(point[0] <= 2 for point in found)


def test_failed_trials_count_and_the_search_goes_on() -> None:
    failed = Outcome(float("inf"), float("inf"))
    found = explore((2, 2, 0), SIZES, lambda p: failed if p[2] == 2 else landscape(p), trials=30, budget=lambda: 20.0)
    assert len(found) == 30
    assert failed in found.values()


def test_a_starting_point_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="the starting point must be a valid configuration"):
        explore((0,), (2,), lambda point: None, trials=5)


def test_twenty_trials_of_five_keys_come_near_the_best_of_a_thousand() -> None:
    """A key that harmed is left for later: random neighbors are still at 1.5 times the least error."""

    def wide(point: Point) -> Outcome:
        a, b, c, d, e = point
        error = 100.0 / (1 + a) + 60.0 / (1 + b) + 20.0 / (1 + c) + 8.0 * abs(d - 1) + 10.0 * abs(e - 2)
        return Outcome(2.0 * 1.3**a * 1.5**b * 1.2**c, error)

    sizes = (5, 6, 4, 3, 4)
    every = [wide(point) for point in itertools.product(*(range(size) for size in sizes))]
    best_of_all = choose(every, 15.0)
    assert best_of_all is not None
    for seed in range(4):
        found = list(explore((2, 2, 1, 0, 1), sizes, wide, trials=20, budget=lambda: 15.0, seed=seed).values())
        best = choose(found, 15.0)
        assert best is not None
        assert found[best].error < 1.2 * every[best_of_all].error
