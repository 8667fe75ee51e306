"""Coverage of the predicted error of forces (`forces_error`): atoms whose force error is within it; 90 % are expected.

    python examples/uncertainty/force_error.py [--config FILE] [--data FILE ...] [--group KEY] [--folds 4] [key=value]

Every fold is held out once; the fit calibrates on a validation part of the rest alone. Printed for the atoms held out,
by fold, config_type, and thirds of the force and of the predicted standard deviation: their number, the mean length of
the force error, the mean predicted error (meV/A), the part of the atoms within it, the part whose environments the
model does not call `supported`, and the part within the predicted error among those that are. Then the same for each
phase that is left out of the fit wholly (as in `run.py`). Atoms whose error and standard deviation are both rounding do
not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from held_out import fit, phases, read_options, studies
from numpy.typing import NDArray

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.config import RunConfig
from rhopot.potentials.console import make_console, table
from rhopot.potentials.fitting.force_radii import not_negligible
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import FrameSet, fold_numbers
from rhopot.potentials.units import MEV_PER_EV

COLUMNS = ["held out", "atoms", "error meV/A", "predicted error", "within", "not supported", "supported: within"]


@dataclass(frozen=True)
class Atoms:
    """Lengths of force errors, predicted errors, standard deviations and forces in eV/A, extrapolation grades,
    config_types; all (n).
    """

    errors: NDArray[np.float64]
    radii: NDArray[np.float64]
    deviations: NDArray[np.float64]
    forces: NDArray[np.float64]
    grades: NDArray[np.float64]
    types: NDArray[np.str_]

    @staticmethod
    def of(model: LoadedModel, frames: FrameSet) -> Atoms:
        """Return the free atoms of frames, without those where there is rounding alone."""
        parts = []
        for frame in frames:
            found = evaluate(model, [frame.atoms], deviations=True, grades=True)[0]
            errors, forces = (np.linalg.norm(one, axis=1) for one in (found.forces - frame.forces, found.forces))
            columns = (
                errors,
                found.forces_error,
                found.forces_uncertainty,
                forces,
                found.extrapolation_grades,
                np.full(len(frame), frame.config_type),
            )
            kept = frame.free & not_negligible(errors, found.forces_uncertainty)
            parts.append(Atoms(*(column[kept] for column in columns)))
        return Atoms.joined(parts)

    @staticmethod
    def joined(parts: Sequence[Atoms]) -> Atoms:
        """Return the atoms of all parts."""
        return Atoms(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Atoms)))

    def select(self, chosen: NDArray[np.bool_]) -> Atoms:
        """Return some of the atoms."""
        return Atoms(*(getattr(self, one.name)[chosen] for one in fields(self)))

    def row(self, name: str) -> tuple[str, ...]:
        """Return a row of the table."""
        if len(self.errors) == 0:
            return name, "0", "-", "-", "-", "-", "-"
        means = (f"{MEV_PER_EV * one.mean():.1f}" for one in (self.errors, self.radii))
        within, supported = self.errors <= self.radii, self.grades <= 1.0
        among = f"{100 * within[supported].mean():.0f} %" if supported.any() else "-"
        parts = (f"{100 * within.mean():.0f} %", f"{100 * (1.0 - supported.mean()):.2f} %", among)
        return name, str(len(self.errors)), *means, *parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study for every configuration and print its tables."""
    options = read_options(__doc__, arguments)
    console = make_console()
    for settings, given, frames in studies(options):
        title = f"{settings.family}, {len(frames)} frames of {', '.join(given.symbols)}"
        console.print(table(title, COLUMNS, list(_held_out(settings, given, frames, options.folds))))
        left_out = ["phase left out", *COLUMNS[1:]]
        console.print(table("", left_out, list(_phases(settings, given, frames))))


def _held_out(settings: RunConfig, given: TrainingSet, frames: FrameSet, count: int) -> Iterator[tuple[str, ...]]:
    """Hold every fold out once."""
    folds = fold_numbers(list(frames), count, settings.seed + 1)
    parts = []
    for fold in range(int(folds.max()) + 1):
        model = fit(settings, given, frames.subset(np.nonzero(folds != fold)[0]))
        parts.append(Atoms.of(model, frames.subset(np.nonzero(folds == fold)[0])))
        yield parts[-1].row(f"fold {fold + 1}")
    atoms = Atoms.joined(parts)
    yield atoms.row("all")
    kinds = sorted(set(atoms.types.tolist()))
    for kind in kinds if len(kinds) > 1 else ():
        yield atoms.select(atoms.types == kind).row(kind)
    for name, values in (("forces", atoms.forces), ("standard deviations", atoms.deviations)):
        thirds = np.digitize(values, np.quantile(values, [1 / 3, 2 / 3]))
        for third, size in enumerate(("small", "medium", "large")):
            yield atoms.select(thirds == third).row(f"{size} {name}")


def _phases(settings: RunConfig, given: TrainingSet, frames: FrameSet) -> Iterator[tuple[str, ...]]:
    """Leave every phase out."""
    for name, outside in phases(frames, given.symbols).items():
        model = fit(settings, given, frames.subset(np.nonzero(~outside)[0]))
        yield Atoms.of(model, frames.subset(np.nonzero(outside)[0])).row(name)


if __name__ == "__main__":
    main()
