"""Feature sets that can be compared: what their names on the command line mean, and their features of every atom.

    NAME.yaml, NAME of a family    the descriptor that a training with this configuration on these structures would have
    NAME.pt                        the descriptor of a model, with what it has learned from its own data
    radial_spectrum                c_n00, two-body features on the radial functions of SOAP (`descriptors.soap`)
    sorted_distances               two-body features with Wasserstein distances (`descriptors.sorted_distances`)

Words KEY=VALUE behind a name change its configuration, as they do for a training; words before the first name change
those of all sets but models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from rhopot.export import ModelCard, read_card
from rhopot.potentials import operators
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.document import Document, override_document, read_document
from rhopot.potentials.config.load import validate_document, validate_section
from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import learn_basis
from rhopot.potentials.descriptors.soap.radial_spectrum import RadialSpectrum
from rhopot.potentials.descriptors.sorted_distances import SortedDistanceSettings, complete, sorted_distances
from rhopot.potentials.families import family_names, find_family
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.runs.features import compute_features
from rhopot.potentials.structures import FrameSet, naming

Floats = NDArray[np.float64]
Progress = Callable[[int], None]

CHANGE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=")
FILES = (".yaml", ".yml", ".pt")
# Sets that belong to no family, and the models of their settings.
PLAIN: dict[str, type[BaseModel]] = {"radial_spectrum": SoapSettings, "sorted_distances": SortedDistanceSettings}


@dataclass(frozen=True)
class FeatureSet:
    """A validated feature set: its source as it was written, the changes to it, and what features are made from.

    in_full: its name is the whole path of its file, where another set has a file of the same name
    """

    source: str
    changes: tuple[str, ...]
    described: RunConfig | ModelCard | BaseModel
    in_full: bool = False

    @property
    def name(self) -> str:
        """Source and changes in short: `soap_linear n_max=4`."""
        words = [change.removeprefix("descriptor.").strip() for change in self.changes]
        return " ".join([self.source if self.in_full else Path(self.source).name, *words])


@dataclass(frozen=True)
class AtomFeatures:
    """Features (N, F) of every atom of the structures, in order, and the complete settings that they follow from."""

    values: Floats
    settings: dict[str, Any]

    @property
    def residual_variance(self) -> float | None:
        """Share of the density's variance that an optimal radial basis loses; None without one."""
        basis = self.settings.get("optimal_basis")
        return None if basis is None else basis["residual_variance"]


def read_words(words: Sequence[str]) -> tuple[list[FeatureSet], list[str]]:
    """Return the feature sets that the words name, and the words behind them, which name data.

    Raises:
        ValueError: no set, a set behind data, a change of a model, two sets that are the same, or wrong settings.
    """
    common: list[str] = []
    named: list[tuple[str, list[str]]] = []
    data: list[str] = []
    for word in words:
        if CHANGE.match(word) and not Path(word).exists():
            if data:
                raise ValueError(f"KEY=VALUE must stand behind a feature set, got {word!r} behind the data; move it")
            (named[-1][1] if named else common).append(word)
        elif is_set(word):
            if data:
                raise ValueError(f"DATA must stand behind all feature sets, got {word!r} behind '{data[0]}'; move it")
            named.append((word, []))
        else:
            data.append(word)
    if not named:
        got = f"'{data[0]}'" if data else "none"
        raise ValueError(
            f"the first word must name a feature set (a YAML configuration, a model file or one of "
            f"{', '.join(_names())}), got {got}; see rhopot analyse --help"
        )
    sets = [_validated(source, common, changes) for source, changes in named]
    short = [one.name for one in sets]
    sets = [replace(one, in_full=short.count(one.name) > 1) for one in sets]
    names = [one.name for one in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"feature sets must differ, got '{twice}' {names.count(twice)} times; change one by KEY=VALUE")
    return sets, data


def is_set(word: str) -> bool:
    """Whether a word names a feature set."""
    return word in _names() or Path(word).suffix in FILES


def _names() -> tuple[str, ...]:
    return (*family_names(), *PLAIN)


def _validated(source: str, common: Sequence[str], changes: Sequence[str]) -> FeatureSet:
    """Return the set of that source with its settings checked."""
    words = [*common, *changes]
    described: RunConfig | ModelCard | BaseModel
    if Path(source).suffix == ".pt":
        if changes:
            raise ValueError(f"KEY=VALUE must change a configuration, got {changes[0]!r} behind '{source}'; remove it")
        described = read_card(source)
    elif source in PLAIN:
        described = validate_section(PLAIN[source], override_document(Document(source), words), "descriptor")
    elif Path(source).suffix in FILES:
        described = validate_document(read_document(source, words))
    else:
        described = validate_document(override_document(Document(source, {"family": source}), words))
    family = getattr(described, "family", None)
    if family is not None and find_family(family).kind != "local":
        raise ValueError(
            f"feature sets must describe atoms, got {source}, whose family {family} describes structures; leave it out"
        )
    return FeatureSet(source, tuple(changes), described)


def atom_features(chosen: FeatureSet, frames: FrameSet, progress: Progress = lambda done: None) -> AtomFeatures:
    """Return the features of every atom of `frames`; what a descriptor learns, it learns from them.

    Raises:
        ValueError: elements that a model does not know, or structures that cannot be described.
    """
    described = chosen.described
    if isinstance(described, RunConfig | ModelCard):
        arrays = compute_features(described, frames, progress)[1]
        return AtomFeatures(arrays["features"], json.loads(str(arrays["descriptor"])))
    make = _radial_spectrum if isinstance(described, SoapSettings) else _sorted_distances
    settings, features = make(described, frames)
    found = []
    for k, frame in enumerate(frames):
        with naming(frame):
            found.append(features(frame.atoms))
        progress(k + 1)
    return AtomFeatures(np.concatenate(found), settings.model_dump(mode="json"))


def _radial_spectrum(settings: Any, frames: FrameSet) -> tuple[BaseModel, Callable[[Any], Floats]]:
    """Complete settings and function of the radial spectrum, whose optimal basis is that of l = 0 alone."""
    operators.load()
    named = settings.with_symbols(settings.symbols or frames.symbols).model_copy(update={"l_max": 0})
    descriptor = RadialSpectrum(learn_basis(named, [frame.labelled_atoms() for frame in frames]))
    return descriptor.settings, lambda atoms: features_of_atoms(descriptor, atoms)


def _sorted_distances(settings: Any, frames: FrameSet) -> tuple[BaseModel, Callable[[Any], Floats]]:
    """Complete settings and function of the sorted distances."""
    named = settings.with_symbols(settings.symbols or frames.symbols)
    done = complete(named, [frame.atoms for frame in frames])
    return done, lambda atoms: sorted_distances(done, atoms)
