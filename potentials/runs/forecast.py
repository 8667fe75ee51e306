"""What a whole run will take: the forecast of its fit, and what comes after it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from rhopot.potentials.config import RunConfig
from rhopot.potentials.fitting.least_squares.equations import count_rows
from rhopot.potentials.fitting.progress import Forecast
from rhopot.potentials.runs.training_set import TrainingSet


def whole_run(fit: Forecast, config: RunConfig, data: TrainingSet, ranks: int = 1) -> Forecast:
    """Return the forecast with the learning curve and the error tables, as far as the fit knows what they take.

    A least-squares fit on several ranks forecasts the time and the memory of one; its equations are counted on all.

    A point of the curve that the fit does not make itself has its part of the equations, a solve, and the validation.
    The tables evaluate the model on the frames of both parts, on one process.
    """
    if ranks > 1 and hasattr(config.regressor, "keep_equations"):
        kept = 0 if data.earlier is None else cast(int, data.earlier.card.training_data.summary["n_frames"])
        fit = replace(fit, rows=sum(count_rows(frame, config.targets) for frame in data.train[kept:]))
    if not fit.seconds_per_atom:
        return fit
    after: dict[str, float] = {}
    if config.report.learning_curve and "learning curve" not in fit.stages:
        each = fit.stages["solve"] + fit.stages["validation"]
        after["learning curve"] = sum(part * fit.stages["equations"] + each for part in config.report.learning_curve)
    evaluated = min(1.0, (config.report.train_frames or len(data.train)) / len(data.train))
    atoms = evaluated * data.train.n_atoms + data.validation.n_atoms
    after["error tables"] = fit.seconds_per_atom * atoms
    return replace(fit, stages={**fit.stages, **after}, without="saving, plots and the stability run are")
