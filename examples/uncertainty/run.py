"""Calibration of the predicted uncertainty: coverage, rank correlation, and phases left out of the fit.

    python examples/uncertainty/run.py [--config FILE ...] [--data FILE ...] [--group KEY] [--folds 4] [key=value ...]

Every fold is held out once; the fit calibrates its members on the rest alone. Printed for the energies per atom held
out: the share of errors within one sigma (ideally 68%), the rank correlation (Spearman) of sigma with |error|, and for
each phase that is left out of the fit wholly the ratio of its median sigma to that of unseen structures of the other
phases, beside the same ratio of the errors. Phases are the config_types, the fifth of all frames with the highest
energies beyond their composition's (melts, in crystals' data), and for alloys the quarter of frames richest in each
element. By default both shipped configurations run on the Li-Si paths of the project, whole paths held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from held_out import fit, phases, read_options, studies
from numpy.typing import NDArray

from rhopot.export import evaluate
from rhopot.potentials.config import RunConfig
from rhopot.potentials.console import make_console, table
from rhopot.potentials.fitting.calibration import rank_correlation
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet, fold_numbers
from rhopot.potentials.units import MEV_PER_EV


@dataclass(frozen=True)
class Judged:
    """Absolute errors and sigmas of energies, meV per atom."""

    errors: NDArray[np.float64]
    sigmas: NDArray[np.float64]

    def row(self) -> tuple[str, str, str, str]:
        """Number of energies, mean error, share within one sigma, rank correlation."""
        return (
            str(len(self.errors)),
            f"{self.errors.mean():.2f}",
            f"{100 * np.mean(self.errors <= self.sigmas):.0f}%",
            f"{rank_correlation(self.errors, self.sigmas):.2f}",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both studies for every configuration and print their tables."""
    options = read_options(__doc__, arguments)
    console = make_console()
    for settings, given, frames in studies(options):
        rows = list(_folds(settings, given, frames, options.folds))
        columns = ["held out", "energies", "MAE meV/atom", "within one sigma", "rank correlation"]
        console.print(table(f"{settings.family}, {len(frames)} frames of {', '.join(given.symbols)}", columns, rows))
        left = list(_phases(settings, given, frames))
        columns = ["phase left out", "frames", "sigma inside", "sigma outside", "ratio", "ratio of errors", "within"]
        console.print(table("", columns, left))


def _folds(settings: RunConfig, given: TrainingSet, frames: FrameSet, count: int) -> Iterator[tuple[str, ...]]:
    """Hold every fold out once."""
    folds = fold_numbers(list(frames), count, settings.seed + 1)
    parts = []
    for fold in range(int(folds.max()) + 1):
        parts.append(_judge(settings, given, frames, np.nonzero(folds != fold)[0], np.nonzero(folds == fold)[0]))
        yield (f"fold {fold + 1}", *parts[-1].row())
    yield ("all", *Judged(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("errors", "sigmas"))).row())


def _phases(settings: RunConfig, given: TrainingSet, frames: FrameSet) -> Iterator[tuple[str, ...]]:
    """Leave every phase out; a sixth of the other frames is held out beside it."""
    for name, outside in phases(frames, given.symbols).items():
        rest = np.nonzero(~outside)[0]
        beside = fold_numbers(list(frames.subset(rest)), 6, settings.seed + 1) == 0
        judged = _judge(settings, given, frames, rest[~beside], np.append(rest[beside], np.nonzero(outside)[0]))
        inside, out = (Judged(judged.errors[part], judged.sigmas[part]) for part in _halves(int(beside.sum())))
        sigmas, errors = (np.median(inside.sigmas), np.median(out.sigmas)), (inside.errors, out.errors)
        yield (
            name,
            str(int(outside.sum())),
            f"{sigmas[0]:.2f}",
            f"{sigmas[1]:.2f}",
            f"{sigmas[1] / sigmas[0]:.1f}",
            f"{np.median(errors[1]) / np.median(errors[0]):.1f}",
            out.row()[2],
        )


def _halves(count: int) -> tuple[slice, slice]:
    return slice(0, count), slice(count, None)


def _judge(
    settings: RunConfig,
    given: TrainingSet,
    frames: FrameSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Judged:
    """Fit to the frames `train` and judge the frames `test`."""
    model = fit(settings, given, frames.subset(train))
    tested = frames.subset(test)
    results = evaluate(model, [frame.atoms for frame in tested], gradients=False, members=True)
    scale = MEV_PER_EV / np.array([len(frame) for frame in tested])
    errors = np.array([result.energy - frame.energy for result, frame in zip(results, tested, strict=True)])
    return Judged(scale * np.abs(errors), scale * np.array([result.energy_uncertainty() for result in results]))


if __name__ == "__main__":
    main()
