"""Feature sets against each other on a sample of environments: reconstruction errors of all pairs, and of selections.

Structures are drawn at random until they hold as many environments as are asked for (and are at least `STRUCTURES`,
where there are so many), environments at random from their atoms. Descriptors learn from the structures that were
drawn; both halves of them, for what they learn is no label. Energies of atoms, which supervised selections take, are
those of a linear model of the set's own features (`descriptors.energy_regression`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.analysis.feature_sets import AtomFeatures, FeatureSet, Progress, atom_features
from rhopot.potentials.analysis.measures import (
    LOCAL_POINTS,
    NEIGHBORS,
    Reconstruction,
    Split,
    compact,
    reconstruct,
    split_structures,
)
from rhopot.potentials.analysis.selection import SelectionMethod, is_supervised, select_features
from rhopot.potentials.config.document import Document, override_document
from rhopot.potentials.descriptors.energy_regression import energy_weights, formation_energies, labelled
from rhopot.potentials.structures import FrameSet

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Structures that are drawn at least, where the data have so many.
STRUCTURES = 100
MEASURES = ("gfre", "gfrd", "lfre")
Numbers = list[list[float]]


@dataclass(frozen=True)
class Sample:
    """Structures that were drawn, and which of their atoms: `rows` (N,) in order, `structure` (N,) of each."""

    frames: FrameSet
    rows: Integers
    structure: Integers


@dataclass(frozen=True)
class ComparedSet:
    """What is reported of a feature set."""

    name: str
    source: str
    changes: tuple[str, ...]
    n_features: int
    residual_variance: float | None


@dataclass(frozen=True)
class Selected:
    """A selection of `n_features` columns of a set, and how well all of them are reconstructed from it."""

    set: str
    method: str
    n_features: int
    columns: tuple[int, ...]
    gfre: float
    gfrd: float
    lfre: float


@dataclass(frozen=True)
class Comparison:
    """Measures of every set (column) from every other one (row), NaN where they were not asked for.

    neighbors, local_test: of LFRE, training environments of a local map and the most test environments
    """

    n_structures: int
    n_train: int
    n_test: int
    seed: int
    sets: tuple[ComparedSet, ...]
    gfre: Numbers
    gfrd: Numbers
    lfre: Numbers
    selections: tuple[Selected, ...] = ()
    neighbors: int = NEIGHBORS
    local_test: int = LOCAL_POINTS

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they are written to a file."""
        return asdict(self)

    def largest(self) -> int:
        """Number of the set with most features, the first of several."""
        return int(np.argmax([one.n_features for one in self.sets]))

    def size_series(self) -> dict[str, list[int]]:
        """Sets that differ only in whole numbers among their changes, and in size: name -> their numbers, by size."""
        found: dict[str, list[int]] = {}
        for k, one in enumerate(self.sets):
            if one.changes:
                found.setdefault(_kind(one), []).append(k)
        ordered = {name: sorted(several, key=lambda k: self.sets[k].n_features) for name, several in found.items()}
        return {
            name: several
            for name, several in ordered.items()
            if len(several) > 1 and len({self.sets[k].n_features for k in several}) == len(several)
        }


def draw_sample(frames: FrameSet, environments: int, seed: int) -> Sample:
    """Return structures and atoms of them, drawn at random.

    Raises:
        ValueError: too few environments are asked for.
    """
    if environments < 10:
        raise ValueError(f"environments must be at least 10, got {environments}; 1000 are usual")
    random = np.random.default_rng(seed)
    order = random.permutation(len(frames))
    before = np.cumsum([0, *(len(frames[int(k)]) for k in order)])[:-1]
    wanted = max(int((before < environments).sum()), min(STRUCTURES, len(frames)))
    drawn = frames.subset(np.sort(order[:wanted]))
    structure = np.repeat(np.arange(len(drawn)), [len(frame) for frame in drawn])
    rows = np.sort(random.permutation(len(structure))[:environments])
    return Sample(drawn, rows, structure[rows])


