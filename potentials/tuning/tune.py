"""One search: configurations on a grid, each cross-validated and timed, kept, and the one that is chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from rhopot.potentials.config import RunConfig
from rhopot.potentials.families import find_family
from rhopot.potentials.runs.cross_validation import cross_validate
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.tuning.cost import TIMED, measure_cost, processor
from rhopot.potentials.tuning.grid import Grid
from rhopot.potentials.tuning.pareto import Outcome, choose, pareto_front
from rhopot.potentials.tuning.search import Point, explore
from rhopot.potentials.tuning.trials import ENERGY, FORCES, Trial, TrialFolder

Folds = list[tuple[FrameSet, FrameSet]]


@dataclass(frozen=True)
class Tuning:
    """Trials in their order, those of the front by cost, and the chosen one (None: no trial meets the budget).

    objective: name of the error that the front is made of; budget: highest cost in us per atom and step, or None
    reference_microseconds: t_0 of `tuning.cost`
    """

    trials: list[Trial]
    points: list[Point]
    front: list[int]
    chosen: int | None
    objective: str
    budget: float | None
    structure: str
    reference_microseconds: float

    def microseconds(self, trial: Trial) -> float | None:
        """Cost of a trial in us per atom and step; None where it failed."""
        return None if trial.cost is None else trial.cost.ratio * self.reference_microseconds

    def as_dict(self, grid: Grid) -> dict[str, Any]:
        """Plain values, as they are written to a file."""
        return {
            "family": grid.base.family,
            "budget_microseconds": self.budget,
            "chosen": None if self.chosen is None else self.trials[self.chosen].digest,
            "front": [self.trials[k].digest for k in self.front],
            "objective": self.objective,
            "cost": TIMED,
            "structure": self.structure,
            "reference_microseconds": self.reference_microseconds,
            "grid": {key: list(values) for key, values in grid.values.items()},
            "trials": [{"cost_microseconds": self.microseconds(trial), **trial.as_dict()} for trial in self.trials],
        }


def reference_time(trials: Sequence[Trial]) -> float:
    """Return the least time of the reference in all trials, in us per atom; NaN where none was timed."""
    return min((trial.cost.reference_least for trial in trials if trial.cost is not None), default=math.nan)


def tune(
    grid: Grid,
    folds: Folds,
    atoms: Atoms,
    kept: TrialFolder,
    *,
    trials: int,
    budget: float | None,
    finished: Callable[[Trial, float, bool], None] = lambda trial, unit, known: None,
    advance: Callable[[int], None] = lambda folds: None,
) -> Tuning:
    """Search, keeping each trial as it is done; those that are kept already are not made again.

    atoms: what models are timed on; trials: the most there are, those of earlier runs included
    finished: is told each trial, the time of the reference so far, and whether the trial is from an earlier run
    advance: is told the number of finished fits

    Raises:
        ValueError: the starting configuration cannot be fitted.
    """
    made: dict[Point, Trial] = {}
    objective = FORCES if any(frame.forces is not None for _, held in folds for frame in held) else ENERGY

    def evaluate(point: Point) -> Outcome | None:
        config = grid.config(point)
        if config is None:
            return None
        before = len(made) * len(folds)
        digest = kept.digest(config)
        known = kept.read(digest)
        trial = known
        if trial is None:
            trial = _trial(digest, config, grid.changes(point), folds, atoms, lambda done: advance(before + done))
            if trial.fault and not made:
                raise ValueError(f"the starting configuration must be one that can be fitted: {trial.fault}")
            kept.write(trial)
        made[point] = trial
        advance(len(made) * len(folds))
        finished(trial, reference_time(list(made.values())), known is not None)
        return trial.outcome(objective)

    def limit() -> float | None:
        return None if budget is None else budget / reference_time(list(made.values()))

    explore(grid.start, grid.sizes, evaluate, trials=trials, budget=limit, seed=grid.base.seed)
    found = list(made.values())
    outcomes = [trial.outcome(objective) for trial in found]
    structure = f"{atoms.get_chemical_formula()}, {len(atoms)} atoms"
    front, chosen = pareto_front(outcomes), choose(outcomes, limit())
    return Tuning(found, list(made), front, chosen, objective, budget, structure, reference_time(found))


def _trial(
    digest: str,
    config: RunConfig,
    changes: dict[str, Any],
    folds: Folds,
    atoms: Atoms,
    advance: Callable[[int], None],
) -> Trial:
    """Fit, evaluate and time one configuration; settings that cannot be fitted to the data are a fault of the trial."""
    begin = time.perf_counter()
    try:
        found = cross_validate(config, folds, advance)
        cost = measure_cost(found.model, atoms)
    except ValueError as error:
        return Trial(digest, changes, {}, [], None, time.perf_counter() - begin, processor(), str(error))
    seconds = time.perf_counter() - begin
    return Trial(digest, changes, found.errors, found.folds, cost, seconds, processor())


def kind_of(config: RunConfig) -> str:
    """Whether models of the configuration are local or global."""
    return find_family(config.family).kind
