"""`rhopot features`: the descriptor of every atom, or of every structure, as a NumPy archive.

    features  (N, F)   one row per atom of all frames, in order          frame  (N,)  which frame the atom belongs to
    numbers   (N,)     atomic numbers                                    symbols, descriptor   how they were computed

Families of kind `global` describe structures, not atoms: one row per frame, per atom of it.

    features  (n, F)   on the grids that models use                      frame  (n,)  number of the frame
    n_atoms   (n,)     atoms of the frame                                names  (F,)  what each feature is
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rhopot.export import STRETCH, read_card
from rhopot.potentials.config import load_config
from rhopot.potentials.config.families import FAMILIES
from rhopot.potentials.console import bar, make_console
from rhopot.potentials.descriptors.scattering import choose_grid
from rhopot.potentials.files import write_atomically
from rhopot.potentials.graph.atomic_graph import graphs, species_of
from rhopot.potentials.structures import UNLABELLED, FrameSet, naming, read_frames

MAX_EDGES = 20000


def features(source: Path, structures: Sequence[str], output: Path) -> None:
    """Compute the descriptor that a model file or a configuration names and write it to `output`."""
    if output.suffix != ".npz":
        raise ValueError(
            f"--output must end in .npz, got '{output}'; name it for instance '{output.with_suffix('.npz')}'"
        )
    frames = read_frames(list(structures), UNLABELLED)
    family, settings, symbols = _descriptor(source, frames)
    unknown = sorted(set(frames.symbols) - set(symbols))
    if unknown:
        raise ValueError(f"elements must be among {', '.join(symbols)}, got {', '.join(unknown)}; use another model")
    module = FAMILIES[family].build(settings, symbols)
    console = make_console()
    for note in frames.notes:
        console.print(f"note: {note}")
    with bar(console, "features", len(frames)) as advance, torch.no_grad():
        if FAMILIES[family].kind == "local":
            rows = "atoms"
            arrays = _of_atoms(module, frames, symbols, settings["cutoff"], advance)
        else:
            rows = "structures"
            arrays = _of_structures(module, frames, symbols, advance)
    arrays |= {"symbols": np.array(symbols), "descriptor": np.array(json.dumps(settings))}
    write_atomically(output, lambda partial: np.savez_compressed(partial, **arrays))
    n_rows, n_features = arrays["features"].shape
    console.print(f"{output}: {n_rows} {rows} x {n_features} features ({family})")


def _of_atoms(
    module: Any, frames: FrameSet, symbols: Sequence[str], cutoff: float, advance: Callable[[int], None]
) -> dict[str, Any]:
    """One row per atom."""
    rows, owners, numbers = [], [], []
    for k, frame in enumerate(frames):
        with naming(frame):
            parts = [module(part) for part in graphs(frame.atoms, symbols, cutoff, MAX_EDGES)]
        rows.append(torch.cat(parts).numpy())
        owners.append(np.full(len(frame), k))
        numbers.append(frame.atoms.numbers)
        advance(k + 1)
    return {"features": np.concatenate(rows), "frame": np.concatenate(owners), "numbers": np.concatenate(numbers)}


def _of_structures(
    module: Any, frames: FrameSet, symbols: Sequence[str], advance: Callable[[int], None]
) -> dict[str, Any]:
    """One row per frame."""
    rows = []
    for k, frame in enumerate(frames):
        cell, pbc = torch.tensor(np.asarray(frame.atoms.cell.array)), torch.tensor(frame.atoms.pbc.tolist())
        with naming(frame):
            grid = choose_grid(module.settings, frame.atoms, STRETCH)
        species = species_of(frame.atoms, symbols)
        rows.append(module(torch.tensor(frame.atoms.positions), species, cell, pbc, grid).numpy())
        advance(k + 1)
    return {
        "features": np.stack(rows),
        "frame": np.arange(len(frames)),
        "n_atoms": np.array([len(frame) for frame in frames]),
        "names": np.array([path.name for path in module.paths]),
    }


def _descriptor(source: Path, frames: FrameSet) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """Family, descriptor settings and elements of a model file, or of a configuration completed from the data."""
    if source.suffix in (".yaml", ".yml"):
        config = load_config(source)
        settings = FAMILIES[config.family].complete(config.descriptor, [frame.atoms for frame in frames])
        return config.family, settings, tuple(config.descriptor.get("symbols") or frames.symbols)
    card = read_card(source)
    if card.family not in FAMILIES:
        raise ValueError(
            f"family of '{source}' must be one of {', '.join(FAMILIES)}, got {card.family}; use its own tools"
        )
    return card.family, dict(card.descriptor), card.symbols
