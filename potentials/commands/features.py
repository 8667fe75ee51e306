"""`rhopot features`: the descriptor of every atom as a NumPy archive.

features  (N, F)   one row per atom of all frames, in order          frame  (N,)  which frame the atom belongs to
numbers   (N,)     atomic numbers                                    symbols, descriptor   how they were computed
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rhopot.export import read_card
from rhopot.potentials.commands.console import bar, make_console
from rhopot.potentials.commands.files import write_atomically
from rhopot.potentials.config import load_config
from rhopot.potentials.config.families import FAMILIES
from rhopot.potentials.fit.graph import graphs
from rhopot.potentials.structures import FrameSet, read_frames

MAX_EDGES = 20000


def features(source: Path, structures: Sequence[str], output: Path) -> None:
    """Compute the descriptor that a model file or a configuration names and write it to `output`."""
    if output.suffix != ".npz":
        raise ValueError(
            f"--output must end in .npz, got '{output}'; name it for instance '{output.with_suffix('.npz')}'"
        )
    frames = read_frames(list(structures))
    family, settings, symbols = _descriptor(source, frames)
    unknown = sorted(set(frames.symbols) - set(symbols))
    if unknown:
        raise ValueError(f"elements must be among {', '.join(symbols)}, got {', '.join(unknown)}; use another model")
    module = FAMILIES[family].build(settings, symbols)
    console = make_console()
    rows, owners, numbers = [], [], []
    with bar(console, "features", len(frames)) as advance, torch.no_grad():
        for k, frame in enumerate(frames):
            parts = [module(*part.arguments) for part in graphs(frame.atoms, symbols, settings["cutoff"], MAX_EDGES)]
            rows.append(torch.cat(parts).numpy())
            owners.append(np.full(len(frame), k))
            numbers.append(frame.atoms.numbers)
            advance(k + 1)
    table = np.concatenate(rows)
    arrays: dict[str, Any] = {
        "features": table,
        "frame": np.concatenate(owners),
        "numbers": np.concatenate(numbers),
        "symbols": np.array(symbols),
        "descriptor": np.array(json.dumps(settings)),
    }
    write_atomically(output, lambda partial: np.savez_compressed(partial, **arrays))
    console.print(f"{output}: {table.shape[0]} atoms x {table.shape[1]} features ({family})")


def _descriptor(source: Path, frames: FrameSet) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """Family, descriptor settings and elements of a model file, or of a configuration and the data."""
    if source.suffix in (".yaml", ".yml"):
        config = load_config(source)
        return config.family, config.descriptor, tuple(config.descriptor.get("symbols") or frames.symbols)
    card = read_card(source)
    if card.family not in FAMILIES:
        raise ValueError(
            f"family of '{source}' must be one of {', '.join(FAMILIES)}, got {card.family}; use its own tools"
        )
    return card.family, dict(card.descriptor), card.symbols
