"""The Pareto front of accuracy and cost, and which of its points is chosen.

Costs are measured and scatter, so two costs within `EQUAL_COST` of each other count as equal: a point is dominated by
another one that has a smaller error and costs at most 1 + `EQUAL_COST` times as much, or the same error and costs less.
The most accurate point is never dominated.

With a budget the most accurate point within it is chosen. Without one it is the knee of the front: the point farthest
below the straight line between the front's ends, in logarithms of cost and error. Left of it accuracy is cheap,
right of it dear. A front of one or two points, or one that is nowhere below that line, has no knee: its most accurate
point is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Share by which two measured costs may differ and still count as equal.
EQUAL_COST = 0.05
TINY = 1e-12  # of errors that vanish
ROUNDING = 1e-9  # of the height below a line


@dataclass(frozen=True)
class Outcome:
    """Cost, of one unit for all, and error (meV/A of forces, or meV/atom) of a trial; infinite where it failed."""

    cost: float
    error: float

    @property
    def failed(self) -> bool:
        """Whether there is no error."""
        return not math.isfinite(self.error)


def pareto_front(outcomes: Sequence[Outcome], tolerance: float = EQUAL_COST) -> list[int]:
    """Return which outcomes are not dominated, the cheapest first; of equal ones the first."""
    usable = [k for k, one in enumerate(outcomes) if not one.failed]

    def dominated(k: int) -> bool:
        one = outcomes[k]
        return any(
            (other.error < one.error and other.cost <= (1.0 + tolerance) * one.cost)
            or (other.error == one.error and (other.cost, j) < (one.cost, k))
            for j, other in ((j, outcomes[j]) for j in usable)
        )

    return sorted((k for k in usable if not dominated(k)), key=lambda k: (outcomes[k].cost, k))


def choose(outcomes: Sequence[Outcome], budget: float | None) -> int | None:
    """Return which outcome is chosen: see the module; None where none is within the budget, or all failed.

    budget: highest cost in the unit of the outcomes, None for the knee of the front
    """
    if budget is None:
        return knee(outcomes)
    within = [k for k, one in enumerate(outcomes) if not one.failed and one.cost <= budget]
    return min(within, key=lambda k: (outcomes[k].error, outcomes[k].cost), default=None)


def knee(outcomes: Sequence[Outcome]) -> int | None:
    """Return the knee of the front (see the module); None where all failed."""
    front = pareto_front(outcomes)
    if not front:
        return None
    points = [_logarithms(outcomes[k]) for k in front]
    (x0, y0), rate = points[0], front_rate(outcomes)
    below = [y0 - rate * (x - x0) - y for x, y in points]
    best = max(range(len(front)), key=lambda k: below[k])
    return front[best] if below[best] > ROUNDING else front[-1]


def front_rate(outcomes: Sequence[Outcome]) -> float:
    """Return how fast log error falls with log cost between the ends of the front; 1 where it has one point."""
    front = pareto_front(outcomes)
    if len(front) < 2:
        return 1.0
    (x0, y0), (x1, y1) = _logarithms(outcomes[front[0]]), _logarithms(outcomes[front[-1]])
    return (y0 - y1) / (x1 - x0) if x1 > x0 else 1.0


def _logarithms(outcome: Outcome) -> tuple[float, float]:
    return math.log(outcome.cost), math.log(max(outcome.error, TINY))


def cheapest(outcomes: Sequence[Outcome]) -> int | None:
    """Return the outcome of the least cost; None where all failed."""
    usable = [k for k, one in enumerate(outcomes) if not one.failed]
    return min(usable, key=lambda k: (outcomes[k].cost, outcomes[k].error), default=None)
