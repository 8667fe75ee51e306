"""A harvest: candidates of runs, ranked by their predicted force errors, cut where they are large, selected.

evaluated   largest and mean-square predicted error of every frame, kept by file, so that a stopped harvest goes on
left out    atoms too close; below the threshold; not among the `POOL` times `count` least known; copies of structures
            that are known or of a frame that ranks higher; not needed by the selection
chosen      the others (see `selection`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from rhopot.export import ModelCard
from rhopot.potentials.harvesting.candidates import Candidate
from rhopot.potentials.harvesting.clusters import Cluster, ClusterSettings, centres, cut, fits
from rhopot.potentials.harvesting.errors import ErrorPredictor, PredictedErrors
from rhopot.potentials.harvesting.selection import Environments, d_optimal, fingerprint, is_copy
from rhopot.potentials.pair import pair_too_close
from rhopot.potentials.runs.features import features_of_model
from rhopot.potentials.units import Floats

POOL = 20  # frames that are compared with each other, for each that is wanted
CLUSTERS = 4  # that are cut from a frame at most
FIRST = 1e6  # eV/A, added to the error of atoms that come before all others
COPIES = "copies of known structures or of frames that rank higher"
TOO_CLOSE = "atoms too close"
BELOW = "below the threshold"
BEYOND = "not among the least known"
NOT_NEEDED = "known from those that were chosen"
MORE = "with less to gain than those that were chosen"
CUT = "cut"

Advance = Callable[[int], None]


@dataclass(frozen=True)
class HarvestSettings:
    """What is wanted.

    count: structures at most; threshold: eV/A, frames whose largest predicted error is lower are left out, None: none
    unsupported_first: frames with atoms outside of the training data rank first, whatever their predicted errors
    closest: shortest allowed distance in A by pair of elements, `Li-Si` in alphabetical order
    clusters: how large cells are cut; None: frames are taken whole
    """

    count: int = 20
    threshold: float | None = None
    unsupported_first: bool = False
    closest: Mapping[str, float] = field(default_factory=dict)
    clusters: ClusterSettings | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"--count must be at least 1, got {self.count}; raise it")
        if self.threshold is not None and self.threshold < 0.0:
            raise ValueError(f"--threshold must not be negative, got {self.threshold:g} eV/A; leave it out for none")


@dataclass(frozen=True)
class RunErrors:
    """Frames of a file: their numbers, largest and root-mean-square predicted errors in eV/A, and which are possible.

    All arrays have one entry for each frame; unsupported: atoms outside of the training data; apart: False where atoms
    are too close, whose errors are NaN.
    """

    frames: np.ndarray
    largest: Floats
    rms: Floats
    unsupported: np.ndarray
    apart: np.ndarray


@dataclass(frozen=True)
class Chosen:
    """A structure to be labelled.

    largest, rms: predicted errors in eV/A; unsupported: atoms outside of the training data; gain: information in nats
    beside what those chosen before give; counts: (N,) atoms of a cluster that count
    """

    candidate: Candidate
    largest: float
    rms: float
    unsupported: int
    gain: float = 0.0
    counts: np.ndarray | None = None


@dataclass(frozen=True)
class Harvested:
    """What was chosen, in the order of choice.

    left_out: how many structures were left out, by reason; cells: of the frames that were compared, how many were cut
    (`CUT`) and how many were taken whole, by reason; empty where no clusters are wanted
    """

    chosen: list[Chosen]
    left_out: Mapping[str, int]
    cells: Mapping[str, int] = field(default_factory=dict)


def evaluate_run(
    candidates: Sequence[Candidate],
    predict: ErrorPredictor,
    closest: Mapping[str, float],
    advance: Advance = lambda done: None,
) -> RunErrors:
    """Predicted errors of the frames of a file."""
    rows = []
    for k, candidate in enumerate(candidates):
        apart = pair_too_close(candidate.atoms, closest) is None
        predicted = predict.of(candidate) if apart else PredictedErrors(np.full(1, np.nan), np.zeros(1, dtype=bool))
        errors, outside = predicted.forces, int(predicted.unsupported.sum())
        rows.append((candidate.index, errors.max(), _rms(errors), outside, apart))
        advance(k + 1)
    frames, largest, rms, unsupported, possible = (np.array(column) for column in zip(*rows, strict=True))
    return RunErrors(frames, largest, rms, unsupported, possible)


def harvest(
    predict: ErrorPredictor,
    card: ModelCard,
    candidates: Sequence[Sequence[Candidate]],
    evaluated: Sequence[RunErrors],
    settings: HarvestSettings,
    noise: float,
    known: Sequence[Atoms] = (),
    advance: Advance = lambda done: None,
) -> Harvested:
    """Choose structures.

    Args:
        predict: predicts the errors of the model of `card`, whose descriptor tells structures apart.
        candidates, evaluated: frames of each file, and their predicted errors.
        settings: what is wanted.
        noise: eV/A, size of force errors that labels do not lower (see `selection`).
        known: structures whose copies are left out.
        advance: called with the number of frames that were compared.
    """
    left_out: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    pool = _ranked(candidates, evaluated, settings, left_out)
    features = _Features(card)
    seen = [features.of(atoms)[1] for atoms in known if features.knows(atoms)]
    kept: list[tuple[Chosen, Environments]] = []
    for k, frame in enumerate(pool):
        if settings.clusters is not None:
            cells[_whole(frame.atoms, settings.clusters) or CUT] += 1
        for structure, environments, mark in _structures(frame, predict, features, settings, left_out):
            if any(is_copy(mark, other) for other in seen):
                left_out[COPIES] += 1
            else:
                seen.append(mark)
                kept.append((structure, environments))
        advance(k + 1)
    first = [int(settings.unsupported_first and one.unsupported == 0) for one, _ in kept]
    order, gains = d_optimal([environments for _, environments in kept], settings.count, noise, first=first)
    left_out[NOT_NEEDED if len(order) < settings.count else MORE] += len(kept) - len(order)
    chosen = [replace(one, gain=gain) for (one, _), gain in zip((kept[k] for k in order), gains, strict=True)]
    return Harvested(chosen, {reason: number for reason, number in left_out.items() if number}, cells)


def _ranked(
    candidates: Sequence[Sequence[Candidate]],
    evaluated: Sequence[RunErrors],
    settings: HarvestSettings,
    left_out: Counter[str],
) -> list[Candidate]:
    """Frames that may be chosen, of the largest predicted errors first; each other is counted with its reason."""
    frames: list[tuple[bool, float, Candidate]] = []
    for of_file, errors in zip(candidates, evaluated, strict=True):
        for k, candidate in enumerate(of_file):
            ahead = settings.unsupported_first and bool(errors.unsupported[k] > 0)
            if not errors.apart[k]:
                left_out[TOO_CLOSE] += 1
            elif settings.threshold is not None and errors.largest[k] < settings.threshold and not ahead:
                left_out[BELOW] += 1
            else:
                frames.append((ahead, float(errors.largest[k]), candidate))
    frames.sort(key=lambda frame: (not frame[0], -frame[1]))  # stable: equal ones in the order of files and frames
    most = POOL * settings.count
    left_out[BEYOND] += max(0, len(frames) - most)
    return [candidate for *_, candidate in frames[:most]]


class _Features:
    """Descriptor features of structures, and their fingerprints."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._family, self._features = features_of_model(card)

    @property
    def of_structures(self) -> bool:
        """True of a global model, whose features are those of the structure: no cluster stands for it."""
        return self._family.kind == "global"

    def knows(self, atoms: Atoms) -> bool:
        """Whether the model has all elements."""
        return set(atoms.get_chemical_symbols()) <= set(self._card.symbols)

    def of(self, atoms: Atoms) -> tuple[Environments, tuple[tuple[int, ...], Floats]]:
        """Features (n, F) with the numbers of the atoms (of a global model one row, number 0), and the fingerprint."""
        plain = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        rows = np.atleast_2d(self._features(plain))
        numbers = atoms.numbers.astype(np.int64) if self._family.kind == "local" else np.zeros(1, dtype=np.int64)
        environments = Environments(rows, numbers, np.zeros(len(rows)))
        return environments, fingerprint(environments, atoms.numbers)


