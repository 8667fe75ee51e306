"""Equations of a finished fit in a file, from which `append` goes on with more frames.

A file holds the sums of all folds (upper triangles), the kept energies, the fold of every frame, and the columns that
were chosen (see `fit`): features, sparse points, coordinates. A fit that goes on takes them as they are, so that its
equations are those of one fit to all frames with the same columns, baseline and descriptor.

Size: 4 (folds + 2) n^2 bytes for n unknowns, 8 n for each row that is held back or kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.files import read_arrays, write_arrays
from rhopot.potentials.fitting.checkpoint import fingerprint
from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.structures import Frame

Integers = NDArray[np.int64]

NAME = "equations.npz"
VERSION = 1
COLUMN = "column_"


@dataclass(frozen=True)
class KeptEquations:
    """Equations of a fit, the fold of each of its frames, the arrays that its columns are made of, their `mark`."""

    assembly: Assembly
    folds: Integers
    columns: dict[str, NDArray[Any]]
    mark: str


def equations_mark(problem: FitProblem, frames: Sequence[Frame]) -> str:
    """Return a digest of all that the equations of some frames of a problem are made with.

    Of the descriptor its settings, not its tables, which may differ between processors in the last digits.
    """
    settings = getattr(problem.descriptor, "settings", None)
    texts = [
        problem.targets.model_dump_json(),
        repr([float(energy) for energy in problem.baseline]),
        "" if settings is None else settings.model_dump_json(),
        *problem.symbols,
    ]
    tables = [] if problem.pair is None else [np.round(t.numpy(), 8) for t in problem.pair.state_dict().values()]
    return fingerprint(tables, texts, frames)


def write_equations(file: Path, kept: KeptEquations) -> None:
    """Write them to a file; flushed equations only."""
    state = kept.assembly.equations.state()
    state.pop("pending"), state.pop("pending_groups")
    squares = state.pop("squares")
    upper = np.triu_indices(squares.shape[1])
    write_arrays(
        file,
        **state,
        version=VERSION,
        mark=kept.mark,
        squares=np.stack([square[upper] for square in squares]),
        energies=kept.assembly.energies,
        energy_folds=kept.assembly.energy_folds,
        frames=kept.assembly.frames,
        folds=kept.folds,
        **{f"{COLUMN}{name}": array for name, array in kept.columns.items()},
    )


def read_equations(file: Path, block_rows: int) -> KeptEquations:
    """Read what `write_equations` wrote.

    Raises:
        ValueError: the file is damaged, or of another version.
    """
    try:
        arrays = read_arrays(file)
    except ValueError as error:
        raise ValueError(f"'{file}' must be whole, got a damaged file; make that training again") from error
    if int(arrays.get("version", 0)) != VERSION:
        raise ValueError(f"'{file}' must hold equations of version {VERSION}, got others; train from scratch")
    n_groups, size = len(arrays["squares"]), len(arrays["triangle"])
    squares = np.zeros((n_groups, size, size))
    squares[:, *np.triu_indices(size)] = arrays["squares"]
    nothing = {"pending": np.zeros((0, size)), "pending_groups": np.zeros(0, dtype=np.int64)}
    assembly = Assembly.empty(size - 1, n_groups, block_rows)
    assembly.equations.restore({**arrays, **nothing, "squares": squares})
    assembly.energies, assembly.energy_folds = arrays["energies"], arrays["energy_folds"]
    assembly.frames, assembly.n_frames = arrays["frames"], len(arrays["folds"])
    columns = {name.removeprefix(COLUMN): array for name, array in arrays.items() if name.startswith(COLUMN)}
    return KeptEquations(assembly, arrays["folds"], columns, str(arrays["mark"]))
