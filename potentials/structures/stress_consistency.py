"""Stresses against energies: sign, unit and offset, from pairs of frames that differ by a small strain.

Two frames A, B with the same atoms in the same order differ by a strain eps and displacements u that the strain does
not explain. To second order (trapezoid rule),

    E_B - E_A = V/2 (s_A + s_B) : eps - 1/2 (F_A + F_B) . u

With the force term moved to the left, the work w of the stresses should equal the energy difference d: a line through
the pairs of a config_type (`label_work`), d = scale w + offset V tr(eps), tells how they stand.

    scale near +1   the stresses are what their name says        near -1   they are pressures in disguise
    near 0.006      they are in GPa                              offset     a constant pressure, as a small basis leaves
    near 0.037      the energies are in Hartree; `unit_faults` lists these factors
    near +-1/V      they are virials, and each divided by its volume the scale is +-1

Frames without such a partner (one cell, one volume, molecular dynamics at constant volume) cannot be tested at all, and
the summary says so.

The expansion leaves errors of third order, which grow with the stiffness and look like a pressure. What a training
acts upon (`contradiction`) therefore rests on pairs without displacements, and on an offset without which they do not
fit and that small and large strains agree on: that of a small basis is constant, that of the expansion grows with the
square. Fewer such pairs (`DECIDING_PAIRS`) of a few frames may lie on a line by chance: a training then fits the
stresses and prints the sentence of `lint_stress` as a note. So it does where the energies or the lengths are the likely
fault, which to leave out the stresses would not mend.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from rhopot.potentials.structures.findings import DataFinding
from rhopot.potentials.structures.frames import Floats, Frame, FrameSet
from rhopot.potentials.structures.label_work import (
    NOISY,
    PARTNERS,
    RELIABLE,
    LabelledPair,
    fit_line,
    least_deviations,
    residual_of,
    with_stresses_of_virials,
    with_total_energies,
    without_flipped,
)
from rhopot.potentials.structures.unit_faults import (
    STRESSES,
    UNITS,
    is_one,
    is_sound,
    unit_of,
    wrong_energies,
    wrong_unit,
)
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

LARGEST_STRAIN = 0.06
LEAST_STRAIN = 1e-6  # below it the cell is the same
LARGEST_DISPLACEMENT = 0.15  # A, of any atom
LEAST_WORK = 1e-3  # eV/atom: below it the third-order error and rounding speak
LARGEST_FORCE_SHARE = 0.5  # of the work of the stresses: beyond it the displacements dominate the error
LEAST_PAIRS = 4
# What a contradiction is decided upon: pairs with displacements below this (A), this many, this residual; offsets that
# lower the residual by this factor, and that differ between small and large strains by no more than that one.
STILL = 1e-3
DECIDING_PAIRS = 40
DECIDING_RESIDUAL = 0.08
DECIDING_OFFSET = 1.5 / GPA_PER_EV_PER_CUBIC_ANGSTROM  # eV/A^3
EXPLAINED = 3.0
SAME_OFFSET = 1.2
OFFSET_REPORTED = 0.5 / GPA_PER_EV_PER_CUBIC_ANGSTROM  # eV/A^3


def strained_pair(frames: FrameSet, a: int, b: int) -> LabelledPair | None:
    """Compare frames a and b, or None if the expansion would not hold."""
    left, right = frames[a], frames[b]
    cell_a, cell_b = left.atoms.cell.array, right.atoms.cell.array
    deformation = np.linalg.solve(cell_a, cell_b)  # cell_b = cell_a @ deformation
    strain = 0.5 * (deformation + deformation.T) - np.eye(3)
    if max(np.abs(strain).max(), np.abs(deformation - deformation.T).max()) > LARGEST_STRAIN:
        return None
    scaled = right.atoms.get_scaled_positions(wrap=False) - left.atoms.get_scaled_positions(wrap=False)
    scaled -= np.round(scaled)
    scaled -= scaled.mean(axis=0)
    displacement = scaled @ (0.5 * (cell_a + cell_b))
    if np.abs(displacement).max() > LARGEST_DISPLACEMENT:
        return None
    if left.energy is None or right.energy is None or left.stress is None or right.stress is None:
        return None
    forces = sum((f.forces for f in (left, right) if f.forces is not None), np.zeros_like(displacement))
    if np.abs(displacement).max() > 1e-3 and (left.forces is None or right.forces is None):
        return None
    force_work = -0.5 * float((forces * displacement).sum())
    logarithmic = _logarithm(deformation)
    volumes = left.atoms.get_volume(), right.atoms.get_volume()
    return LabelledPair(
        a=a,
        b=b,
        energy=right.energy - left.energy - force_work,
        force_work=force_work,
        work_a=0.5 * volumes[0] * float((left.stress * logarithmic).sum()),
        work_b=0.5 * volumes[1] * float((right.stress * logarithmic).sum()),
        dilation=volumes[1] - volumes[0],
        displacement=float(np.abs(displacement).max()),
        strain=float(np.linalg.norm(logarithmic)),
        n_atoms=len(left),
        volumes=volumes,
    )


def find_pairs(frames: FrameSet) -> list[LabelledPair]:
    """Pairs that can be compared and whose stresses do measurable work."""
    families: dict[tuple[bytes, str], list[int]] = defaultdict(list)
    for i, frame in enumerate(frames):
        if frame.stress is not None and frame.energy is not None and frame.atoms.pbc.all() and frame.stress.any():
            families[frame.atoms.numbers.tobytes(), frame.config_type].append(i)
    pairs = []
    for members in families.values():
        members.sort(key=lambda i: frames[i].atoms.get_volume())
        cells = np.stack([frames[i].atoms.cell.array for i in members])
        for place, a in enumerate(members):
            found = 0
            change = np.abs(np.linalg.solve(cells[place], cells[place + 1 :]) - np.eye(3)).max(axis=(1, 2))
            near = (change > LEAST_STRAIN) & (change < 2.0 * LARGEST_STRAIN)  # at once: most pairs of a trajectory go
            for b in (members[place + 1 + k] for k in np.flatnonzero(near)):
                pair = strained_pair(frames, a, b)
                if pair is None:
                    continue
                work = max(abs(pair.work_a), abs(pair.work_b), abs(pair.energy))
                if work < LEAST_WORK * len(frames[a]) or abs(pair.force_work) > LARGEST_FORCE_SHARE * work:
                    continue
                pairs.append(pair)
                found += 1
                if found == PARTNERS:
                    break
    return pairs


def lint_stress(frames: FrameSet, compared: Sequence[LabelledPair] | None = None) -> Iterable[DataFinding]:
    """Findings on stresses, by config_type and by frame; `compared`: the pairs, where they are known."""
    by_type: dict[str, list[int]] = defaultdict(list)
    for i, frame in enumerate(frames):
        if frame.stress is not None:
            by_type[frame.config_type].append(i)
    if not by_type:
        return
    pairs: dict[str, list[LabelledPair]] = defaultdict(list)
    for pair in find_pairs(frames) if compared is None else compared:
        pairs[frames[pair.a].config_type].append(pair)
    for config_type, members in by_type.items():
        if _are_all_zero([frames[i] for i in members]):
            yield DataFinding("error", "stress", "", _all_zero(config_type))
            continue
        if len(pairs[config_type]) < LEAST_PAIRS:
            sentence = (
                f"stresses of config_type {config_type} ({len(members)} frames) cannot be tested against energies: "
                f"{len(pairs[config_type])} pairs of frames differ by a small strain, {LEAST_PAIRS} are needed"
            )
            yield DataFinding("info", "stress", "", sentence)
            continue
        (scale, offset, residual), flipped = without_flipped(pairs[config_type])
        if residual < RELIABLE and is_sound(scale):
            for i in sorted(flipped):
                sentence = "stress contradicts the energies of similar frames, with the opposite sign it would fit"
                yield DataFinding("error", "stress", frames[i].name, sentence)
        yield _line(config_type, pairs[config_type], scale, offset, residual)


def contradiction(frames: FrameSet, known: Sequence[LabelledPair] | None = None) -> str:
    """Return a sentence where stresses are certainly not the derivatives of the energies, and at fault, else "".

    known: the pairs, where they are known
    """
    pairs: dict[str, list[LabelledPair]] = defaultdict(list)
    for pair in find_pairs(frames) if known is None else known:
        if pair.displacement <= STILL:
            pairs[frames[pair.a].config_type].append(pair)
    for config_type in sorted({frame.config_type for frame in frames}):
        if _are_all_zero([frame for frame in frames if frame.config_type == config_type]):
            return _all_zero(config_type)
        compared = pairs[config_type]
        if len(compared) < DECIDING_PAIRS:
            continue
        scale, offset, residual = fit_line(compared)
        if sentence := _virials(config_type, compared, scale, residual, DECIDING_RESIDUAL):
            return sentence
        finding = _line(config_type, compared, scale, offset, residual)
        if residual > DECIDING_RESIDUAL or finding.severity == "info" or finding.check == UNITS:
            continue
        large = abs(offset) >= DECIDING_OFFSET
        if not is_sound(scale) or (large and _is_constant_offset(compared, scale, offset)):
            return finding.sentence
    return ""


def _is_constant_offset(pairs: list[LabelledPair], scale: float, offset: float) -> bool:
    """Whether pairs whose volumes differ need the offset, and those of small and of large strain agree on it."""
    ordered = sorted(pairs, key=lambda pair: pair.strain)
    told = np.cumsum([(pair.dilation / pair.strain) ** 2 for pair in ordered])
    first, half = np.searchsorted(told, [0.1 * told[-1], 0.5 * told[-1]])
    halves = ordered[first:half], ordered[half:]
    if min(map(len, halves)) < LEAST_PAIRS:
        return False
    small, large = (least_deviations(part, offset=True)[1] for part in halves)
    needed = residual_of(ordered[first:], scale, 0.0) > EXPLAINED * residual_of(ordered[first:], scale, offset)
    return needed and small * large > 0 and max(abs(small), abs(large)) <= SAME_OFFSET * min(abs(small), abs(large))


def _are_all_zero(frames: list[Frame]) -> bool:
    """Whether several crystals have stresses that are all zero; those of isolated atoms are."""
    crystals = [f.stress for f in frames if f.stress is not None and f.atoms.pbc.all() and len(f) > 1]
    return len(crystals) >= LEAST_PAIRS and not np.any(crystals)


def _all_zero(config_type: str) -> str:
    return f"stresses of config_type {config_type} are all zero, which no calculation gives"


def _virials(
    config_type: str, pairs: Sequence[LabelledPair], scale: float, residual: float, limit: float = RELIABLE
) -> str:
    """Sentence on stresses that are virials, else "".

    scale, residual: of the line through the given labels; limit: residual beyond which nothing is said
    """
    meant, _, left = fit_line(with_stresses_of_virials(pairs))
    if is_sound(scale) or not is_one(abs(meant)) or left > limit:
        return ""
    if unit_of(STRESSES, scale) and residual < left:  # of one volume both have the same factor
        return ""
    measured = f"(energy = {meant:.3g} x their work divided by the volume, {len(pairs)} pairs, residual {left:.0%})"
    kind = (
        "virials, minus stress times volume: name their key data.keys.virial"
        if meant < 0
        else ("stresses times the volume: divide them by it")
    )
    return f"stresses of config_type {config_type} are {kind} {measured}"


def _line(config_type: str, pairs: Sequence[LabelledPair], scale: float, offset: float, residual: float) -> DataFinding:
    """Finding from the fitted line of one config_type."""
    where = f"stresses of config_type {config_type}"
    measured = f"(energy = {scale:.3g} x work of the stresses, {len(pairs)} pairs, residual {residual:.0%})"
    gpa = -offset * GPA_PER_EV_PER_CUBIC_ANGSTROM
    if sentence := _virials(config_type, pairs, scale, residual):
        return DataFinding("error", "stress", "", sentence)
    if residual > NOISY:
        meant = fit_line(with_total_energies(pairs))
        if meant[2] < RELIABLE and is_sound(meant[0]):  # of structures of several sizes, with no factor in common
            return wrong_energies(config_type, "energies per atom", measured)
        return DataFinding(
            "warning", "stress", "", f"{where} do not follow the energies {measured}; noisy or unconverged"
        )
    if not is_sound(scale):
        n_atoms = int(np.median([pair.n_atoms for pair in pairs]))
        return wrong_unit(STRESSES, config_type, n_atoms, scale, measured)
    if abs(offset) > OFFSET_REPORTED:
        sense = "tensile" if gpa > 0 else "compressive"
        sentence = f"{where} are {abs(gpa):.1f} GPa too {sense} against the energies {measured}"
        return DataFinding("warning", "stress", "", sentence)
    return DataFinding("info", "stress", "", f"{where} agree with the energies {measured}")


def _logarithm(deformation: Floats) -> Floats:
    """Logarithmic strain (3, 3) of a small deformation, whose trace is the logarithm of the volume ratio."""
    values, axes = np.linalg.eigh(deformation @ deformation.T)
    return np.asarray(0.5 * (axes * np.log(values)) @ axes.T)
