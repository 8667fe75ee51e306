"""From a run configuration to a fitted model and its card: data, split, baseline, descriptor, fit, learning curve.

Every MPI rank runs the same code; frames are dealt to ranks inside the fit. Nothing is written here but checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from torch import nn

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.families import FAMILIES
from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.progress import Progress, SilentProgress
from rhopot.potentials.graph.atomic_graph import as_graph, species_of
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.pair import build_pair, complete_pair, describe_repulsion, shortest_distances
from rhopot.potentials.runs.data_checks import check_config_types, check_validation, labelled, left_out, overlap
from rhopot.potentials.runs.force_calibration import calibrate_on
from rhopot.potentials.structures import FrameSet, read_frames
from rhopot.potentials.structures.composition import (
    CompositionBaseline,
    explicit_baseline,
    fit_baseline,
    is_isolated_atom,
    isolated_atoms_baseline,
)
from rhopot.potentials.structures.examples import energy_range, example_structures
from rhopot.potentials.structures.split import split_fraction, split_groups
from rhopot.potentials.units import STRETCH

# Fewest validation frames that a split asks for: members are calibrated on them.
MIN_VALIDATION = 3
# A: pairs of elements that never come closer count as absent from the data.
FARTHEST = 6.0


@dataclass(frozen=True)
class TrainingSet:
    """Frames of a run, their elements in the model's order, and how the validation part came about.

    absorb: the saved model is fitted to the validation part too; never one that was given as such.
    notes: what must be known of the data before the fit.
    """

    train: FrameSet
    validation: FrameSet
    symbols: tuple[str, ...]
    split: str
    refit_on_validation: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model with the card it is exported with and the fit's report.

    model: fitted to the training part: what reports and plots describe; final: what is saved (see `FitResult`)
    """

    model: nn.Module
    final: nn.Module
    card: ModelCard
    report: dict[str, Any]


@dataclass(frozen=True)
class LearningCurve:
    """Validation errors against the number of training frames (energies meV/atom, forces meV/A)."""

    n_frames: list[int]
    errors: dict[str, list[float]]


def load_training_set(config: RunConfig) -> TrainingSet:
    """Read the frames, split a validation part off where none is given, and require the targets that are asked for.

    Labels that the targets leave out are taken away here, and training frames without any: nothing else sees them.
    """
    data = config.data
    if not data.train:
        raise ValueError("data.train must name the training data, got nothing; add data.train=my.xyz")
    group_key = data.split.key if data.split.by == "group" else None
    train = read_frames(list(data.train), data.keys, group_key)
    given = read_frames(list(data.validation), data.keys, preferred=train.used) if data.validation else None
    check_config_types(config.targets, [*train, *(given or ())])
    notes = left_out(config.targets, train)
    train = config.targets.kept(train)
    train.require(config.targets.required, instead=", or leave it out with targets.{}=null")
    train.require_any(config.targets.fitted)
    train, unlabelled = labelled(train)
    if given is not None:
        validation, split = config.targets.kept(given), "given"
    else:
        train, validation = _split(train, config)
        by_group = f"{data.split.fraction:g} of the groups by {data.split.key}"
        split = by_group if data.split.by == "group" else f"{len(validation)} frames at random"
    check_validation(config.targets, train, validation, bool(data.validation))
    notes += unlabelled + overlap(train, validation)
    symbols = tuple(config.descriptor.get("symbols") or train.symbols)
    for name, frames in (("train", train), ("validation", validation)):
        unknown = sorted(set(frames.symbols) - set(symbols))
        if unknown:
            raise ValueError(
                f"data.{name} must hold only the elements {', '.join(symbols)}, got {', '.join(unknown)} as well; "
                "add training frames with them, or to descriptor.symbols"
            )
    refit_on_validation = not data.validation and data.split.refit
    return TrainingSet(train, validation, symbols, split, refit_on_validation, notes)


