"""Common parts of the studies: training on frames in memory, test errors, storage of finished cases, figures.

A study is a list of named cases. Each case is trained and tested once and its numbers are written to `results.json` in
the output folder at once, so an interrupted study continues where it ended. Networks of several seeds are trained
together as one committee (`uncertainty.members`), and errors are given per seed: mean and standard deviation.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.config import load_config
from rhopot.potentials.console import FitProgress, make_console
from rhopot.potentials.files import write_text
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.runs.fit import TrainedModel, fit_model
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet, read_frames

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "examples" / "configs"
PUBLIC = ROOT.parent / "shared" / "data" / "public"
# What the ready configuration does otherwise than the paper: the norms, and the network.
NORMS = ["descriptor.harmonics=cartesian", "descriptor.regularization_length=null", "descriptor.regularization=1e-6"]
PUBLISHED = [
    *NORMS,
    "regressor.hidden=[50, 50, 50]",
    "regressor.activation=tanh",
]

Floats = NDArray[np.float64]


class Study:
    """Output folder, finished cases and console of one program."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.console = make_console()
        self._file = output / "results.json"
        output.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, dict[str, Any]] = {}
        if self._file.exists():
            self.results = json.loads(self._file.read_text(encoding="utf-8"))

    def case(self, name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Numbers of a case: those that are there, or `run`'s, kept."""
        if name not in self.results:
            begin = time.perf_counter()
            found = run()
            self.results[name] = {**found, "seconds": time.perf_counter() - begin}
            write_text(self._file, json.dumps(self.results, indent=1) + "\n")
            self.console.print(f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in found.items()))
        return self.results[name]

    def train(
        self, config: str, words: Sequence[str], train: FrameSet, validation: FrameSet, symbols: Sequence[str]
    ) -> LoadedModel:
        """Model of a shipped configuration, changed by `words`, trained on the frames given."""
        settings = load_config(CONFIGS / f"{config}.yaml", ["data.train=[in-memory]", *words])
        data = TrainingSet(train, validation, tuple(symbols), "given", refit_on_validation=False)
        with FitProgress(self.console) as progress:
            trained: TrainedModel = fit_model(settings, data, SingleProcess(), progress=progress)
        return LoadedModel(trained.card, trained.final.eval())


def arguments(description: str | None, data: str, output: str) -> argparse.ArgumentParser:
    """Command line that the studies share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=PUBLIC / data, help="labelled structures (extended XYZ)")
    parser.add_argument(
        "--output", type=Path, default=Path("runs") / output, help="results and plots; kept and resumed"
    )
    parser.add_argument("--seeds", type=int, default=3, help="networks per case")
    parser.add_argument("--epochs", type=int, default=None, help="in the place of the study's own number")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of every case")
    return parser


def read(path: Path) -> FrameSet:
    """Frames of a file that must be there."""
    if not path.exists():
        raise SystemExit(f"--data must be a file of labelled structures, got '{path}', which is not there; give a path")
    return read_frames([str(path)])


def shuffled(frames: FrameSet, seed: int = 0) -> FrameSet:
    """The frames in a seeded random order."""
    return frames.subset(np.random.default_rng(seed).permutation(len(frames)))


def members_of(seeds: int) -> str:
    """The override that trains `seeds` networks together."""
    return f"uncertainty.members={seeds if seeds > 1 else 0}"


def energy_errors(model: LoadedModel, frames: FrameSet) -> Floats:
    """Errors (K, frames) in eV of the total energies, one row for each network."""
    results = evaluate(model, [frame.atoms for frame in frames], gradients=False, members=True)
    labels = np.array([frame.energy for frame in frames], dtype=float)
    if results[0].members is None:
        return np.array([result.energy for result in results])[None] - labels
    mean = np.array([result.energy for result in results])
    totals = np.array([result.members.sum(axis=0) for result in results if result.members is not None]).T
    # In the file the members' deviations are multiplied by a factor that calibrates them.
    return mean + (totals - mean) / float(model.module.calibration) - labels


def force_errors(model: LoadedModel, frames: FrameSet) -> Floats:
    """Errors of all force components of the committee's mean, in eV/A."""
    labelled = [frame for frame in frames if frame.forces is not None]
    results = evaluate(model, [frame.atoms for frame in labelled])
    return np.concatenate([(r.forces - f.forces).ravel() for r, f in zip(results, labelled, strict=True)])


def plain_ticks(*panels: Axes) -> None:
    """Numbers as they are spoken (20, 50, 100) on logarithmic axes."""
    for axes in panels:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_locator(NullLocator())


def per_seed(errors: Floats, scale: float = 1e3) -> list[float]:
    """Mean absolute error of each network; eV become meV."""
    return [float(value) for value in scale * np.abs(errors).mean(axis=1)]


def over_seeds(values: Sequence[float]) -> str:
    """Mean and, of several networks, standard deviation in words."""
    deviation = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


def figure(columns: int = 1, width: float = 4.6, height: float = 3.8) -> tuple[Figure, list[Any]]:
    """A figure without pyplot and its axes."""
    made = Figure(figsize=(width * columns, height), layout="constrained")
    FigureCanvasAgg(made)
    return made, list(np.atleast_1d(made.subplots(1, columns)))


def _short(value: Any) -> str:
    if isinstance(value, list):
        return over_seeds(value) if all(isinstance(v, float) for v in value) else f"{len(value)} values"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
