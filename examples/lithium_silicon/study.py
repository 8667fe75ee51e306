"""Lithium-silicon from few relaxation paths: how models generalize to other paths and to other tasks.

    python examples/lithium_silicon/study.py --output runs/lithium_silicon [--peers[=FAMILY,...]] [key=value ...]

After X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 4: five folds over paths,
four variants of feature selection (see `variants`), forces as a fifth, and with `--peers` the other families.
Prints the tables, draws the figures, and keeps features and finished cases in `--output`: an interrupted run continues.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import figures
import numpy as np
import peers
import variants
from peers import PEERS
from structures import FOLDS, RELAXATION, TITLES, folds, load, per_atom
from tables import barriers, bulk_moduli, coverage_table, errors_table
from variants import VARIANTS

from rhopot.potentials.console import FitProgress, make_console


@dataclass(frozen=True)
class Case:
    """One model on one fold.

    energies: by part, predictions (n) in eV per atom for all frames of it
    deviations: by part, their predicted standard deviations (n) in eV per atom
    test: (n) frames of the relaxation paths that were held out
    forces: errors (eV/A) on them, empty where there are none
    curves: errors (M) in eV per atom against the number of columns of the members: of their average on every part and
        on the `training` paths, and in `validation` of single members on the paths that they left out
    sizes: (K) columns of the members
    """

    energies: dict[str, np.ndarray]
    deviations: dict[str, np.ndarray]
    test: np.ndarray
    forces: np.ndarray
    curves: dict[str, np.ndarray]
    sizes: np.ndarray


class Study:
    """Parts, folds, and cases that are kept as soon as they are finished."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.console = make_console()
        self.parts = load()
        self.relaxation = self.parts[RELAXATION]
        self.folds = folds(self.relaxation)
        self.data = "".join(frames.digest() for frames in self.parts.values())
        count = ", ".join(f"{TITLES[part].lower()} {len(frames)}" for part, frames in self.parts.items())
        self.console.print(f"frames: {count}; {sum(map(len, self.folds))} paths in {len(self.folds)} folds")

    def test(self, fold: int) -> np.ndarray:
        """Mask (n) of the relaxation frames held out in a fold."""
        return np.array([str(frame.group) in self.folds[fold] for frame in self.relaxation])

    def case(self, name: str, fold: int, settings: str, run: Callable[[np.ndarray], Case]) -> Case:
        """A finished case of the same data and settings, or the result of `run` on the fold's test mask, kept."""
        mark = hashlib.sha256((self.data + settings).encode()).hexdigest()[:12]
        file = self.output / "cases" / f"{re.sub('[^a-zA-Z]', '_', name)}-{fold}-{mark}.pickle"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            found = run(self.test(fold))
            partial = file.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(found))
            partial.replace(file)
            rmse = 1e3 * np.sqrt(np.mean(self.errors(found, RELAXATION) ** 2))
            self.console.print(f"{name}, fold {fold}: {rmse:.1f} meV/atom on unseen paths")
        return pickle.loads(file.read_bytes())

    def errors(self, case: Case, part: str) -> np.ndarray:
        """Energy errors (eV per atom) of a part: of the relaxation paths, the held-out ones."""
        found = case.energies[part] - per_atom(self.parts[part])
        return found[case.test] if part == RELAXATION else found

    def deviations(self, case: Case, part: str) -> np.ndarray:
        """Predicted standard deviations (eV per atom) of the same energies."""
        return case.deviations[part][case.test] if part == RELAXATION else case.deviations[part]

    def fit_variants(self, words: list[str]) -> dict[str, list[Case]]:
        """All variants of scattering on all folds, with the ready configuration changed by `words`."""
        settings, regressor, targets = variants.settings(self.parts, words)
        self.console.print(*settings.describe(), sep="\n")
        with FitProgress(self.console) as progress:
            matrices = variants.measure_all(
                settings, regressor, targets, self.parts, self.output / "features", progress
            )

        def run(name: str, test: np.ndarray) -> Case:
            fitted = variants.fit(name, matrices, ~test, regressor, targets)
            energies = {part: fitted.energies(matrices.values[part], f) for part, f in self.parts.items()}
            deviations = {part: fitted.deviations(matrices.values[part]) for part in self.parts}
            curves = {part: fitted.curve(matrices.values[part], f) for part, f in self.parts.items()}
            held_out = self.relaxation.subset(list(np.flatnonzero(test)))
            curves[RELAXATION] = fitted.curve(matrices.values[RELAXATION][test], held_out)
            rest = self.relaxation.subset(list(np.flatnonzero(~test)))
            curves["training"] = fitted.curve(matrices.values[RELAXATION][~test], rest)
            longest = max(len(member.order) for member in fitted.ensemble.members)
            left_out = [_padded(member.energies, longest) for member in fitted.ensemble.members]
            curves["validation"] = np.sqrt(np.mean(np.square(left_out), axis=0))
            sizes = np.array([member.best for member in fitted.ensemble.members])
            forces = variants.force_errors(fitted, matrices, test)
            return Case(energies, deviations, test, forces, curves, sizes)

        mark = f"{settings!r} {regressor!r} {targets!r}"
        return {
            name: [self.case(name, k, mark, lambda test, name=name: run(name, test)) for k in range(FOLDS)]
            for name in VARIANTS
        }

    def fit_peers(self, names: list[str]) -> dict[str, list[Case]]:
        """Other families, by their names in `PEERS`, on all folds."""

        def run(config: str, test: np.ndarray) -> Case:
            model = peers.train(config, self.relaxation.subset(list(np.flatnonzero(~test))))
            judged = {part: peers.judge(model, frames) for part, frames in self.parts.items()}
            energies, deviations = ({part: found[k] for part, found in judged.items()} for k in range(2))
            forces = peers.force_errors(model, self.relaxation.subset(list(np.flatnonzero(test))))
            return Case(energies, deviations, test, forces, {}, np.zeros(0))

        return {
            name: [self.case(name, k, config, lambda test, config=config: run(config, test)) for k in range(FOLDS)]
            for name, config in PEERS.items()
            if config in names
        }


