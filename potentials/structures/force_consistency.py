"""Forces against energies: sign and unit, from pairs of frames in one cell whose atoms are displaced a little.

Two frames A, B with the same atoms in the same order and in the same cell, displaced by u, differ by the energy

    E_B - E_A = -1/2 (F_A + F_B) . u

to second order (trapezoid rule), and exactly for any u where the crystal is harmonic. Over the pairs of a config_type
the line energy = scale x work is fitted as that of the stresses (`label_work`), without an offset: over those displaced
by less than `NEAR` or than `FARTHEST`, whichever are closer to a line. It counts only where it holds closely: the
residual does not depend on units, while displacements that are too large, other code versions or spring forces of a
band raise it. Where nothing of the line is left between near frames, there is a warning.

Forces that are zero on every atom are those of a crystal whose symmetry forbids any other, or labels that are missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ase
import numpy as np
import spglib
from ase.utils import spglib_new_errorhandling

from rhopot.potentials.structures.findings import DataFinding
from rhopot.potentials.structures.frames import FrameSet
from rhopot.potentials.structures.label_work import (
    NOISY,
    PARTNERS,
    RELIABLE,
    LabelledPair,
    fit_line,
    with_total_energies,
    without_flipped,
)
from rhopot.potentials.structures.unit_faults import FORCES, is_sound, wrong_energies, wrong_unit

NEAR = 0.3  # A, the largest component of an atom's displacement: liquids and molecules fit no line beyond
FARTHEST = 0.6  # A, up to which crystals do: where they are harmonic, the line holds for any displacement
LEAST_WORK = 1e-4  # eV/atom, of the energy difference or the work: below it rounding speaks
LEAST_SHARE = 0.1  # of the work of both forces in its parts: below it they cancel, and the third order is left
LEAST_PAIRS = 8
LEAST_ZERO = 4  # frames without any force; fewer may be chance
SYMMETRY = 1e-3  # A
WINDOW, WINDOW_ATOMS = 100, 200_000  # frames that each is compared with: those that follow it, and their atoms at most


def find_pairs(frames: FrameSet) -> list[LabelledPair]:
    """Pairs of frames in one cell, those of least displacement, whose forces do measurable work."""
    families: dict[tuple[bytes, ...], list[int]] = defaultdict(list)
    for i, frame in enumerate(frames):
        if frame.energy is not None and frame.forces is not None and frame.forces.any():
            atoms = frame.atoms
            cell = (np.round(atoms.cell.array, 6) + 0.0).tobytes()
            families[frame.config_type.encode(), atoms.numbers.tobytes(), atoms.pbc.tobytes(), cell].append(i)
    return [pair for members in families.values() for pair in _pairs(frames, members)]


def _pairs(frames: FrameSet, members: list[int]) -> Iterable[LabelledPair]:
    """Pairs among frames of one family."""
    first = frames[members[0]].atoms
    cell, pbc, n_atoms = first.cell.complete().array, first.pbc, len(first)
    window = max(min(WINDOW, WINDOW_ATOMS // n_atoms), 1)
    for place, a in enumerate(members[:-1]):
        others = members[place + 1 : place + 1 + window]
        moved = np.stack([frames[b].atoms.positions for b in others]) - frames[a].atoms.positions
        moved -= (np.round(moved @ np.linalg.inv(cell)) * pbc) @ cell
        largest = np.abs(moved).max(axis=(1, 2))
        for k in np.argsort(largest, kind="stable")[:PARTNERS]:
            if largest[k] > FARTHEST:
                break
            b = others[k]
            energy = float(frames[b].energy or 0.0) - float(frames[a].energy or 0.0)
            work_a, work_b = (-0.5 * float((np.asarray(frames[i].forces) * moved[k]).sum()) for i in (a, b))
            work, parts = abs(work_a + work_b), abs(work_a) + abs(work_b)
            if work and work >= LEAST_SHARE * parts and max(work, abs(energy)) > LEAST_WORK * n_atoms:
                yield LabelledPair(a, b, energy, 0.0, work_a, work_b, 0.0, float(largest[k]), 0.0, n_atoms)


def lint_forces(frames: FrameSet) -> Iterable[DataFinding]:
    """Findings on forces by config_type."""
    yield from _zero(frames)
    pairs: dict[str, list[LabelledPair]] = defaultdict(list)
    for pair in find_pairs(frames):
        pairs[frames[pair.a].config_type].append(pair)
    for config_type in sorted({frame.config_type for frame in frames if frame.forces is not None and len(frame) > 1}):
        far = pairs[config_type]
        near = [pair for pair in far if pair.displacement <= NEAR]
        lines = [_Line(kept, *without_flipped(kept)) for kept in (near, far) if len(kept) >= LEAST_PAIRS]
        if lines:
            yield from _findings(frames, config_type, min(lines, key=lambda line: line.residual), len(near))
            continue
        sentence = (
            f"forces of config_type {config_type} cannot be tested against energies: {len(far)} pairs of frames "
            f"differ by small displacements in the same cell, {LEAST_PAIRS} are needed"
        )
        yield DataFinding("info", "forces", "", sentence)


@dataclass(frozen=True)
class _Line:
    """Line through pairs, and the frames whose forces have the opposite sign."""

    pairs: Sequence[LabelledPair]
    fitted: tuple[float, float, float]
    flipped: set[int]

    @property
    def scale(self) -> float:
        return self.fitted[0]

    @property
    def residual(self) -> float:
        return self.fitted[2]


def _findings(frames: FrameSet, config_type: str, line: _Line, n_near: int) -> Iterable[DataFinding]:
    """Findings from the closest line of one config_type; n_near: pairs of displacements that any potential bears."""
    where = f"forces of config_type {config_type}"
    measured = (
        f"(energy = {line.scale:.3g} x work of the forces, {len(line.pairs)} pairs, residual {line.residual:.0%})"
    )
    noisy = line.residual > NOISY and n_near >= LEAST_PAIRS
    if noisy and _are_per_atom(line.pairs):
        yield wrong_energies(config_type, "energies per atom", measured)
    elif noisy:
        sentence = f"{where} do not follow the energies {measured}; noisy, of other frames, or in another order"
        yield DataFinding("warning", "forces", "", sentence)
    elif line.residual > RELIABLE:
        sentence = f"{where} do not follow the energies closely enough to be tested {measured}"
        yield DataFinding("info", "forces", "", sentence)
    elif is_sound(line.scale):
        for i in sorted(line.flipped):
            sentence = "forces contradict the energies of similar frames, with the opposite sign they would fit"
            yield DataFinding("error", "forces", frames[i].name, sentence)
        yield DataFinding("info", "forces", "", f"{where} agree with the energies {measured}")
    else:
        n_atoms = int(np.median([pair.n_atoms for pair in line.pairs]))
        yield wrong_unit(FORCES, config_type, n_atoms, line.scale, measured)


def _zero(frames: FrameSet) -> Iterable[DataFinding]:
    """Findings on frames all of whose forces are zero, by config_type."""
    suspects: dict[str, list[str]] = defaultdict(list)
    for frame in frames:
        if frame.forces is not None and len(frame) > 1 and not frame.forces.any() and _leaves_forces(frame.atoms):
            suspects[frame.config_type].append(frame.name)
    for config_type, names in sorted(suspects.items()):
        sentence = (
            f"forces of config_type {config_type} are zero on all atoms of {len(names)} frame(s) whose symmetry does "
            f"not ask for it (first: {names[0]}); remove them where they were not computed"
        )
        yield DataFinding("error" if len(names) >= LEAST_ZERO else "warning", "forces", "", sentence)


def _leaves_forces(atoms: ase.Atoms) -> bool:
    """Whether symmetry lets any atom have a force."""
    if not atoms.pbc.any():
        return True  # along the bonds, if nothing else
    cell = atoms.cell.complete().array
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    found = spglib_new_errorhandling(spglib.get_symmetry)((cell, scaled, atoms.numbers), symprec=SYMMETRY)
    if found is None:
        return True
    scaled = scaled[np.unique(found["equivalent_atoms"])]  # in a supercell operations and atoms are many, these are few
    moved = np.einsum("oij,nj->oni", found["rotations"], scaled) + found["translations"][:, None] - scaled
    stays = (np.abs((moved - np.round(moved)) @ cell) < 10.0 * SYMMETRY).all(axis=2)  # (operations, atoms)
    traces = np.trace(found["rotations"], axis1=1, axis2=2)
    # The trace of the mean of the operations that keep an atom in its place counts the directions left to its force.
    return bool(((stays * traces[:, None]).sum(axis=0) > 0.5 * stays.sum(axis=0)).any())


def _are_per_atom(pairs: Sequence[LabelledPair]) -> bool:
    """Whether energies of structures of several sizes, which have no factor in common, are energies per atom."""
    scale, _, residual = fit_line(with_total_energies(pairs))
    return residual <= RELIABLE and is_sound(scale)
