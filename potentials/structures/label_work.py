"""Labels that are derivatives of the energy against the energy: a line through pairs of frames that are alike.

The work w of the forces or of the stresses between two frames should equal the difference d of their energies. Over
pairs of frames the line d = scale w + offset V tr(eps) is fitted by least absolute deviations, each pair weighted by
1 / |w|: a scale of one is sound, any other one tells a sign or a unit (`unit_faults`).

One frame with the wrong sign is found by the votes of its pairs: of the four choices (+-w_A, +-w_B), the one that fits
must fit much better than the rest to count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rhopot.potentials.structures.frames import Floats

PARTNERS = 12  # pairs per frame
LEAST_VOTES = 3
LEAST_KEPT = 4  # pairs of frames that keep their sign, below which no frame is accused
ROBUST_ITERATIONS = 20
NOISY = 0.5  # relative residual beyond which labels are of no use
RELIABLE = 0.15  # relative residual of the line below which single frames are accused
DECISIVE = 0.35  # the best choice of signs leaves less than this share of the smaller work
NEEDED = 1.2  # an offset that lowers the residual by less is none


@dataclass(frozen=True)
class LabelledPair:
    """Two frames, and what the derivatives of the energy say of its difference.

    energy: difference d in eV, without `force_work`
    force_work: part of the difference that the forces explain, in eV, where stresses are tested
    work_a, work_b: work of the tested label of either frame, half each, in eV
    dilation: V tr(eps) in A^3
    displacement: the largest of an atom, in A
    strain: norm of the strain between them
    n_atoms: of either frame
    volumes: of both in A^3
    """

    a: int
    b: int
    energy: float
    force_work: float
    work_a: float
    work_b: float
    dilation: float
    displacement: float
    strain: float
    n_atoms: int
    volumes: tuple[float, float] = (1.0, 1.0)


def fit_line(pairs: Sequence[LabelledPair]) -> tuple[float, float, float]:
    """(scale, offset in eV/A^3, relative residual) of d = scale w + offset V tr(eps), robust to a minority of pairs.

    The offset is zero where a line without it is about as close: at nearly one pressure both do the same work.
    """
    scale, offset = least_deviations(pairs, offset=True)
    (scale_alone,) = least_deviations(pairs, offset=False)
    both, alone = residual_of(pairs, scale, offset), residual_of(pairs, scale_alone, 0.0)
    return (scale, offset, both) if alone > NEEDED * both else (scale_alone, 0.0, alone)


def with_total_energies(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return the pairs with the energies that were meant where the labels are energies per atom."""
    return [replace(p, energy=p.n_atoms * (p.energy + p.force_work) - p.force_work) for p in pairs]


def with_stresses_of_virials(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return the pairs with the work of the stresses that were meant where the labels are virials."""
    return [replace(p, work_a=p.work_a / p.volumes[0], work_b=p.work_b / p.volumes[1]) for p in pairs]


def least_deviations(pairs: Sequence[LabelledPair], offset: bool) -> tuple[float, ...]:
    """Scale and, where asked for, offset of the line."""
    d, w, volume, weight = _columns(pairs)
    rows = np.stack([w, volume] if offset else [w], axis=1) * weight[:, None]
    target = d * weight
    trust = np.ones(len(pairs))
    for _ in range(ROBUST_ITERATIONS):  # least absolute deviations by reweighting
        solution = np.linalg.lstsq(rows * trust[:, None], target * trust, rcond=1e-8)[0]
        trust = 1.0 / np.sqrt(np.maximum(np.abs(rows @ solution - target), 1e-3))
    return tuple(map(float, solution))


def residual_of(pairs: Sequence[LabelledPair], scale: float, offset: float) -> float:
    """Median deviation from a line, relative to the median energy difference."""
    d, w, volume, weight = _columns(pairs)
    missed = np.median(np.abs(scale * w + offset * volume - d) * weight)
    return float(missed / max(float(np.median(np.abs(d) * weight)), 1e-300))


def _columns(pairs: Sequence[LabelledPair]) -> tuple[Floats, Floats, Floats, Floats]:
    """Energy difference, work, dilation and weight of each pair."""
    d = np.array([pair.energy for pair in pairs])
    w = np.array([pair.work_a + pair.work_b for pair in pairs])
    volume = np.array([pair.dilation for pair in pairs])
    weight = 1.0 / (np.abs(np.array([pair.work_a for pair in pairs])) + np.abs([pair.work_b for pair in pairs]))
    return d, w, volume, weight


def without_flipped(pairs: Sequence[LabelledPair]) -> tuple[tuple[float, float, float], set[int]]:
    """The line through the pairs of frames that keep their sign, and the frames that do not.

    Suspects are first named without an offset, so that they cannot bend it, then again with the line of the others.
    """
    line, suspects = fit_line(pairs), _flipped(pairs, 0.0)
    if line[0] <= 0:
        return line, set()
    for _ in range(2):
        kept = [pair for pair in pairs if pair.a not in suspects and pair.b not in suspects]
        if len(kept) < LEAST_KEPT:
            return line, set()
        line = fit_line(kept)
        suspects = _flipped(pairs, line[1])
    return line, suspects


def _flipped(pairs: Sequence[LabelledPair], offset: float) -> set[int]:
    """Frames whose decisive votes are mostly for the opposite sign, a common offset of the stresses aside."""
    votes: dict[int, list[int]] = defaultdict(list)
    for pair in pairs:
        choices = {
            (sign_a, sign_b): abs(pair.energy - offset * pair.dilation - sign_a * pair.work_a - sign_b * pair.work_b)
            for sign_a in (1, -1)
            for sign_b in (1, -1)
        }
        (best, left), (_, second) = sorted(choices.items(), key=lambda item: item[1])[:2]
        smaller = min(abs(pair.work_a), abs(pair.work_b))
        if left < DECISIVE * smaller and second > 2.0 * left + DECISIVE * smaller:
            votes[pair.a].append(best[0])
            votes[pair.b].append(best[1])
    return {i for i, signs in votes.items() if len(signs) >= LEAST_VOTES and sum(signs) < -0.5 * len(signs)}
