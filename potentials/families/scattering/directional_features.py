"""Features of a part of the data: of its frames, of some of them shifted, and their directional derivatives.

Everything that is computed of structures is planned here, so that it can be counted before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import ScatteringGrid, ScatteringSettings, WaveletScattering, choose_grid
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.feature_store import FeatureStore, Sample, feature_rows
from rhopot.potentials.families.scattering.perturbations import random_directions, random_shift, random_strains
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.structures import Frame, naming
from rhopot.potentials.units import STRETCH

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PerturbedRows:
    """Rows of perturbed frames.

    owners: (m) the frames; displacements: (m) shifts or directions (N, 3), or strains (3, 3); rows: (m, F)
    """

    owners: Integers
    displacements: Sequence[Floats]
    rows: Floats

    def join(self, other: PerturbedRows, first: int) -> PerturbedRows:
        """Return these and others, whose frames are numbered from `first`."""
        owners = np.concatenate([self.owners, first + other.owners])
        return PerturbedRows(
            owners, [*self.displacements, *other.displacements], np.concatenate([self.rows, other.rows])
        )


@dataclass(frozen=True)
class StructureFeatures:
    """Frames of a part and the features that were computed of them.

    values: (n, F) per atom; shifted: what shifts add; directed, strained: derivatives along directions and strains
    """

    frames: Sequence[Frame]
    values: Floats
    shifted: PerturbedRows
    directed: PerturbedRows
    strained: PerturbedRows

    def join(self, other: StructureFeatures) -> StructureFeatures:
        """Return both parts as one."""
        first = len(self.frames)
        return StructureFeatures(
            [*self.frames, *other.frames],
            np.concatenate([self.values, other.values]),
            self.shifted.join(other.shifted, first),
            self.directed.join(other.directed, first),
            self.strained.join(other.strained, first),
        )


@dataclass(frozen=True)
class EvaluationPlan:
    """What has to be computed of a part.

    still: its frames; shifted: frames with a shift; forces, stress: derivatives along directions and strains
    """

    frames: Sequence[Frame]
    still: list[Sample]
    shifted: list[tuple[int, Sample]]
    forces: list[tuple[int, Sample]]
    stress: list[tuple[int, Sample]]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.still) + len(self.shifted) + len(self.forces) + len(self.stress)

    @property
    def passes(self) -> list[Sample]:
        """The sample of every evaluation of the features: two for a derivative."""
        derivatives = [sample for _, sample in (*self.forces, *self.stress)]
        return [*self.still, *[sample for _, sample in self.shifted], *derivatives, *derivatives]


def plan_evaluations(
    problem: FitProblem, settings: ScatteringFitSettings, frames: Sequence[Frame], perturbed: bool
) -> EvaluationPlan:
    """Return what has to be computed of some frames of a problem; `perturbed`: shifts and derivatives too.

    problem.descriptor is a `WaveletScattering`. Structures with larger-than-median grids get proportionally
    fewer directional derivatives, to bound the cost of a few large cells.
    """
    scattering: Any = problem.descriptor
    grids = [grid_of(frame, scattering.settings) for frame in frames]
    still = [Sample(f.atoms, grid, np.zeros((len(f), 3))) for f, grid in zip(frames, grids, strict=True)]
    plan = EvaluationPlan(frames, still, [], [], [])
    if not perturbed:
        return plan
    for k in evenly(range(len(frames)), settings.translated):
        plan.shifted.append((k, Sample(frames[k].atoms, grids[k], random_shift(frames[k], grids[k], problem.seed))))
    median = float(np.median([one.points for one in still])) if still else 1.0
    for k, (frame, grid) in enumerate(zip(frames, grids, strict=True)):
        asked, share = problem.targets.sigmas(frame), median / still[k].points
        for u in random_directions(frame, fewer(settings.directions, share) if "forces" in asked else 0, problem.seed):
            plan.forces.append((k, Sample(frame.atoms, grid, u, derivative=True)))
        for e in random_strains(frame, fewer(settings.strains, share) if "stress" in asked else 0, problem.seed):
            plan.stress.append((k, Sample(frame.atoms, grid, frame.atoms.positions @ e, derivative=True, strain=e)))
    return plan


def evaluate_plan(
    plan: EvaluationPlan, name: str, problem: FitProblem, scattering: WaveletScattering, store: FeatureStore
) -> StructureFeatures:
    """Return the features of a part, whose name progress is told under."""

    def rows(samples: Sequence[Sample], what: str) -> Floats:
        if not samples:
            return np.zeros((0, scattering.n_features))
        return feature_rows(samples, scattering, store, problem.communicator, problem.progress, f"{what}, {name}")

    def perturbed(planned: Sequence[tuple[int, Sample]], what: str) -> PerturbedRows:
        samples = [sample for _, sample in planned]
        owners = np.array([k for k, _ in planned], dtype=np.int64)
        displacements = [sample.displacement if sample.strain is None else sample.strain for sample in samples]
        return PerturbedRows(owners, displacements, rows(samples, what))

    values = rows(plan.still, "features")
    shifted = perturbed(plan.shifted, "shifted frames")
    shifted = PerturbedRows(shifted.owners, shifted.displacements, shifted.rows - values[shifted.owners])
    return StructureFeatures(
        plan.frames, values, shifted, perturbed(plan.forces, "directions"), perturbed(plan.stress, "strains")
    )


def grid_of(frame: Frame, settings: ScatteringSettings) -> ScatteringGrid:
    """Return the grid of a frame, the one that a run from it would choose."""
    with naming(frame):
        return choose_grid(settings, frame.atoms, STRETCH)


def fewer(count: int, share: float) -> int:
    """Return a share of `count`, at most all and, of any, at least one."""
    return min(count, max(1, round(count * share)))


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly chosen."""
    count = min(most, len(items))
    return [items[k * len(items) // count] for k in range(count)]
