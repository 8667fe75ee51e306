"""Reference of the configuration: every key of a family with its default, unit, allowed values and meaning.

    for key in reference("soap_gap"):
        print(".".join(key.path), key.default, key.unit, key.meaning)

Everything comes from the models that validate a configuration, so nothing can be missing or out of date: keys and
allowed values from the fields and their constraints, defaults from the fields and the family, meaning and unit from the
docstring of the field. A unit stands in square brackets at the end of it, [1] for a number without one:

    cutoff: float = Field(6.0, gt=0, le=20)
    \"\"\"Radius of an atomic environment. [A]\"\"\"

A key that may hold one of several sections (`baseline.pair`) is followed by the keys of each, with what chooses it in
`when`.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rhopot.potentials.config.load import defaults_of
from rhopot.potentials.config.schema import RunConfig
from rhopot.potentials.families import Family, find_family

UNIT = re.compile(r"\s*\[([^\[\]]+)\]$")
PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", Any: "anything"}
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
REQUIRED = "(required)"


@dataclass(frozen=True)
class Key:
    """One key of the configuration.

    path: words from the top of the document, for instance ("descriptor", "cutoff")
    default: plain value that YAML can write; `REQUIRED` where there is none
    unit: unit of the numbers; "1" for numbers without one, empty for what is not a number
    values: what may be written, in words
    meaning: one line
    when: for keys of a section that has alternatives, what chooses it, for instance "kind: zbl"; else empty
    section: whether the key holds further keys, which follow it
    """

    path: tuple[str, ...]
    default: Any
    unit: str
    values: str
    meaning: str
    when: str = ""
    section: bool = False

    @property
    def name(self) -> str:
        """The key as it is written on the command line."""
        return ".".join(self.path)


def reference(family: str) -> list[Key]:
    """Every key of a configuration of `family`, in the order of the sections.

    Raises ValueError for a name that is no family.
    """
    found = find_family(family)
    own: dict[str, Any] = {"family": family, **defaults_of(found)}
    return list(_keys(RunConfig, own, (), _sections(found), ""))


def _sections(family: Family) -> dict[str, type[BaseModel] | None]:
    """Models of the sections that are a family's own; None: the family has no such section."""
    return {
        "descriptor": family.descriptor_settings,
        "regressor": family.regressor_settings,
        "training": family.training_settings,
    }


def _keys(
    model: type[BaseModel],
    defaults: Mapping[str, Any],
    path: tuple[str, ...],
    own: Mapping[str, type[BaseModel] | None],
    when: str,
) -> Iterator[Key]:
    """Keys of a section; `defaults` overrides those of its fields, `own` replaces fields by sections of a family."""
    for name, field in model.model_fields.items():
        if name in own:
            replaced = own[name]
            if replaced is not None:
                yield Key((*path, name), {}, "", "section", _meaning(replaced.__doc__)[0], when, True)
                yield from _keys(replaced, defaults.get(name, {}), (*path, name), {}, when)
            continue
        default = defaults[name] if name in defaults else _default(field)
        sections = _models(field.annotation)
        meaning, unit = _meaning(field.description or (sections[0].__doc__ if sections else None))
        values = _values(field.annotation, field.metadata)
        yield Key((*path, name), _plain(default), unit, values, meaning, when, bool(sections))
        for section in sections:
            chosen = when
            if len(sections) > 1:
                kind = next(iter(section.model_fields))
                chosen = f"{kind}: {section.model_fields[kind].default}"
            yield from _keys(section, _inner(default, section, len(sections) > 1), (*path, name), {}, chosen)


def _inner(default: Any, section: type[BaseModel], alternatives: bool) -> Mapping[str, Any]:
    """Defaults of the keys of a section, from the default of the section itself where that is one of its kind."""
    if isinstance(default, section):
        return {name: getattr(default, name) for name in section.model_fields}
    if isinstance(default, Mapping):
        kind = next(iter(section.model_fields))
        if not alternatives or default.get(kind) == section.model_fields[kind].default:
            return default
    return {}


def _default(field: FieldInfo) -> Any:
    return REQUIRED if field.is_required() else field.get_default(call_default_factory=True)


def _meaning(text: str | None) -> tuple[str, str]:
    """A docstring in one line, without the unit; the unit."""
    line = " ".join((text or "").split("\n\n")[0].split())
    found = UNIT.search(line)
    return (line[: found.start()], found[1]) if found else (line, "")


def _plain(value: Any) -> Any:
    """A value as YAML writes it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Members of a union, else the annotation itself; `Annotated` and aliases are taken off."""
    if isinstance(annotation, FieldInfo):
        annotation = annotation.annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return _parts(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(part for member in get_args(annotation) for part in _parts(member))
    return (annotation,)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Sections that a key may hold."""
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _values(annotation: Any, metadata: list[Any]) -> str:
    """What may be written, in words: `number > 0, <= 20`, `gto or dvr`, `list of numbers`, ..."""
    words: list[str] = []
    for part, limits in _with_limits(annotation, metadata):
        word = _word(part)
        words.append(f"{word} {limits}".strip())
    return " or ".join(dict.fromkeys(words))


def _with_limits(annotation: Any, metadata: list[Any]) -> Iterator[tuple[Any, str]]:
    """Members of a union with their constraints; those of the whole field are the numbers'."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        yield from _with_limits(inner, [*metadata, *more])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _with_limits(member, metadata)
    else:
        yield annotation, _limits(metadata) if annotation in (int, float) else ""


def _limits(metadata: list[Any]) -> str:
    """Bounds of a number: `> 0, <= 20`."""
    flat = [inner for item in metadata for inner in (item.metadata if isinstance(item, FieldInfo) else [item])]
    bounds = [(item, name) for item in flat for name in BOUNDS if getattr(item, name, None) is not None]
    return ", ".join(f"{BOUNDS[name]} {getattr(item, name):g}" for item, name in bounds)


def _word(part: Any) -> str:
    """One alternative of a type, in words."""
    origin = get_origin(part)
    if part is None or part is type(None):
        return "null"
    if origin is Literal:
        return " or ".join(str(value) for value in get_args(part))
    if origin in (tuple, list):
        return f"list of {_inside(get_args(part)[0])}"
    if origin is dict:
        return f"mapping to {_inside(get_args(part)[1])}"
    if isinstance(part, type) and issubclass(part, BaseModel):
        return "section"
    return PLAIN.get(part, str(part))


def _inside(annotation: Any) -> str:
    return _values(annotation, [])
