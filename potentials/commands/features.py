"""`rhopot features`: the descriptor of every atom, or of every structure, as a NumPy archive (see `runs.features`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.potentials.console import bar, make_console
from rhopot.potentials.files import write_atomically
from rhopot.potentials.runs.features import compute_features, keys_for
from rhopot.potentials.structures import read_frames


def features(source: Path, structures: Sequence[str], output: Path) -> None:
    """Compute the descriptor that a model file or a configuration names and write it to `output`."""
    if output.suffix != ".npz":
        raise ValueError(
            f"--output must end in .npz, got '{output}'; name it for instance '{output.with_suffix('.npz')}'"
        )
    frames = read_frames(list(structures), keys_for(source))
    console = make_console()
    for note in frames.notes:
        console.print(f"note: {note}")
    with bar(console, "features", len(frames)) as advance:
        family, found = compute_features(source, frames, advance)
    arrays: dict[str, Any] = found
    write_atomically(output, lambda partial: np.savez_compressed(partial, **arrays))
    rows = "atoms" if family.kind == "local" else "structures"
    n_rows, n_features = arrays["features"].shape
    console.print(f"{output}: {n_rows} {rows} x {n_features} features ({family.name})")
