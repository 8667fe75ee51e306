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

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.console import make_console, table
from rhopot.potentials.fitting.calibration import rank_correlation
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet, load_training_set
from rhopot.potentials.structures import FrameSet, fit_baseline, fold_numbers, split_fraction, split_groups
from rhopot.potentials.units import MEV_PER_EV

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "examples/configs" / f"{name}.yaml" for name in ("soap_linear", "soap_gap")]
PATHS = ROOT / "examples/data/lisi_gpaw"
HIGHEST, RICHEST = 0.8, 0.75
# Frames that a phase needs to be left out, and that must remain.
FEWEST_OUT, FEWEST_IN = 4, 30


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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, action="append", help="configuration(s); both shipped ones by default")
    parser.add_argument("--data", action="append", help="labelled structures; the project's Li-Si paths by default")
    parser.add_argument("--group", help="info key of frames that belong together (`path` for the default data)")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the configuration")
    options = parser.parse_args(arguments)
    data, group = (options.data, options.group) if options.data else ([str(PATHS / "*.xyz")], "path")
    split = f"{{by: group, key: {group}, fraction: 0.1}}" if group else "{by: fraction, fraction: 0.1}"
    words = [f"data.train=[{', '.join(data)}]", f"data.split={split}", *options.overrides]
    console = make_console()
    for config in options.config or CONFIGS:
        settings = load_config(config, words)
        given = load_training_set(settings)
        frames = FrameSet((*given.train, *given.validation))
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
    for name, outside in _masks(frames, given.symbols).items():
        rest = np.nonzero(~outside)[0]
        if outside.sum() < FEWEST_OUT or len(rest) < FEWEST_IN:
            continue
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


def _masks(frames: FrameSet, symbols: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which frames belong to each phase."""
    types = np.array([frame.config_type for frame in frames])
    found = {name: types == name for name in sorted(set(types.tolist())) if len(set(types.tolist())) > 1}
    constants = fit_baseline(frames, symbols)
    excess = np.array([(frame.energy - constants.energy(frame.atoms)) / len(frame) for frame in frames])
    found["highest energies"] = excess > np.quantile(excess, HIGHEST)
    for symbol in symbols if len(symbols) > 1 else ():
        share = np.array([np.mean(np.array(frame.atoms.symbols) == symbol) for frame in frames])
        found[f"rich in {symbol}"] = share > np.quantile(share, RICHEST)
    return found


def _judge(
    settings: RunConfig,
    given: TrainingSet,
    frames: FrameSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Judged:
    """Fit to the frames `train`, of which a validation part is split off, and judge the frames `test`."""
    split = settings.data.split
    divide = split_groups if split.by == "group" else split_fraction
    parts = divide(frames.subset(train), split.fraction, settings.seed)
    trained = fit_model(
        settings, TrainingSet(*parts, given.symbols, given.split, refit_on_validation=False), SingleProcess()
    )
    model = LoadedModel(trained.card, trained.model)
    tested = frames.subset(test)
    results = evaluate(model, [frame.atoms for frame in tested], gradients=False, members=True)
    scale = MEV_PER_EV / np.array([len(frame) for frame in tested])
    errors = np.array([result.energy - frame.energy for result, frame in zip(results, tested, strict=True)])
    return Judged(scale * np.abs(errors), scale * np.array([result.energy_uncertainty() for result in results]))


if __name__ == "__main__":
    main()
