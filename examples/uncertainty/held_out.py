"""What the studies of predicted uncertainty share: options, data, phases to leave out, and the fit to the rest."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rhopot.export import LoadedModel
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet, load_training_set
from rhopot.potentials.structures import FrameSet, fit_baseline, split_fraction, split_groups

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [ROOT / "examples/configs" / f"{name}.yaml" for name in ("soap_linear", "soap_gap")]
PATHS = ROOT / "examples/data/lisi_gpaw"
HIGHEST, RICHEST = 0.8, 0.75
# Frames that a phase needs to be left out, and that must remain.
FEWEST_OUT, FEWEST_IN = 4, 30


def read_options(text: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a program with this docstring."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n")[0])
    parser.add_argument("--config", type=Path, action="append", help="configuration(s); both shipped ones by default")
    parser.add_argument("--data", action="append", help="labelled structures; the project's Li-Si paths by default")
    parser.add_argument("--group", help="info key of frames that belong together (`path` for the default data)")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the configuration")
    return parser.parse_args(arguments)


def studies(options: argparse.Namespace) -> Iterator[tuple[RunConfig, TrainingSet, FrameSet]]:
    """Yield the settings, the training set and all frames of every configuration."""
    data, group = (options.data, options.group) if options.data else ([str(PATHS / "*.xyz")], "path")
    split = f"{{by: group, key: {group}, fraction: 0.1}}" if group else "{by: fraction, fraction: 0.1}"
    words = [f"data.train=[{', '.join(data)}]", f"data.split={split}", *options.overrides]
    for config in options.config or CONFIGS:
        settings = load_config(config, words)
        given = load_training_set(settings)
        yield settings, given, FrameSet((*given.train, *given.validation))


def phases(frames: FrameSet, symbols: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return which frames belong to each phase that can be left out."""
    types = np.array([frame.config_type for frame in frames])
    found = {name: types == name for name in sorted(set(types.tolist())) if len(set(types.tolist())) > 1}
    constants = fit_baseline(frames, symbols)
    excess = np.array([(frame.energy - constants.energy(frame.atoms)) / len(frame) for frame in frames])
    found["highest energies"] = excess > np.quantile(excess, HIGHEST)
    for symbol in symbols if len(symbols) > 1 else ():
        share = np.array([np.mean(np.array(frame.atoms.symbols) == symbol) for frame in frames])
        found[f"rich in {symbol}"] = share > np.quantile(share, RICHEST)
    return {name: out for name, out in found.items() if out.sum() >= FEWEST_OUT and (~out).sum() >= FEWEST_IN}


def fit(settings: RunConfig, given: TrainingSet, frames: FrameSet) -> LoadedModel:
    """Return the model fitted to these frames, of which a validation part is split off."""
    split = settings.data.split
    divide = split_groups if split.by == "group" else split_fraction
    parts = divide(frames, split.fraction, settings.seed)
    trained = fit_model(
        settings, TrainingSet(*parts, given.symbols, given.split, refit_on_validation=False), SingleProcess()
    )
    return LoadedModel(trained.card, trained.model)
