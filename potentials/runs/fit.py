"""One fit: a family, as configured, fitted to a training set; the model with its card.

Descriptor, pair baseline, energy per element, fit, calibration of the predicted uncertainty of forces, card. Every MPI
rank runs the same code; the fit distributes frames over the ranks. Nothing is written here but checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from torch import nn

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.export.card import ForceRadii
from rhopot.potentials.config import RunConfig
from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.families import Family, find_family
from rhopot.potentials.families.contract import make_descriptor, run_fit
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.extrapolation import FEWEST_ATOMS, fit_extrapolation
from rhopot.potentials.fitting.minimum_counts import FEWEST_ERRORS
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.progress import Progress, SilentProgress
from rhopot.potentials.graph.atomic_graph import as_graph, species_of
from rhopot.potentials.graph.edge_cache import EdgeCache
from rhopot.potentials.graph.neighbours import Search, find_edges
from rhopot.potentials.models.local_model import LocalModel
from rhopot.potentials.pair import build_pair, complete_pair, describe_repulsion, shortest_distances
from rhopot.potentials.runs.force_calibration import calibrate_on
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import AUTO, FrameSet
from rhopot.potentials.structures.composition import (
    CompositionBaseline,
    explicit_baseline,
    fit_baseline,
    isolated_atoms_baseline,
)
from rhopot.potentials.structures.examples import energy_range, example_structures
from rhopot.potentials.units import STRETCH

# A: pairs of elements that never come closer count as absent from the data.
FARTHEST = 6.0


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model with the card it is exported with and the fit's report.

    model: fitted to the training part: what reports and plots describe; final: what is saved (see `FitResult`)
    """

    model: nn.Module
    final: nn.Module
    card: ModelCard
    report: dict[str, Any]


