"""The front of made-up points, the choice by a budget, and the knee."""

from __future__ import annotations

import numpy as np
import pytest

from rhopot.potentials.tuning.pareto import EQUAL_COST, Outcome, cheapest, choose, knee, pareto_front

FAILED = Outcome(float("inf"), float("inf"))
# Cost and error; 1, 3 and 4 are the front, 0 and 2 are beaten by 1 and 3.
POINTS = [Outcome(2.0, 90.0), Outcome(1.0, 80.0), Outcome(5.0, 60.0), Outcome(4.0, 50.0), Outcome(8.0, 40.0), FAILED]


@pytest.mark.parametrize("seed", range(5))
def test_no_point_of_the_front_is_dominated_and_every_other_one_is(seed: int) -> None:
    numbers = np.random.default_rng(seed).uniform(1.0, 2.0, (40, 2))
    points = [Outcome(cost, error) for cost, error in numbers.tolist()]
    front = pareto_front(points, tolerance=0.0)

    def dominated(k: int) -> bool:
        return any(one.cost <= points[k].cost and one.error < points[k].error for one in points)

    assert 0 < len(front) < 40
    assert {k for k in range(40) if not dominated(k)} == set(front)
    assert sorted(front, key=lambda k: points[k].cost) == front
    assert sorted(front, key=lambda k: -points[k].error) == front


def test_costs_within_the_scatter_count_as_equal() -> None:
    """A point that is cheaper by less than costs scatter, and less accurate, is not on the front."""
    near, far = 1.0 + 0.9 * EQUAL_COST, 1.0 + 1.1 * EQUAL_COST
    assert pareto_front([Outcome(1.0, 50.0), Outcome(near, 49.0)]) == [1]
    assert pareto_front([Outcome(1.0, 50.0), Outcome(far, 49.0)]) == [0, 1]
    assert pareto_front([Outcome(1.0, 50.0), Outcome(1.0, 50.0)]) == [0]


def test_the_front_leaves_out_dominated_and_failed_points() -> None:
    assert pareto_front(POINTS) == [1, 3, 4]
    assert pareto_front([FAILED]) == []


@pytest.mark.parametrize(("budget", "expected"), [(0.9, None), (1.0, 1), (3.9, 1), (4.0, 3), (7.9, 3), (100.0, 4)])
def test_the_most_accurate_point_within_the_budget_is_chosen(budget: float, expected: int | None) -> None:
    assert choose(POINTS, budget) == expected


def test_a_point_within_the_budget_is_chosen_though_one_just_above_it_is_better() -> None:
    """It is not on the front, because the costs of the two count as equal; the budget is kept all the same."""
    points = [Outcome(10.0, 50.0), Outcome(10.2, 40.0)]
    assert pareto_front(points) == [1]
    assert choose(points, 10.0) == 0


def test_the_knee_is_where_the_front_bends() -> None:
    bent = [Outcome(1.0, 100.0), Outcome(2.0, 30.0), Outcome(20.0, 20.0), Outcome(100.0, 18.0)]
    assert knee(bent) == 1
    assert choose([*bent, FAILED], None) == 1


def test_a_front_without_a_knee_gives_its_most_accurate_point() -> None:
    straight = [Outcome(10.0**k, 10.0 ** (3 - k)) for k in range(3)]
    bulging = [Outcome(1.0, 100.0), Outcome(10.0, 90.0), Outcome(11.0, 10.0)]
    assert knee(straight[:2]) == 1
    assert knee(bulging) == 2
    assert knee([Outcome(3.0, 3.0)]) == 0
    assert knee([FAILED]) is None


def test_the_cheapest_is_one_that_did_not_fail() -> None:
    assert cheapest(POINTS) == 1
    assert cheapest([FAILED]) is None
