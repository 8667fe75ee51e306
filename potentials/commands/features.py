"""`rhopot features`: the descriptor of every atom, or of every structure, as a NumPy archive.

    features  (N, F)   one row per atom of all frames, in order          frame  (N,)  which frame the atom belongs to
    numbers   (N,)     atomic numbers                                    symbols, descriptor   how they were computed

Families of kind `global` describe structures, not atoms: one row per frame.

    features  (n, F)   as models of the family use them                  frame  (n,)  number of the frame
    n_atoms   (n,)     atoms of the frame

    names     (F,)     what each feature is, where the family names them

The descriptor is that of the model file: made from the settings in it, which hold what was learnt from its training
data. A configuration gives the descriptor that a training on these structures would have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.export import read_card
from rhopot.potentials.config import load_config
from rhopot.potentials.console import bar, make_console
from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.families import Family, UnknownFamilyError, find_family
from rhopot.potentials.files import write_atomically
from rhopot.potentials.structures import UNLABELLED, FrameSet, naming, read_frames


def features(source: Path, structures: Sequence[str], output: Path) -> None:
    """Compute the descriptor that a model file or a configuration names and write it to `output`."""
    if output.suffix != ".npz":
        raise ValueError(
            f"--output must end in .npz, got '{output}'; name it for instance '{output.with_suffix('.npz')}'"
        )
    frames = read_frames(list(structures), UNLABELLED)
    family, settings, symbols = _described(source, frames)
    unknown = sorted(set(frames.symbols) - set(symbols))
    if unknown:
        raise ValueError(f"elements must be among {', '.join(symbols)}, got {', '.join(unknown)}; use another model")
    descriptor: Any = family.descriptor_for(settings, [frame.atoms for frame in frames], symbols)
    console = make_console()
    for note in frames.notes:
        console.print(f"note: {note}")
    found = []
    with bar(console, "features", len(frames)) as advance:
        for k, frame in enumerate(frames):
            with naming(frame):
                found.append(family.features(descriptor, frame.atoms))
            advance(k + 1)
    arrays = _of_atoms(found, frames) if family.kind == "local" else _of_structures(found, frames)
    if family.feature_names is not None:
        arrays["names"] = np.array(family.feature_names(descriptor))
    completed = json.dumps(descriptor.settings.model_dump(mode="json"))
    arrays |= {"symbols": np.array(symbols), "descriptor": np.array(completed)}
    write_atomically(output, lambda partial: np.savez_compressed(partial, **arrays))
    rows = "atoms" if family.kind == "local" else "structures"
    n_rows, n_features = arrays["features"].shape
    console.print(f"{output}: {n_rows} {rows} x {n_features} features ({family.name})")


def _of_atoms(found: Sequence[Any], frames: FrameSet) -> dict[str, Any]:
    """One row per atom."""
    return {
        "features": np.concatenate(found),
        "frame": np.repeat(np.arange(len(frames)), [len(frame) for frame in frames]),
        "numbers": np.concatenate([frame.atoms.numbers for frame in frames]),
    }


def _of_structures(found: Sequence[Any], frames: FrameSet) -> dict[str, Any]:
    """One row per frame."""
    return {
        "features": np.stack(found),
        "frame": np.arange(len(frames)),
        "n_atoms": np.array([len(frame) for frame in frames]),
    }


def _described(source: Path, frames: FrameSet) -> tuple[Family, DescriptorSettings, tuple[str, ...]]:
    """Family, descriptor settings and elements of a model file, or of a configuration."""
    if source.suffix in (".yaml", ".yml"):
        config = load_config(source)
        return find_family(config.family), config.descriptor, config.descriptor.symbols or tuple(frames.symbols)
    card = read_card(source)
    try:
        family = find_family(card.family)
    except UnknownFamilyError as error:
        raise ValueError(f"{error} ('{source}' is a model of it)") from error
    return family, family.descriptor_settings.model_validate(card.descriptor), card.symbols
