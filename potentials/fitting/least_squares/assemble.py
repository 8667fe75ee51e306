"""Streaming assembly: every frame's weighted rows, in the coordinates of the prior, are added to sums of squares.

There is one sum (see `normal_equations`) for each fold of the cross-validation that calibrates the members
(`jackknife`), one in all when there are no members. The first frames, from which the preconditioner is made, are drawn
at random; the others are taken fold by fold. For the calibration the energy rows of at most `KEPT_ENERGIES` frames are
kept.

Memory: the sums, one block of rows and one batch of Jacobians, whatever the number of frames. Checkpoints hold the rows
that wait too, and the sequence of blocks depends on the frames alone, so a resumed assembly gives bit for bit the sums
of an uninterrupted one.

The change of coordinates K_NM -> K_NM T (see `coordinates`) is made frame by frame, before the sums: it is where digits
are lost, because T is large, and there it loses them in the same way in whatever order and on whatever rank the frames
come. The rows that enter the sums are of the order of prior over sigma, and different orders agree to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.communicator import Communicator, round_robin
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint
from rhopot.potentials.fitting.least_squares.coordinates import Coordinates
from rhopot.potentials.fitting.least_squares.equations import LinearSystem, count_rows
from rhopot.potentials.fitting.least_squares.normal_equations import SAMPLE, NormalEquations, joined_triangle
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Most energies kept for the calibration; of more frames an even choice is taken.
KEPT_ENERGIES = 1000


@dataclass
class Assembly:
    """All equations: sums per fold, and kept energy rows [x | y] (m, r + 1) in eV per atom with their folds (m).

    frames (m): the positions of the kept rows' frames in the data; n_frames: number of all frames.
    """

    equations: NormalEquations
    energies: Floats
    energy_folds: Integers
    frames: Integers
    n_frames: int = 0

    @staticmethod
    def empty(rank: int, n_folds: int, block_rows: int, triangle: Floats | None = None) -> Assembly:
        """Return an assembly without equations; triangle: of equations to which these will be added."""
        none = np.zeros(0, dtype=np.int64)
        return Assembly(NormalEquations(rank, n_folds, block_rows, triangle), np.zeros((0, rank + 1)), none, none)

    def keep(self, energies: Floats, fold: int, frame: int) -> None:
        """Append energy rows (1, r + 1) of one frame."""
        self.energies = np.concatenate([self.energies, energies])
        self.energy_folds = np.append(self.energy_folds, fold)
        self.frames = np.append(self.frames, frame)

    def appended(self, later: Assembly) -> Assembly:
        """Return these equations and those of later frames, assembled from this preconditioner on."""
        energies = np.concatenate([self.energies, later.energies])
        folds, frames = np.append(self.energy_folds, later.energy_folds), np.append(self.frames, later.frames)
        kept = np.sort(np.fromiter(_kept(np.argsort(folds, kind="stable")), dtype=np.int64))
        equations = self.equations.appended(later.equations)
        return Assembly(equations, energies[kept], folds[kept], frames[kept], later.n_frames)


def assemble(
    frames: Sequence[Frame],
    folds: Integers,
    system: LinearSystem,
    coordinates: Coordinates,
    targets: Targets,
    block_rows: int,
    communicator: Communicator,
    progress: Progress,
    checkpoint: Checkpoint,
    earlier: Assembly | None = None,
) -> Assembly:
    """Return the equations of all frames on rank 0 (and of this rank's share elsewhere); folds (frames): 0, 1, ...

    earlier: equations of other frames, the first ones of the data, which these are added to
    """
    first = 0 if earlier is None else earlier.n_frames
    n_folds = max(int(folds.max(initial=0)) + 1, 1 if earlier is None else len(earlier.equations.squares))
    share = [(k, frames[k]) for k in _order(frames, folds, targets, coordinates.rank, communicator)]
    kept = _kept(np.argsort(folds, kind="stable")) if n_folds > 1 else set()
    triangle = None if earlier is None else earlier.equations.triangle
    assembly = Assembly.empty(coordinates.rank, n_folds, block_rows, triangle)
    done = checkpoint.restore(assembly)
    if done:
        progress.message(f"resumed: {done} of {len(share)} frames were assembled before")
    progress.start("equations", len(share))
    for position in range(done, len(share)):
        k, frame = share[position]
        equations = system.equations(frame, targets)
        if equations is not None:
            assembly.equations.add(compressed(equations.weighted(), coordinates), int(folds[k]))
            if k in kept and "energy" in equations.rows:
                energies = equations.rows["energy"] / len(frame.atoms)
                assembly.keep(compressed(energies, coordinates), int(folds[k]), first + k)
        progress.advance("equations", position + 1)
        if checkpoint.due(position + 1 == len(share)):
            checkpoint.save(assembly, position + 1)
    merged = _merge(assembly, communicator)
    merged.n_frames = first + len(frames)
    return merged if earlier is None or communicator.rank != 0 else earlier.appended(merged)


def _order(
    frames: Sequence[Frame], folds: Integers, targets: Targets, rank: int, communicator: Communicator
) -> list[int]:
    """Return this rank's frames in the order of their assembly: a sample at random, then fold by fold."""
    drawn = np.random.default_rng(0).permutation(len(frames)).tolist()
    share = [k for _, k in round_robin(drawn, communicator)]
    rows = np.cumsum([count_rows(frames[k], targets) for k in share])
    sample = int(np.searchsorted(rows, SAMPLE * rank)) + 1
    return share[:sample] + sorted(share[sample:], key=lambda k: (int(folds[k]), k))


def _kept(order: Integers) -> set[int]:
    """Return the frames whose energy rows are kept: all, or an even choice from every fold."""
    chosen = np.linspace(0, len(order) - 1, min(len(order), KEPT_ENERGIES)).round().astype(np.int64)
    return set(order[chosen].tolist())


def compressed(rows: Floats, coordinates: Coordinates) -> Floats:
    """Return rows [A T | y] from rows [A | y]."""
    return np.concatenate([coordinates.compress(rows[:, :-1]), rows[:, -1:]], axis=1)


def _merge(assembly: Assembly, communicator: Communicator) -> Assembly:
    """Add the other ranks' sums to rank 0's, and put the kept rows in the order of the data."""
    add_ranks(assembly.equations, communicator)
    parts = communicator.gather((assembly.energies, assembly.energy_folds, assembly.frames))
    if not parts:
        return assembly
    energies, folds, frames = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(frames)
    return Assembly(assembly.equations, energies[order], folds[order], frames[order])


def add_ranks(equations: NormalEquations, communicator: Communicator) -> None:
    """Bring all ranks' equations to one preconditioner and add them to rank 0's."""
    equations.flush()
    if communicator.size == 1:
        return
    triangles = communicator.gather(equations.triangle)
    equations.rebase(communicator.broadcast(joined_triangle(triangles) if triangles else None))
    for part in communicator.gather((equations.squares, equations.held.all(), equations.n_rows))[1:]:
        equations.merge(*part)
