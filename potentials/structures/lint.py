"""Look for faults in data before a fit learns them: `rhopot data lint`.

| check | what it looks at | severity |
| --- | --- | --- |
| finite    | NaN or infinite labels | error |
| targets   | frames without energies or forces that others have; labels under several keys | warning |
| distances | atoms closer than 0.5 A | error |
| fixed     | atoms whose force is exactly zero: held by a constraint, not at rest | error when declared, else warning |
| duplicates| the same structure twice; with different energies it is an error | warning |
| leakage   | a structure or a group on both sides of a train/test pair | error |
| energies  | residuals per atom from a per-element fit, far outside the range of their config_type | warning |
| sources   | config_types whose energies per atom sit apart from the others by more than physics allows | warning |
| sources   | energies per atom of one config_type and composition in two groups, far apart | warning |
| free atoms| elements of which no frame holds an isolated atom | info |
| forces    | sign and unit against the energies, zeros without a reason (`force_consistency`) | error or warning |
| stress    | sign, unit and offset against the energies, virials (`stress_consistency`) | error or warning |
| units     | energies per atom, energies or lengths in other units, by the work of forces and stresses | error |

Checks on energies are statistics and say so: they point at frames to look at, not at proven faults.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.structures.composition import fit_baseline, missing_isolated_atoms
from rhopot.potentials.structures.findings import DataFinding, by_severity
from rhopot.potentials.structures.force_consistency import lint_forces
from rhopot.potentials.structures.frames import TARGETS, Frame, FrameSet, frame_digest
from rhopot.potentials.structures.keys import ALIASES, names_of
from rhopot.potentials.structures.stress_consistency import lint_stress

CLOSEST = 0.5  # A
OUTLIER_SPREADS = 2.0  # ranges between the 10th and the 90th percentile
OUTLIER_LEAST = 0.5  # eV/atom: smaller residuals are ordinary chemistry
FEWEST = 5  # frames of a config_type before its standard deviation means something
SOURCE_GAP = 5.0  # eV/atom: beyond the range of cohesive energies of one element
# Two groups of energies of one config_type and composition: eV/atom between them, times their range, frames of each.
LEAST_GAP = 1.0
GAP_RANGES = 3.0
FEWEST_OF_GROUP = 3
ZERO_FORCE_SHARE = 0.9  # of a frame's atoms: beyond it a symmetric crystal, not a constraint
SMALL_FORCE = 1e-3  # eV/A: where the largest force is below it, zeros are rounding


def lint(frames: FrameSet, test: FrameSet | None = None) -> list[DataFinding]:
    """All findings of a data set, and of leakage into `test`, errors first.

    Read with `inspect_frames`, so that NaN labels are reported rather than left out.
    """
    everything = replace(frames, frames=frames.frames + (test.frames if test else ()))
    findings = list(_finite(everything))
    sound = everything.subset([i for i, f in enumerate(everything) if _is_finite(f)])
    checks: tuple[Callable[[FrameSet], Iterable[DataFinding]], ...]
    checks = (_distances, _fixed, _energies, _sources, _two_groups, _free_atoms, lint_forces, lint_stress)
    findings += _targets(frames)
    if test is not None:
        findings += _targets(test, "test ")
    for check in checks:
        findings += check(sound)
    findings += _duplicates(frames)
    if test is not None:
        findings += _duplicates(test)
        findings += _leakage(frames, test)
    return by_severity(findings)


def _is_finite(frame: Frame) -> bool:
    return all(np.isfinite(getattr(frame, target)).all() for target in TARGETS if frame.has(target))


def _finite(frames: FrameSet) -> Iterable[DataFinding]:
    for frame in frames:
        for target in TARGETS:
            if frame.has(target) and not np.isfinite(getattr(frame, target)).all():
                yield DataFinding(
                    "error", "finite", frame.name, f"{target} holds NaN or infinity; remove or recompute it"
                )


def _targets(frames: FrameSet, kind: str = "") -> Iterable[DataFinding]:
    for target in ("energy", "forces"):
        without = [frame.name for frame in frames if not frame.has(target)]
        if len(without) == len(frames):
            yield DataFinding("warning", "targets", "", f"no {kind}frame carries {target}")
        elif without:
            sentence = f"{len(without)} of {len(frames)} {kind}frames lack {target} (first: {without[0]})"
            yield DataFinding("warning", "targets", "", sentence)
    for target, used in frames.used.items():
        others = {key: n for key, n in frames.found.items() if key in ALIASES[target] and key not in names_of(used)}
        if others:
            listed = ", ".join(f"{key} ({n} frames)" for key, n in others.items())
            sentence = f"{target} is read from {', '.join(names_of(used))}; {listed} is not used"
            yield DataFinding("warning", "targets", "", sentence)


def _distances(frames: FrameSet) -> Iterable[DataFinding]:
    for frame in frames:
        try:
            edges = find_edges(frame.atoms, CLOSEST)
        except ValueError as error:
            yield DataFinding("error", "distances", frame.name, str(error))
            continue
        if edges.n_edges:
            distance = np.linalg.norm(edges.vectors, axis=1)
            e = int(distance.argmin())
            i, j = int(edges.edge_centre[e]), int(edges.neighbour[e])
            sentence = f"atoms {i} and {j} are {distance[e]:.3f} A apart (below {CLOSEST} A); remove the frame"
            yield DataFinding("error", "distances", frame.name, sentence)


def _fixed(frames: FrameSet) -> Iterable[DataFinding]:
    """Zero forces on constrained atoms; without a declared constraint, exact zeros beside moving atoms."""
    for frame in frames:
        if frame.forces is None or len(frame) < 2:
            continue
        zero = ~frame.forces.any(axis=1)
        held = zero & ~frame.free
        if held.any():
            sentence = (
                f"constraints zeroed the forces of {int(held.sum())} atoms; "
                "recompute without constraints or leave the forces out"
            )
            yield DataFinding("error", "fixed", frame.name, sentence)
        elif 2 <= zero.sum() < ZERO_FORCE_SHARE * len(frame) and np.abs(frame.forces).max() > SMALL_FORCE:
            sentence = f"{int(zero.sum())} of {len(frame)} atoms have a force of exactly zero, as constraints leave it"
            yield DataFinding("warning", "fixed", frame.name, sentence)


def _duplicates(frames: FrameSet) -> Iterable[DataFinding]:
    seen: dict[bytes, Frame] = {}
    for frame in frames:
        first = seen.setdefault(frame_digest(frame, labels=False), frame)
        if first is frame:
            continue
        gap = abs(frame.energy - first.energy) if frame.energy is not None and first.energy is not None else 0.0
        if gap > 1e-3 * len(frame):
            sentence = f"same structure as {first.name}, but energies differ by {gap:.3f} eV; keep one reference method"
            yield DataFinding("error", "duplicates", frame.name, sentence)
        else:
            yield DataFinding("warning", "duplicates", frame.name, f"same structure as {first.name}; it counts twice")


def _leakage(train: FrameSet, test: FrameSet) -> Iterable[DataFinding]:
    seen = {frame_digest(frame, labels=False): frame for frame in train}
    for frame in test:
        twin = seen.get(frame_digest(frame, labels=False))
        if twin is not None:
            sentence = f"test structure is also a training structure ({twin.name}); the test error is too small"
            yield DataFinding("error", "leakage", frame.name, sentence)
    groups = ({frame.group for frame in train} & {frame.group for frame in test}) - {None}
    for group in sorted(str(g) for g in groups):
        yield DataFinding("error", "leakage", "", f"group {group!r} lies in training and test data; split by group")


def _residuals(frames: FrameSet) -> dict[str, list[tuple[Frame, float]]]:
    """Energy per atom (eV) left by the per-element fit, with its frames, by config_type."""
    labelled = [frame for frame in frames if frame.energy is not None]
    by_type: dict[str, list[tuple[Frame, float]]] = defaultdict(list)
    if labelled:
        baseline = fit_baseline(labelled)
        for frame in labelled:
            left = (float(frame.energy or 0.0) - baseline.energy(frame.atoms)) / len(frame)
            by_type[frame.config_type].append((frame, left))
    return by_type


def _energies(frames: FrameSet) -> Iterable[DataFinding]:
    for config_type, entries in _residuals(frames).items():
        values = np.array([left for _, left in entries])
        low, high = np.percentile(values, [10, 90])
        reach = max(OUTLIER_SPREADS * (high - low), OUTLIER_LEAST)
        for frame, left in entries:
            if len(entries) >= FEWEST and not low - reach <= left <= high + reach:
                sentence = (
                    f"energy is {left - np.median(values):+.2f} eV/atom from the middle of config_type {config_type}, "
                    f"of which most span {high - low:.2f}; an outlier or another reference"
                )
                yield DataFinding("warning", "energies", frame.name, sentence)


def _free_atoms(frames: FrameSet) -> Iterable[DataFinding]:
    """Elements without an isolated atom: nothing says how strongly the structures are bound."""
    missing = missing_isolated_atoms(frames, frames.symbols)
    if missing and any(frame.energy is not None and len(frame) > 1 for frame in frames):
        sentence = (
            f"no isolated atom of {', '.join(missing)}: a fit to these energies leaves those of free atoms open, which "
            "may come out below the crystal; add one frame of each (config_type=IsolatedAtom) where free atoms matter"
        )
        yield DataFinding("info", "free atoms", "", sentence)


def _sources(frames: FrameSet) -> Iterable[DataFinding]:
    """config_types that need a constant of their own: compared where they share a composition, per atom."""
    by_formula: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        if frame.energy is not None and len(frame) > 1:
            reduced = frame.atoms.symbols.formula.reduce()[0].format("hill")
            by_formula[reduced][frame.config_type].append(frame.energy / len(frame))
    for formula, types in by_formula.items():
        middles = {name: float(np.median(values)) for name, values in types.items()}
        if len(middles) < 2:
            continue
        low, high = min(middles, key=middles.__getitem__), max(middles, key=middles.__getitem__)
        gap = middles[high] - middles[low]
        if gap > SOURCE_GAP:
            sentence = (
                f"{formula}: energies of config_types {low} and {high} lie {gap:.1f} eV/atom apart; "
                "they seem to come from different reference methods, which do not mix"
            )
            yield DataFinding("warning", "sources", "", sentence)


def _two_groups(frames: FrameSet) -> Iterable[DataFinding]:
    """config_types of which structures of one composition and size have energies in two groups with none between."""
    alike: dict[str, dict[str, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        if frame.energy is not None and len(frame) > 1:
            alike[frame.config_type][frame.atoms.symbols.get_chemical_formula()].append(frame)
    for config_type, formulas in alike.items():
        split = {formula: parts for formula, rows in formulas.items() if (parts := _parted(rows)) is not None}
        if not split:
            continue
        formula, (low, high) = max(split.items(), key=lambda item: sum(map(len, item[1])))
        middles = [float(np.median([_per_atom(frame) for frame in part])) for part in (low, high)]
        more = f"; {len(split) - 1} more compositions likewise" if len(split) > 1 else ""
        sentence = (
            f"config_type {config_type}, {formula}: energies fall into two groups, {len(low)} frames around "
            f"{middles[0]:.2f} eV/atom (first: {low[0].name}) and {len(high)} around {middles[1]:.2f} (first: "
            f"{high[0].name}), with none between{more}; they seem to come from two reference methods, which do not mix"
        )
        yield DataFinding("warning", "sources", "", sentence)


def _per_atom(frame: Frame) -> float:
    """Energy in eV/atom."""
    return float(frame.energy or 0.0) / len(frame)


def _parted(frames: list[Frame]) -> tuple[list[Frame], list[Frame]] | None:
    """Frames of lower and of higher energy, where a gap far wider than the range of either part lies between them."""
    energies = np.array([_per_atom(frame) for frame in frames])
    order = np.argsort(energies, kind="stable")
    ordered = energies[order]
    for k in range(FEWEST_OF_GROUP, len(ordered) - FEWEST_OF_GROUP + 1):
        widest = max(ordered[k - 1] - ordered[0], ordered[-1] - ordered[k])
        if ordered[k] - ordered[k - 1] >= max(LEAST_GAP, GAP_RANGES * widest):
            low, high = ([frames[i] for i in np.sort(part)] for part in (order[:k], order[k:]))
            return low, high
    return None
