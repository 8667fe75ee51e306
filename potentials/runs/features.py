"""The descriptor of every atom, or of every structure, as arrays.

    features  (N, F)   one row per atom of all frames, in order          frame  (N,)  which frame the atom belongs to
    numbers   (N,)     atomic numbers                                    symbols, descriptor   how they were computed

Families of kind `global` describe structures, not atoms: one row per frame.

    features  (n, F)   as models of the family use them                  frame  (n,)  number of the frame
    n_atoms   (n,)     atoms of the frame

    names     (F,)     what each feature is, where the family names them

The descriptor is that of the model file: made from the settings in it, which hold what was learned from its training
data. A configuration gives the descriptor that a training on these structures would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from rhopot.export import ModelCard, read_card
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.families import Family, UnknownFamilyError, find_family
from rhopot.potentials.families.contract import make_descriptor
from rhopot.potentials.families.described import described_settings
from rhopot.potentials.structures import AUTO, UNLABELLED, FrameSet, Keys, naming

# A model file or a YAML configuration, or what they hold.
Source = str | Path | RunConfig | ModelCard


def compute_features(
    source: Source, frames: FrameSet, progress: Callable[[int], None] = lambda done: None
) -> tuple[Family, dict[str, NDArray[Any]]]:
    """Family of a model file or a configuration, and the arrays of its descriptor for `frames`.

    Raises ValueError for elements that a model does not know.
    """
    family, settings, symbols = _described(source, frames)
    unknown = sorted(set(frames.symbols) - set(symbols))
    if unknown:
        raise ValueError(f"elements must be among {', '.join(symbols)}, got {', '.join(unknown)}; use another model")
    descriptor = make_descriptor(family, settings, [frame.labelled_atoms() for frame in frames], symbols)
    found = []
    for k, frame in enumerate(frames):
        with naming(frame):
            found.append(family.features(descriptor, frame.atoms))
        progress(k + 1)
    arrays = _of_atoms(found, frames) if family.kind == "local" else _of_structures(found, frames)
    if family.feature_names is not None:
        arrays["names"] = np.array(family.feature_names(descriptor))
    completed = json.dumps(descriptor.settings.model_dump(mode="json"))
    return family, {**arrays, "symbols": np.array(symbols), "descriptor": np.array(completed)}


def features_of_model(card: ModelCard) -> tuple[Family, Callable[[Atoms], NDArray[np.float64]]]:
    """Family of a model, and what gives the features of a structure: (N, F) of its atoms, (F,) of a global model's."""
    family, settings, symbols = _described(card, FrameSet(()))
    descriptor = make_descriptor(family, settings, (), symbols)
    return family, lambda atoms: family.features(descriptor, atoms)


def keys_for(source: Any, keys: Keys = AUTO) -> Keys:
    """Labels that must be read for the descriptor of `source` (`Source`, or settings of a descriptor).

    Energies by the name in `keys`, where a configuration asks for a supervised optimal basis; else none.
    """
    if isinstance(source, str | Path) and Path(source).suffix in (".yaml", ".yml"):
        source = load_config(source)
    settings = source.descriptor if isinstance(source, RunConfig) else source
    mixing = getattr(getattr(settings, "optimal_basis", None), "pcovr_mixing", None)
    return UNLABELLED if mixing is None else UNLABELLED.model_copy(update={"energy": keys.energy})


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


def _described(
    source: str | Path | RunConfig | ModelCard, frames: FrameSet
) -> tuple[Family, DescriptorSettings, tuple[str, ...]]:
    """Family, descriptor settings and elements of a model file, or of a configuration."""
    if isinstance(source, str | Path) and Path(source).suffix in (".yaml", ".yml"):
        source = load_config(source)
    if isinstance(source, RunConfig):
        return find_family(source.family), source.descriptor, source.descriptor.symbols or tuple(frames.symbols)
    card = source if isinstance(source, ModelCard) else read_card(source)
    try:
        family = find_family(card.family)
    except UnknownFamilyError as error:
        file = "this" if isinstance(source, ModelCard) else f"'{source}'"
        raise ValueError(f"{error} ({file} is a model of it)") from error
    return family, described_settings(family, card.descriptor), card.symbols