def fit_model(
    config: RunConfig,
    data: TrainingSet,
    communicator: Communicator,
    *,
    fractions: Sequence[float] = (),
    progress: Progress | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> TrainedModel:
    """Fit the configured family to `data`; checkpoints go into `folder`, `fractions` to the `FitProblem`."""
    family = find_family(config.family)
    labelled = [frame.labelled_atoms() for frame in data.train]
    equations = None
    if data.earlier is not None:
        equations, config = data.earlier.equations, data.earlier.complete(config)
    made = make_descriptor(family, config.descriptor, () if data.earlier else labelled, data.symbols)
    if communicator.size > 1:  # what is learned from data may differ between processors in the last digits
        made = make_descriptor(family, communicator.broadcast(made.settings), (), data.symbols)
    config = config.model_copy(update={"descriptor": made.settings})
    descriptor, reach = cast("Descriptor", made), family.reach(made.settings)
    search: Search = EdgeCache(reach) if family.kind == "local" else find_edges
    shortest = shortest_distances(data.train, data.symbols, min(reach, FARTHEST), search)
    if family.kind == "local" and not shortest:
        _check_reach(reach, data.train)
    config = _with_distances(config, data.symbols, shortest, reach)
    pair = _pair(config, data, reach)
    baseline = _baseline(config, data, pair)
    if data.earlier is not None:
        baseline = replace(baseline, method=f"of {data.earlier.folder}")
    members = config.uncertainty.members if data.validation.count("energy") >= FEWEST_ERRORS else 0
    problem = FitProblem(
        train=data.train,
        validation=data.validation,
        descriptor=descriptor,
        symbols=data.symbols,
        targets=config.targets,
        baseline=baseline.energies,
        pair=pair,
        refit_on_validation=data.refit_on_validation,
        fractions=fractions,
        members=members,
        seed=config.seed,
        appended_to=equations,
        folder=folder,
        resume=resume,
        progress=progress if progress is not None else SilentProgress(),
        communicator=communicator,
        search=search,
    )
    if communicator.rank == 0:
        _say(problem, baseline, config.uncertainty.members)
        if family.kind == "local":
            for line in describe_repulsion(config.baseline.model_dump(mode="json")["pair"], shortest):
                problem.progress.message(line)
    result = run_fit(family, problem, config.family_settings)
    grades = config.uncertainty.extrapolation and _with_extrapolation(result, problem)
    dtype = torch.float32 if config.dtype == "float32" else torch.float64
    model, final = _as(result.model, dtype), _as(result.final, dtype)
    card = _card(family, config, data, baseline, result, reach, shortest, grades)
    card, report = _with_force_factors(model, card, result, problem)
    return TrainedModel(model, final, card, report)


def _with_extrapolation(result: FitResult, problem: FitProblem) -> bool:
    """Give the models of the fit the grade of environments; False for models that have no atoms, or of too few."""
    models = [model for model in (result.model, result.final) if isinstance(model, LocalModel)]
    if not models or not all(hasattr(model, "descriptor") for model in models):
        return False
    frames = [*problem.train, *(problem.validation if problem.refit_on_validation else ())]
    grade = fit_extrapolation(
        frames, problem.descriptor, problem.symbols, problem.search, problem.communicator, problem.progress
    )
    for model in models:
        model.extrapolation = grade
    if grade is None and problem.communicator.rank == 0:
        problem.progress.message(
            f"note: fewer than {FEWEST_ATOMS} atoms of an element in the data: the model has no extrapolation grades, "
            "which say which environments lie outside the data"
        )
    return grade is not None


def _check_reach(reach: float, frames: FrameSet) -> None:
    """Refuse a cutoff within which no atom of the training data has a neighbor (one in nm, say)."""
    if reach <= FARTHEST and any(len(frame) > 1 for frame in frames):
        raise ValueError(
            "descriptor.cutoff must reach neighbors of atoms in the training data, got "
            f"{reach:g} A, within which no atom has one; give it in A"
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
            fitted = problem.targets.forces is not None
            why = (
                "too few forces that do not vanish in the validation set"
                if fitted
                else "no forces are fitted (targets.forces is null)"
            )
            problem.progress.message(f"note: the predicted uncertainty of forces is not calibrated: {why}")
        return card, report | {"force_calibration": None}
    numbers = asdict(found)
    radii = {symbol: ForceRadii(**one) for symbol, one in numbers["radii"].items()}
    uncertainty = card.uncertainty.model_copy(update={"force_factors": found.factors, "force_radii": radii})
    card = card.model_copy(update={"uncertainty": uncertainty, "fit": {**card.fit, "force_calibration": numbers}})
    return card, report | {"force_calibration": numbers}


def _as(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the model with its tables and weights in `dtype`."""
    return model if dtype == torch.float64 else model.to(dtype)


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


def _pair(config: RunConfig, data: TrainingSet, reach: float) -> nn.Module | None:
    """The configured pair baseline."""
    settings = config.baseline.pair
    if settings is None:
        return None
    return build_pair(settings, data.symbols, data.train, reach)


def _with_distances(
    config: RunConfig, symbols: Sequence[str], shortest: Mapping[str, float], reach: float
) -> RunConfig:
    """Return the configuration with the distances of its repulsion that come from the training data (`shortest`, A)."""
    if config.baseline.pair is None:
        return config
    pair = complete_pair(config.baseline.pair, symbols, shortest, reach)
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
            f"note: fewer than {FEWEST_ERRORS} validation frames with energies, which calibrate the uncertainty: "
            "the model gets none"
        )


def _frame_keys(config: RunConfig) -> dict[str, str]:
    """Names of the entries that classify and group frames, where they are set."""
    keys, split = config.data.keys, config.data.split
    named = {"config_type": keys.config_type} if keys.config_type != AUTO.config_type else {}
    return named | ({"group": split.key} if split.by == "group" and split.key else {})


def _card(
    family: Family,
    config: RunConfig,
    data: TrainingSet,
    baseline: CompositionBaseline,
    result: FitResult,
    reach: float,
    shortest: Mapping[str, float],
    grades: bool,
) -> ModelCard:
    """What the model file says of itself."""
    report, regressor = result.report, config.regressor.model_dump(mode="json")
    summary = data.train.summary()
    summary |= {
        "keys": {**summary["keys"], **_frame_keys(config)},
        "energy_range": energy_range(data.train, baseline),
        "examples": example_structures(data.train, baseline),
        "shortest_distances": {pair: round(distance, 4) for pair, distance in shortest.items()},
        "split": data.split,
        "n_validation": len(data.validation),
        "fitted_to_validation": data.refit_on_validation,
        **({"not_fitted": dict(data.not_fitted)} if data.not_fitted else {}),
        **({"wrong_stresses": data.wrong_stresses} if data.wrong_stresses else {}),
    }
    fit = {
        "regressor": {name: regressor[name] for name in report["regressor"]},
        **({"training": report["training"]} if "training" in report else {}),
        "targets": config.targets.model_dump(mode="json"),
        "baseline": config.baseline.model_dump(mode="json"),
        "seed": config.seed,
        "calibration": report.get("calibration"),
    }
    return ModelCard(
        family=family.name,
        kind=family.kind,
        symbols=data.symbols,
        cutoff=reach,
        n_layers=int(getattr(result.model, "n_layers", family.n_layers)),
        dtype=config.dtype,
        baseline_energies=baseline.as_dict(),
        uncertainty=Uncertainty(members=int(cast("Any", result.model).n_members), extrapolation=grades),
        descriptor=config.descriptor.model_dump(mode="json"),
        fit=fit,
        training_data=TrainingData(summary=summary, hash=data.train.digest()),
        metrics={"validation": report["validation"]},
        references=family.references,
        stretch=(STRETCH if family.stretch is None else family.stretch) if family.kind == "global" else None,
    )
