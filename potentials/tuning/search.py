"""Local search on a grid for the Pareto front of accuracy and cost.

A point is a tuple of positions, one for each key of the grid. The search starts at one point; each trial is a neighbor
of an earlier one, one key one step up or down. After each trial it starts over from the best point that still has an
untried neighbor:

    1. the point that would be chosen now (`pareto.choose`); with a budget that none meets, the cheapest
    2. the other points of the front, those of the most similar cost first

Which neighbor is tried first follows from the mean effect of each key so far, on the logarithms of error and cost,
over all pairs of tried neighbors: with a budget the neighbor that should exceed it least and, of those within it,
should be the most accurate; without one the one that should lie farthest below the front's line (`pareto.knee`). A key
without a pair is taken to change nothing, so that it is tried after those that help and before those that harm; ties
follow the seed.

The search ends when every point of the front has all its neighbors tried, or with the number of trials. A full grid of
five keys with five values has 3125 points; a search of 20 trials sees the part around the front.

The same outcomes give the same search: one that was stopped, and is given the outcomes of its finished trials, goes on
as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rhopot.potentials.tuning.pareto import TINY, Outcome, cheapest, choose, front_rate, pareto_front

Point = tuple[int, ...]
# Key and direction, +1 or -1.
Step = tuple[int, int]
# Change of the logarithms of cost and error.
Effect = tuple[float, float]


def explore(
    start: Point,
    sizes: Sequence[int],
    evaluate: Callable[[Point], Outcome | None],
    *,
    trials: int,
    budget: Callable[[], float | None] = lambda: None,
    seed: int = 0,
) -> dict[Point, Outcome]:
    """Return the outcomes of all trials in their order.

    sizes: number of values of each key; evaluate: outcome of a point, None for one that there is not (its settings
    do not go together), which is no trial; trials: the most that are made; budget: the highest cost, in the unit of
    outcomes, which is asked for before each trial because that unit may become better known

    Raises:
        ValueError: the starting point itself is none.
    """
    outcome = evaluate(start)
    if outcome is None:
        raise ValueError("the starting point must be a valid configuration, got one that is not; correct it")
    found = {start: outcome}
    seen = {start}
    while len(found) < trials:
        point = next(_untried(found, seen, sizes, budget(), seed), None)
        if point is None:
            break
        seen.add(point)
        tried = evaluate(point)
        if tried is not None:
            found[point] = tried
    return found


def _untried(
    found: dict[Point, Outcome], seen: set[Point], sizes: Sequence[int], budget: float | None, seed: int
) -> Iterator[Point]:
    """Points that may be tried next, the best first."""
    effects = _effects(found, len(sizes))
    worth = _worth(found, budget)
    for point in _by_promise(found, budget):
        steps = [(key, direction) for key in range(len(sizes)) for direction in (-1, 1)]
        order = np.random.default_rng([seed, *point]).permutation(len(steps))
        for key, direction in sorted((steps[k] for k in order), key=lambda step: worth(found[point], effects, step)):
            neighbor = _neighbor(point, key, direction)
            if 0 <= neighbor[key] < sizes[key] and neighbor not in seen:
                yield neighbor


def _neighbor(point: Point, key: int, direction: int) -> Point:
    return (*point[:key], point[key] + direction, *point[key + 1 :])


def _effects(found: dict[Point, Outcome], n_keys: int) -> list[Effect]:
    """Mean change of (log cost, log error) by a step up of each key, over all pairs of tried neighbors; none: zero."""
    effects = []
    for key in range(n_keys):
        pairs = [(low, found.get(_neighbor(point, key, 1))) for point, low in found.items()]
        changes = [
            (math.log(high.cost / low.cost), math.log(max(high.error, TINY) / max(low.error, TINY)))
            for low, high in pairs
            if high is not None and not low.failed and not high.failed
        ]
        mean = np.mean(changes, axis=0) if changes else np.zeros(2)
        effects.append((float(mean[0]), float(mean[1])))
    return effects


def _worth(
    found: dict[Point, Outcome], budget: float | None
) -> Callable[[Outcome, list[Effect], Step], tuple[float, float]]:
    """Return a function of a point's outcome, the effects and a step from it: the less, the better."""
    rate = front_rate(list(found.values()))

    def worth(outcome: Outcome, effects: list[Effect], step: Step) -> tuple[float, float]:
        cost, error = (step[1] * effect for effect in effects[step[0]])
        if budget is None or outcome.failed:
            return 0.0, error + rate * cost
        return max(0.0, math.log(outcome.cost / budget) + cost), error

    return worth


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