def _structures(
    frame: Candidate, predict: ErrorPredictor, features: _Features, settings: HarvestSettings, left_out: Counter[str]
) -> list[tuple[Chosen, Environments, tuple[tuple[int, ...], Floats]]]:
    """The frame, or the clusters of a large one."""
    predicted = predict.of(frame)
    cell, mark = features.of(frame.atoms)
    if settings.clusters is None or features.of_structures or _whole(frame.atoms, settings.clusters):
        errors = np.array([_rms(predicted.forces)]) if features.of_structures else predicted.forces
        chosen = Chosen(frame, predicted.largest, _rms(predicted.forces), int(predicted.unsupported.sum()))
        return [(chosen, Environments(cell.features, cell.numbers, errors), mark)]
    found = []
    closest = {
        (min(pair), max(pair)): limit
        for name, limit in settings.closest.items()
        for pair in [tuple(atomic_numbers[symbol] for symbol in name.split("-"))]
    }
    least, ranks = settings.threshold or 0.0, predicted.forces
    if settings.unsupported_first:  # their predicted errors mean nothing
        ranks = ranks + FIRST * predicted.unsupported
    for atom in centres(frame.atoms, ranks, settings.clusters.radius, CLUSTERS, least):
        cluster: Cluster = cut(frame, atom, settings.clusters, closest)
        if pair_too_close(cluster.candidate.atoms, settings.closest) is not None:
            left_out[TOO_CLOSE] += 1
            continue
        inside = cluster.origin[cluster.counts]
        errors = predicted.forces[inside]
        environments = Environments(cell.features[inside], cell.numbers[inside], errors)
        outside = int(predicted.unsupported[inside].sum())
        chosen = Chosen(cluster.candidate, float(errors.max()), _rms(errors), outside, counts=cluster.counts)
        found.append((chosen, environments, fingerprint(environments, cell.numbers[inside])))
    return found


def _whole(atoms: Atoms, clusters: ClusterSettings) -> str:
    """Why a cell is taken whole; empty where clusters are cut from it."""
    if len(atoms) <= clusters.largest:
        return f"of at most {clusters.largest} atoms"
    return "" if fits(atoms, clusters) else f"too small for a {clusters.region}, which would hold an atom twice"


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
