"""Local search on a grid for the Pareto front of accuracy and cost.

A point is a tuple of positions, one for each key of the grid. The search starts at one point; each trial is a neighbor
of an earlier one, one key one step up or down. After each trial it starts over from the best point that still has an
untried neighbor:

    1. the point that would be chosen now (`pareto.choose`); with a budget that none meets, the cheapest
    2. the other points of the front, those of the most similar cost first

The neighbor is the one of the step that led to the point, as long as steps of that kind pay, then the others in a
seeded order. The search ends when every point of the front has all its neighbors tried, or with the number of trials.
A full grid of five keys with five values has 3125 points; a search of 20 trials sees the part around the front.

The same outcomes give the same search: one that was stopped, and is given the outcomes of its finished trials, goes on
as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rhopot.potentials.tuning.pareto import Outcome, cheapest, choose, pareto_front

Point = tuple[int, ...]
# Key and direction, +1 or -1.
Step = tuple[int, int]


def explore(
    start: Point,
    sizes: Sequence[int],
    evaluate: Callable[[Point], Outcome | None],
    *,
    trials: int,
    budget: float | None = None,
    seed: int = 0,
) -> dict[Point, Outcome]:
    """Return the outcomes of all trials in their order.

    sizes: number of values of each key; evaluate: outcome of a point, None for one that there is not (its settings
    do not go together), which is no trial; trials: the most that are made

    Raises:
        ValueError: the starting point itself is none.
    """
    outcome = evaluate(start)
    if outcome is None:
        raise ValueError("the starting point must be a valid configuration, got one that is not; correct it")
    found = {start: outcome}
    seen, led = {start}, {start: (0, 0)}
    while len(found) < trials:
        move = next(_moves(found, seen, led, sizes, budget, seed), None)
        if move is None:
            break
        point, step = move
        seen.add(point)
        tried = evaluate(point)
        if tried is not None:
            found[point], led[point] = tried, step
    return found


def _moves(
    found: dict[Point, Outcome],
    seen: set[Point],
    led: dict[Point, Step],
    sizes: Sequence[int],
    budget: float | None,
    seed: int,
) -> Iterator[tuple[Point, Step]]:
    """Untried neighbors with the steps to them, the best first."""
    for point in _by_promise(found, budget):
        for key, direction in _steps(point, led[point], len(sizes), seed):
            neighbor = (*point[:key], point[key] + direction, *point[key + 1 :])
            if 0 <= neighbor[key] < sizes[key] and neighbor not in seen:
                yield neighbor, (key, direction)


def _by_promise(found: dict[Point, Outcome], budget: float | None) -> list[Point]:
    """Points to go on from."""
    points, outcomes = list(found), list(found.values())
    best = choose(outcomes, budget)
    best = cheapest(outcomes) if best is None else best
    if best is None:  # all failed
        return points
    aim = outcomes[best].cost if budget is None else budget
    others = sorted(
        (k for k in pareto_front(outcomes) if k != best), key=lambda k: (abs(math.log(outcomes[k].cost / aim)), k)
    )
    return [points[k] for k in (best, *others)]


def _steps(point: Point, led: Step, n_keys: int, seed: int) -> list[Step]:
    """All steps from a point: the one that led to it first, the others in an order of the point's own."""
    steps = [(key, direction) for key in range(n_keys) for direction in (-1, 1)]
    order = np.random.default_rng([seed, *point]).permutation(len(steps))
    shuffled = [steps[k] for k in order]
    return sorted(shuffled, key=lambda step: step != led)