def _split(frames: FrameSet, config: RunConfig) -> tuple[FrameSet, FrameSet]:
    """Training and validation part; isolated atoms, which fix energies per element, always train."""
    split = config.data.split
    rows = [row for row, frame in enumerate(frames) if not is_isolated_atom(frame)]
    others = frames.subset(rows) if len(rows) > 1 else frames
    if split.by == "group":
        validation = split_groups(others, split.fraction, config.seed)[1]
    else:
        fraction = min(max(split.fraction, MIN_VALIDATION / len(others)), 0.5)
        validation = split_fraction(others, fraction, config.seed)[1]
    held_out = {id(frame) for frame in validation}
    return frames.subset([row for row, frame in enumerate(frames) if id(frame) not in held_out]), validation


def fit_model(
    config: RunConfig,
    data: TrainingSet,
    communicator: Communicator,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> TrainedModel:
    """Fit the configured family to `data`; checkpoints go into `folder`."""
    family = FAMILIES[config.family]
    settings = family.complete(config.descriptor, [frame.atoms for frame in data.train])
    config = config.model_copy(update={"descriptor": settings})
    shortest = shortest_distances(data.train, data.symbols, min(_reach(config), FARTHEST))
    if family.kind == "local" and not shortest:
        _check_reach(config, data.train)
    config = _with_distances(config, data.symbols, shortest)
    descriptor = cast("Descriptor", family.build(settings, data.symbols))
    pair = _pair(config, data)
    baseline = _baseline(config, data, pair)
    members = config.uncertainty.members if data.validation.count("energy") >= MIN_VALIDATION else 0
    problem = FitProblem(
        train=data.train,
        validation=data.validation,
        descriptor=descriptor,
        symbols=data.symbols,
        targets=config.targets,
        baseline=baseline.energies,
        pair=pair,
        refit_on_validation=data.refit_on_validation,
        members=members,
        seed=config.seed,
        folder=folder,
        resume=resume,
        progress=progress if progress is not None else SilentProgress(),
        communicator=communicator,
    )
    if communicator.rank == 0:
        _say(problem, baseline, config.uncertainty.members)
        if family.kind == "local":
            for line in describe_repulsion(config.baseline.model_dump(mode="json")["pair"], shortest):
                problem.progress.message(line)
    result = family.fit(problem, config)
    dtype = torch.float32 if config.dtype == "float32" else torch.float64
    model, final = _as(result.model, dtype), _as(result.final, dtype)
    card, report = _with_force_factors(model, _card(config, data, baseline, result, shortest), result, problem)
    return TrainedModel(model, final, card, report)


def _check_reach(config: RunConfig, frames: FrameSet) -> None:
    """Refuse a cutoff within which no atom of the training data has a neighbor (one in nm, say)."""
    if _reach(config) <= FARTHEST and any(len(frame) > 1 for frame in frames):
        raise ValueError(
            "descriptor.cutoff must reach neighbors of atoms in the training data, got "
            f"{_reach(config):g} A, within which no atom has one; give it in A"
        )


def _with_force_factors(
    model: nn.Module, card: ModelCard, result: FitResult, problem: FitProblem
) -> tuple[ModelCard, dict[str, Any]]:
    """Return card and report with the calibration of the uncertainty of forces."""
    report, found = result.report, result.force_calibration
    if found is None:
        found = calibrate_on(
            LoadedModel(card, model.eval()), problem.validation, problem.communicator, problem.progress
        )
    if found is None:
        if problem.members and problem.communicator.rank == 0:
            problem.progress.message(
                "note: the predicted uncertainty of forces is not calibrated: too few forces in the validation set"
            )
        return card, report | {"force_calibration": None}
    numbers = asdict(found)
    uncertainty = card.uncertainty.model_copy(update={"force_factors": found.factors})
    card = card.model_copy(update={"uncertainty": uncertainty, "fit": {**card.fit, "force_calibration": numbers}})
    return card, report | {"force_calibration": numbers}


def _as(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the model with its tables and weights in `dtype`."""
    return model if dtype == torch.float64 else model.to(dtype)


def learning_curve(
    config: RunConfig,
    data: TrainingSet,
    communicator: Communicator,
    full: Mapping[str, float],
    progress: Progress | None = None,
    known: Mapping[str, Any] | None = None,
    keep: Callable[[Mapping[str, Any]], None] = lambda points: None,
) -> LearningCurve:
    """Validation errors of fits to the configured fractions of the training data, and those of the full fit.

    Whole groups are drawn where the split is by group; smaller sets are parts of larger ones. All hold
    the isolated atoms.

    full: validation errors of the full fit
    known: points of an earlier call, as it gave them to `keep`, that are not fitted again
    keep: takes all points after each fit: number of frames and errors by fraction
    """
    points: dict[str, Any] = dict(known or {})
    lean = config
    if FAMILIES[config.family].training is None:  # a committee's prediction is made by its members
        lean = config.model_copy(update={"uncertainty": config.uncertainty.model_copy(update={"members": 0})})
    asked = [repr(fraction) for fraction in sorted(config.report.learning_curve)]
    for name in asked:
        part = replace(data, train=_subset(data.train, float(name), config), refit_on_validation=False)
        if name in points or set(part.train.symbols) != set(data.train.symbols):
            continue
        bars = _BarsOnly(progress, f"{len(part.train)} frames") if progress is not None else None
        fitted = fit_model(lean, part, communicator, progress=bars)
        points[name] = {"n_frames": len(part.train), "errors": fitted.report["validation"]}
        keep(points)
    found = [points[name] for name in asked if name in points]
    found.append({"n_frames": len(data.train), "errors": full})
    names = sorted(set.intersection(*(set(point["errors"]) for point in found)))
    return LearningCurve(
        [point["n_frames"] for point in found], {name: [point["errors"][name] for point in found] for name in names}
    )


class _BarsOnly(SilentProgress):
    """Passes stages on and keeps forecasts and messages of the smaller fits to itself."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name

    def start(self, stage: str, total: int) -> None:
        """Pass on, with the name of the fit."""
        self._progress.start(f"{self._name}: {stage}", total)

    def advance(self, stage: str, done: int) -> None:
        """Pass on."""
        self._progress.advance(f"{self._name}: {stage}", done)

    def describe(self, stage: str, text: str) -> None:
        """Pass on."""
        self._progress.describe(f"{self._name}: {stage}", text)


def _subset(train: FrameSet, fraction: float, config: RunConfig) -> FrameSet:
    """That part of the training frames, isolated atoms on top; the parts of larger fractions contain it."""
    rows = [row for row, frame in enumerate(train) if not is_isolated_atom(frame)]
    order = _nested_order(train.subset(rows), config)
    left_out = {rows[k] for k in order[max(1, round(fraction * len(order))) :]}
    return train.subset([row for row in range(len(train)) if row not in left_out])


def _nested_order(train: FrameSet, config: RunConfig) -> list[int]:
    """Rows of the training frames, shuffled by group or one by one."""
    rng = np.random.default_rng(config.seed)
    if config.data.split.by != "group":
        return [int(k) for k in rng.permutation(len(train))]
    groups = sorted({str(frame.group) for frame in train})
    place = {groups[int(g)]: k for k, g in enumerate(rng.permutation(len(groups)))}
    return sorted(range(len(train)), key=lambda row: place[str(train[row].group)])


def _baseline(config: RunConfig, data: TrainingSet, pair: nn.Module | None) -> CompositionBaseline:
    """Energy per element as configured; least squares are taken on what the pair baseline leaves."""
    elements = config.baseline.elements
    if isinstance(elements, dict):
        return explicit_baseline(elements, data.symbols)
    if elements == "isolated":
        return isolated_atoms_baseline(data.train, data.symbols)
    labelled = [frame for frame in data.train if frame.energy is not None]
    if not labelled:
        return CompositionBaseline(
            data.symbols, (0.0,) * len(data.symbols), "zero", "no energies in the data: zero per element"
        )
    left = None
    if pair is not None:
        left = np.array([float(f.energy or 0.0) - _pair_energy(pair, f.atoms, data.symbols) for f in labelled])
    return fit_baseline(labelled, data.symbols, energies=left)


def _pair(config: RunConfig, data: TrainingSet) -> nn.Module | None:
    """The configured pair baseline."""
    settings = config.baseline.pair
    if settings is None:
        return None
    return build_pair(settings, data.symbols, data.train, _reach(config))


def _reach(config: RunConfig) -> float:
    """Cutoff (A) of the model, or how far atoms of a global one act on each other."""
    return FAMILIES[config.family].reach(config.descriptor)


def _with_distances(config: RunConfig, symbols: Sequence[str], shortest: Mapping[str, float]) -> RunConfig:
    """Return the configuration with the distances of its repulsion that come from the training data (`shortest`, A)."""
    if config.baseline.pair is None:
        return config
    pair = complete_pair(config.baseline.pair, symbols, shortest, _reach(config))
    return config.model_copy(update={"baseline": config.baseline.model_copy(update={"pair": pair})})


def _pair_energy(pair: nn.Module, atoms: Atoms, symbols: Sequence[str]) -> float:
    """Energy (eV) of a structure in the pair baseline."""
    cutoff = float(cast("float", pair.cutoff))
    graph = as_graph(find_edges(atoms, cutoff), species_of(atoms, symbols))
    with torch.no_grad():
        return float(pair(graph).sum())


def _say(problem: FitProblem, baseline: CompositionBaseline, members: int) -> None:
    energies = ", ".join(f"{symbol} {energy:.4f}" for symbol, energy in baseline.as_dict().items())
    problem.progress.message(f"baseline ({baseline.method}): {energies} eV/atom")
    if baseline.note:
        problem.progress.message(f"note: {baseline.note}")
    if members and not problem.members:
        problem.progress.message(
            f"note: fewer than {MIN_VALIDATION} validation frames with energies, which calibrate the uncertainty: "
            "the model gets none"
        )


def _card(
    config: RunConfig,
    data: TrainingSet,
    baseline: CompositionBaseline,
    result: FitResult,
    shortest: Mapping[str, float],
) -> ModelCard:
    """What the model file says of itself."""
    family = FAMILIES[config.family]
    report = result.report
    summary = {
        **data.train.summary(),
        "energy_range": energy_range(data.train, baseline),
        "examples": example_structures(data.train, baseline),
        "shortest_distances": {pair: round(distance, 4) for pair, distance in shortest.items()},
        "split": data.split,
        "n_validation": len(data.validation),
        "fitted_to_validation": data.refit_on_validation,
    }
    fit = {
        "regressor": {name: config.regressor[name] for name in report["regressor"]},
        **({"training": report["training"]} if "training" in report else {}),
        "targets": config.targets.model_dump(mode="json"),
        "baseline": config.baseline.model_dump(mode="json"),
        "seed": config.seed,
        "calibration": report.get("calibration"),
    }
    return ModelCard(
        family=config.family,
        kind=family.kind,
        symbols=data.symbols,
        cutoff=family.reach(config.descriptor),
        n_layers=1,
        dtype=config.dtype,
        baseline_energies=baseline.as_dict(),
        uncertainty=Uncertainty(members=int(cast("Any", result.model).n_members)),
        descriptor={**config.descriptor, "symbols": list(data.symbols)},
        fit=fit,
        training_data=TrainingData(summary=summary, hash=data.train.digest()),
        metrics={"validation": report["validation"]},
        references=family.references,
        stretch=STRETCH if family.kind == "global" else None,
    )