def compare(
    sets: Sequence[FeatureSet],
    sample: Sample,
    seed: int,
    *,
    local: bool = True,
    method: SelectionMethod | None = None,
    keep: Sequence[int] = (),
    follow: Callable[[str, int], AbstractContextManager[Progress]] = lambda stage, total: nullcontext(_nothing),
) -> Comparison:
    """Return the comparison of the sets on the sample.

    local: with LFRE; method, keep: selections of features of every set, and their sizes
    follow: description and number of steps of a stage -> context manager that gives a function of the steps done

    Raises:
        ValueError: features that cannot be compared, or selections of more features than a set has.
    """
    meter = _Meter(split_structures(sample.structure, seed), seed, local)
    made, energies = [], []
    n_frames = len(sample.frames)
    with follow("features", len(sets) * n_frames) as advance:
        for k, one in enumerate(sets):
            found = atom_features(one, sample.frames, partial(_shifted, advance, k * n_frames))
            _check_keep(one.name, found.values.shape[1], keep)
            energies.append(_energies(found.values, sample) if method is not None and is_supervised(method) else None)
            made.append(AtomFeatures(found.values[sample.rows], found.settings))
    names = [one.name for one in sets]
    kept = [(k, count) for k in range(len(sets)) for count in keep] if method is not None else []
    n_pairs = len(sets) * (len(sets) - 1)
    with follow("measures", n_pairs + len(kept)) as advance:
        coordinates = [compact(features.values) for features in made]
        matrices = meter.matrices(names, coordinates, advance)
        selections = []
        for done, (k, count) in enumerate(kept):
            assert method is not None
            selections.append(meter.selected(names[k], made[k].values, coordinates[k], energies[k], method, count))
            advance(n_pairs + done + 1)
    return Comparison(
        n_structures=len(sample.frames),
        n_train=len(meter.split.train),
        n_test=len(meter.split.test),
        seed=seed,
        sets=tuple(
            ComparedSet(one.name, one.source, one.changes, features.values.shape[1], features.residual_variance)
            for one, features in zip(sets, made, strict=True)
        ),
        selections=tuple(selections),
        gfre=matrices["gfre"],
        gfrd=matrices["gfrd"],
        lfre=matrices["lfre"],
    )


@dataclass(frozen=True)
class _Meter:
    """The measures on one division of the environments."""

    split: Split
    seed: int
    local: bool

    def pair(self, source: str, target: str, x: Floats, y: Floats) -> Reconstruction:
        """Measures of features y from x; an error names them."""
        try:
            return reconstruct(x, y, self.split, self.seed, self.local)
        except ValueError as error:
            raise ValueError(f"{target} from {source}: {error}") from error

    def matrices(self, names: Sequence[str], sets: Sequence[Floats], advance: Progress) -> dict[str, Numbers]:
        """Each measure of every pair, in rows of one source; a set knows itself."""
        found = {name: np.zeros((len(sets), len(sets))) for name in MEASURES}
        pairs = [(a, b) for a in range(len(sets)) for b in range(len(sets)) if a != b]
        for done, (a, b) in enumerate(pairs):
            measured = self.pair(names[a], names[b], sets[a], sets[b])
            for name in MEASURES:
                found[name][a, b] = getattr(measured, name)
            advance(done + 1)
        return {name: values.tolist() for name, values in found.items()}

    def selected(
        self,
        name: str,
        features: Floats,
        coordinates: Floats,
        energies: Floats | None,
        method: SelectionMethod,
        count: int,
    ) -> Selected:
        """What a selection, made on the training environments, knows of the whole set; coordinates: `compact` ones."""
        train = self.split.train
        columns = select_features(
            features[train], count, method, None if energies is None else energies[train], self.seed
        )
        measured = self.pair(f"{count} of {name}", name, features[:, columns], coordinates)
        return Selected(name, method, count, tuple(columns.tolist()), measured.gfre, measured.gfrd, measured.lfre)


def _shifted(advance: Progress, before: int, done: int) -> None:
    """Set the number of finished steps behind those `before`."""
    advance(before + done)


def _nothing(done: int) -> None:
    """Nobody follows."""


def _check_keep(name: str, n_features: int, keep: Sequence[int]) -> None:
    """Refuse a selection of all features or more."""
    wrong = next((count for count in keep if not 1 <= count < n_features), None)
    if wrong is not None:
        raise ValueError(f"--keep must be below the number of features of {name} ({n_features}), got {wrong}; lower it")


def _energies(features: Floats, sample: Sample) -> Floats:
    """Return energies (N,) of the sample's atoms in eV, by a linear model of all features (atoms, F)."""
    atoms = [frame.labelled_atoms() for frame in sample.frames]
    ends = np.cumsum([0, *(len(one) for one in atoms)])
    known = [k for k, one in enumerate(atoms) if labelled([one])]
    if not known:
        raise ValueError("DATA must hold energies for a supervised selection, got none; use --select fps or cur")
    means = np.stack([features[ends[k] : ends[k + 1]].mean(axis=0) for k in known])
    weights = energy_weights(means, formation_energies([atoms[k] for k in known], sample.frames.symbols))
    return np.asarray(features[sample.rows] @ weights)


def _kind(one: ComparedSet) -> str:
    """Name of a set without the whole numbers among its changes."""
    changes = override_document(Document(one.source), one.changes).values
    kept = [f"{key}={value}" if value is not None else key for key, value in _leaves(changes)]
    return " ".join([one.source, *kept])


def _leaves(values: Any, path: str = "") -> list[tuple[str, Any]]:
    """Dotted keys below `descriptor` with their values, None for whole numbers: those are sizes."""
    if isinstance(values, Mapping):
        return [
            leaf
            for key, inner in values.items()
            for leaf in _leaves(inner, str(key) if path in ("", "descriptor") else f"{path}.{key}")
        ]
    return [(path, None if isinstance(values, int) and not isinstance(values, bool) else values)]
