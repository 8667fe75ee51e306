"""Problem and result of a fit: the same for all families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.fitting.calibration import ForceCalibration
from rhopot.potentials.fitting.communicator import Communicator, SingleProcess
from rhopot.potentials.fitting.progress import Progress, SilentProgress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, graphs
from rhopot.potentials.graph.edge_cache import EdgeCache
from rhopot.potentials.graph.neighbours import Search
from rhopot.potentials.structures import Frame, naming


@dataclass(frozen=True)
class FitProblem:
    """Data, descriptor and circumstances of a fit.

    train, validation: labelled frames; validation measures the errors and calibrates the members
    refit_on_validation: make a final model too, fitted to both parts once the errors are known
    descriptor: features in float64 (see `descriptors.descriptor`); symbols: elements in the model's order
    baseline: energy of each symbol in eV; pair: pair baseline or None
    fractions: of the training frames; the fit adds the learning curve of fits to them where that costs it little
    members: number K of member columns; seed: of selection and draws
    search: finds the neighbours of the frames' atoms; by default they are kept
    appended_to: equations of an earlier fit (`least_squares.kept_equations`) to the first frames of `train`, with the
        same descriptor, symbols, targets and baseline; None: the fit starts with none
    folder: where checkpoints go (None: nowhere), and stay until its owner removes them; resume: start from them
    """

    train: Sequence[Frame]
    validation: Sequence[Frame]
    descriptor: Descriptor
    symbols: Sequence[str]
    targets: Targets
    baseline: Sequence[float]
    pair: nn.Module | None = None
    refit_on_validation: bool = False
    fractions: Sequence[float] = ()
    members: int = 16
    seed: int = 0
    appended_to: Path | None = None
    folder: Path | None = None
    resume: bool = False
    progress: Progress = field(default_factory=SilentProgress)
    communicator: Communicator = field(default_factory=SingleProcess)
    search: Search = field(default_factory=EdgeCache)

    def graphs(self, frame: Frame, max_edges: int) -> Iterator[AtomicGraph]:
        """Return the graphs of a frame: all its centres, in batches of at most `max_edges` edges."""
        with naming(frame):
            yield from graphs(frame.atoms, self.symbols, self.descriptor.cutoff, max_edges, self.search)

    def __post_init__(self) -> None:
        if len(self.train) == 0:
            raise ValueError("train must hold at least one frame, got none; check the data files and the split")
        if len(self.baseline) != len(self.symbols):
            raise ValueError(
                f"baseline must have one energy per symbol ({', '.join(self.symbols)}), got {len(self.baseline)}; "
                "give 0 for an element without one"
            )


@dataclass(frozen=True)
class FitResult:
    """Fitted models and a report, on every rank.

    model: fitted to the training set, the one that all numbers in `report` describe
    final: the model that is saved: refitted on the validation set as well where the problem asks for it, else `model`
    report: plain numbers about the fit; "learning_curve": for each of the problem's `fractions` (its `repr`), if for
        any, {"n_frames", "errors"} of a fit to nested parts, errors as in "validation"
    force_calibration: of the predicted uncertainty of forces, from a fit that has better evidence than errors of the
        model on the validation set; None leaves it to the caller
    """

    model: nn.Module
    final: nn.Module
    report: dict[str, Any]
    force_calibration: ForceCalibration | None = None