def _padded(curve: np.ndarray, length: int) -> np.ndarray:
    """A member's curve, its last value repeated."""
    return np.concatenate([curve, np.full(length - len(curve), curve[-1])])


def show(study: Study, cases: dict[str, list[Case]]) -> None:
    """Print the tables and draw the figures."""
    console, parts = study.console, study.parts
    errors = {
        name: {part: [study.errors(case, part) for case in each] for part in parts} for name, each in cases.items()
    }
    forces = {name: [case.forces for case in each] for name, each in cases.items()}
    console.print(errors_table(errors, forces))
    deviations = {
        name: {part: [study.deviations(case, part) for case in each] for part in parts} for name, each in cases.items()
    }
    console.print(coverage_table(errors, deviations))
    for name, each in cases.items():
        sizes = np.concatenate([case.sizes for case in each])
        if len(sizes):
            console.print(f"{name}: {sizes.mean():.0f} +- {sizes.std():.0f} features of a member")
    everywhere: dict[str, Any] = {name: [case.energies for case in each] for name, each in cases.items()}
    if "strained" in parts:
        table, curves = bulk_moduli(parts, everywhere)
        console.print(table)
        figures.energy_volume(curves, study.output / "energy_volume.png")
    if "migration" in parts:
        along = {name: [energies["migration"] for energies in each] for name, each in everywhere.items()}
        table, profiles = barriers(parts["migration"], along)
        console.print(table)
        figures.migration(profiles, study.output / "migration.png")
    for name in VARIANTS:
        file = f"selection_{name.replace(' ', '_')}.png"
        figures.selection([case.curves for case in cases[name]], name, study.output / file)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of features, cases and figures")
    families = list(PEERS.values())
    known = ", ".join(families)
    parser.add_argument(
        "--peers", nargs="?", const=",".join(families), default="", help=f"other families as well: {known}"
    )
    parser.add_argument(
        "words", nargs="*", metavar="key=value", help="changes to the ready configuration of scattering"
    )
    options = parser.parse_args()
    chosen = [name for name in options.peers.split(",") if name]
    unknown = [name for name in chosen if name not in families]
    if unknown:
        parser.error(f"--peers must be families of {known}, got {unknown[0]}; write --peers=soap_gap")
    study = Study(options.output)
    cases = study.fit_variants(options.words)
    if chosen:
        cases |= study.fit_peers(chosen)
    show(study, cases)


if __name__ == "__main__":
    main()
