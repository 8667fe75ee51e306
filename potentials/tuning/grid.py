"""The configurations that are searched: a starting configuration and lists of values of some of its keys.

The values of a key stand in the order of size (basis, cutoff, cost), because the search goes from a value to its
neighbors. The value of the starting configuration belongs to the list: where it is missing it is put among numbers by
its size, else before all others.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.document import ConfigError, Document, override_document, parse_document
from rhopot.potentials.config.load import validate_document
from rhopot.potentials.families import find_family
from rhopot.potentials.tuning.search import Point

# Sections and keys that change neither errors nor costs, or the data that both are measured on.
NOT_SEARCHED = ("data", "output", "family", "seed", "report", "uncertainty")


@dataclass(frozen=True)
class Grid:
    """Keys, the values of each in order, and the positions of the starting configuration's values."""

    base: RunConfig
    values: Mapping[str, tuple[Any, ...]]
    start: Point

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each key."""
        return tuple(len(values) for values in self.values.values())

    def changes(self, point: Point) -> dict[str, Any]:
        """Keys whose values differ from those of the starting configuration."""
        return {
            key: values[here]
            for (key, values), here, start in zip(self.values.items(), point, self.start, strict=True)
            if here != start
        }

    def config(self, point: Point) -> RunConfig | None:
        """Return the configuration at a point; None where its settings do not go together."""
        try:
            return _changed(self.base, self.changes(point))
        except ConfigError:
            return None


def make_grid(base: RunConfig, words: Sequence[str]) -> Grid:
    """Return the grid of `KEY=V1,V2,...` words; without any, that of the configuration's family.

    Raises:
        ValueError: a family without a grid of its own, or words that are none.
    """
    family = find_family(base.family)
    given = dict(_parsed(word) for word in words) or {key: list(values) for key, values in family.tuning.items()}
    if not given:
        raise ValueError(
            f"--grid must name what is searched for family {family.name}, which has no grid of its own, got none; "
            "add --grid KEY=V1,V2,..., e.g. --grid descriptor.cutoff=4,5,6"
        )
    if len(words) != len({word.partition("=")[0].strip() for word in words}):
        raise ValueError("--grid must name each key once, got one twice; join their values")
    values, start = {}, []
    for key, listed in given.items():
        values[key], place = _with_start(base, key, listed)
        start.append(place)
    return Grid(base, values, tuple(start))


def _parsed(word: str) -> tuple[str, list[Any]]:
    """Key and values of `descriptor.cutoff=4,5,6`; values are YAML."""
    key, equals, text = word.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")) or not text.strip():
        raise ValueError(f"--grid must be KEY=V1,V2,..., got {word!r}; e.g. --grid descriptor.cutoff=4,5,6")
    if key.split(".")[0] in NOT_SEARCHED:
        raise ValueError(
            f"--grid must name settings of the model, got {key}, which is the same in all trials; set it by KEY=VALUE"
        )
    listed = parse_document(f"values: [{text}]", f"--grid {key}").values["values"]
    return key, list(listed)


def _with_start(base: RunConfig, key: str, listed: Sequence[Any]) -> tuple[tuple[Any, ...], int]:
    """Values of a key with that of the starting configuration, and its place; a value that no model takes is refused.

    A value counts as that of the starting configuration where it makes the same configuration: 5 and 5.0, or a
    section that is written out.
    """
    settings, refused = base.model_dump(mode="json"), None
    kept: list[tuple[Any, bool]] = []
    seen: list[Any] = []
    for value in listed:
        try:
            made: Any = _changed(base, {key: value}).model_dump(mode="json")
        except ConfigError as error:  # alone, it may be at fault; with others in the grid it may fit
            refused, made = refused or error, value
        if made not in seen:
            seen.append(made)
            kept.append((value, made == settings))
    if refused is not None and "is not a known key" in str(refused):
        raise refused
    values = [value for value, _ in kept]
    if any(same for _, same in kept):
        return tuple(values), [same for _, same in kept].index(True)
    if refused is not None and len(kept) == 1:
        raise refused
    own = _value_of(settings, key)
    numbers = [own, *values]
    place = bisect_left(values, own) if all(_is_number(one) for one in numbers) and values == sorted(values) else 0
    values.insert(place, own)
    return tuple(values), place


def _changed(base: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the configuration with other values. Raises ConfigError where they do not go together."""
    document = Document("--grid", copy.deepcopy(base.model_dump(mode="json")))
    return validate_document(override_document(document, [f"{key}={_as_yaml(v)}" for key, v in changes.items()]))


def _as_yaml(value: Any) -> str:
    """A value on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _value_of(settings: Any, key: str) -> Any:
    """The value of a dotted key, None below a section that is null."""
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
