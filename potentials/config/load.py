"""From a file and its overrides to a validated `RunConfig`."""

from __future__ import annotations

import copy
import difflib
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rhopot.potentials.config.document import ConfigError, Document, KeyPath, dotted, read_document
from rhopot.potentials.config.schema import NoSettings, RunConfig
from rhopot.potentials.config.strict import taken_for_others
from rhopot.potentials.families import Family, FamilyError, UnknownFamilyError, family_names, find_family

Model = TypeVar("Model", bound=BaseModel)

# Sections that a family validates by models of its own.
FAMILY_SECTIONS = ("descriptor", "regressor", "training")

# Settings that bound something: infinity leaves it unbounded.
LIMITS = ("checkpoint_seconds", "cache_gib", "batch_mib", "clip")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, override and validate a run configuration.

    Relative paths stay as written (they are looked up from the working directory). Raises ConfigError with one line per
    fault, each naming the line of the file (or the override) and the key.
    """
    return validate_document(read_document(path, overrides))


def make_config(values: Mapping[str, Any], name: str = "settings") -> RunConfig:
    """Validate settings given as nested mappings, as a file would hold them; `name` stands for the file in messages.

    Raises ConfigError with one line per fault.
    """
    return validate_document(Document(name, copy.deepcopy(dict(values))))


def validate_document(document: Document) -> RunConfig:
    """Validate the values of `document` against the schema and against the family's own sections."""
    family = _family(document)
    _write_out(document, family)
    values = _with_defaults(document.values, defaults_of(family, document.values))
    faults: list[str] = []
    general = {key: value for key, value in values.items() if key not in FAMILY_SECTIONS}
    config = _validated(RunConfig, general, (), document, faults)
    sections = _sections(family, values, document, faults)
    if config is not None and config.data.split.refit and not family.refits_on_validation:
        sentence = f"must be false for {family.name}, got true; the validation part says when its training stops"
        faults.append(str(document.error(("data", "split", "refit"), sentence)))
    if config is not None:
        config = config.model_copy(update=sections)
        read = config.model_dump(mode="python")
        for path, value in _endless(read):
            faults.append(str(document.error(path, f"must be a finite number, got {value}")))
        for path, sentence in taken_for_others(document.values, read):
            faults.append(str(document.error(path, sentence)))
    if faults or config is None:
        raise ConfigError("\n".join(faults))
    found = family.conflict(config)
    if found is not None:
        raise document.error(found.key, found.sentence)
    return config


def validate_section(model: type[Model], document: Document, section: str) -> Model:
    """Validate a document that has one section, `section`, against its model. Raises ConfigError as `load_config`."""
    others = [key for key in document.values if key != section]
    if others:
        sentence = (
            f"is not a known section of {document.name}{_meant(str(others[0]), [section])}; known here: {section}"
        )
        raise document.error((others[0],), sentence)
    faults: list[str] = []
    found = _validated(model, document.values.get(section, {}), (section,), document, faults)
    if found is None:
        raise ConfigError("\n".join(faults))
    return found


def defaults_of(family: Family, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values of the family's own for keys of the configuration `given` that are not written."""
    defaults = dict(family.defaults)
    for path, others in family.replaces.items():
        if given is not None and _at(given, path) is not None:
            defaults = _left_out(defaults, path[:-1], others)
    if family.refits_on_validation:
        return defaults
    return dict(_with_defaults(defaults, {"data": {"split": {"refit": False}}}))


def _at(values: Any, path: KeyPath) -> Any:
    """The value at a place, None where there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _left_out(values: Mapping[str, Any], path: Sequence[str], keys: Sequence[str]) -> dict[str, Any]:
    """Values without some keys of the section at `path`."""
    if not path:
        return {key: value for key, value in values.items() if key not in keys}
    return {**values, path[0]: _left_out(values.get(path[0], {}), path[1:], keys)}


def _sections(family: Family, values: Mapping[str, Any], document: Document, faults: list[str]) -> dict[str, BaseModel]:
    """Settings of the family's own sections; one line per fault is appended to `faults`."""
    models = (family.descriptor_settings, family.regressor_settings, family.training_settings)
    found: dict[str, BaseModel] = {}
    for name, model in zip(FAMILY_SECTIONS, models, strict=True):
        section = values.get(name, {})
        if model is not None:
            checked = _validated(model, section, (name,), document, faults)
            found[name] = NoSettings() if checked is None else checked
        elif section:
            sentence = f"is for families whose models are trained, and {family.name} is solved at once; leave it out"
            faults.append(str(document.error((name,), sentence)))
    return found


def _endless(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, float]]:
    """Places of numbers that are not finite, but for limits, where infinity means none."""
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, Mapping):
            yield from _endless(value, here)
        elif isinstance(value, float) and not math.isfinite(value) and key not in LIMITS:
            yield here, value


def _write_out(document: Document, family: Family) -> None:
    """Move the values of shorthands to the keys they stand for; an override takes the place of what a file says."""
    for short, path in family.shorthands.items():
        if short not in document.values:
            continue
        section, origin = document.values, document.origin
        for key in path[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                return
        replaces = document.overridden((short,)) and not document.overridden(path)
        if path[-1] in section and not replaces:
            raise document.error((short,), f"is short for {dotted(path)}, which is written too; keep one")
        section[path[-1]] = document.values.pop(short)
        origin[path] = origin.pop((short,))


def _with_defaults(values: Any, defaults: Mapping[str, Any]) -> Any:
    """Return the values, with those of `defaults` for keys that are not written."""
    if not isinstance(values, Mapping):
        return values
    filled = {
        key: _with_defaults(values.get(key, {}), value) if isinstance(value, Mapping) else values.get(key, value)
        for key, value in defaults.items()
    }
    return {**values, **filled}


def _family(document: Document) -> Family:
    names = family_names()
    if "family" not in document.values:
        raise document.error((), f"the key `family` is missing; write one of {', '.join(names)}")
    name = document.values["family"]
    try:
        return find_family(str(name))
    except UnknownFamilyError as error:
        sentence = f"must be one of {', '.join(names)}, got {name!r}{_meant(str(name), names)}"
        raise document.error(("family",), sentence) from error
    except FamilyError as error:
        raise ConfigError(f"{document.where(('family',))}: {error}") from error


def _validated(model: type[Model], values: Any, prefix: KeyPath, document: Document, faults: list[str]) -> Model | None:
    """Instance of `model`, or None with one line per fault appended to `faults`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            location = _written(tuple(fault["loc"]), values)
            if fault["type"].startswith("union_tag"):  # the key that chooses a section among several
                location = (*location, fault["ctx"]["discriminator"].strip("'"))
            sentence = _sentence(fault, model, location, values)
            word, _, rest = sentence.partition(" ")
            if fault["type"] == "value_error" and word in _fields(model, location, values):
                location, sentence = (*location, word), rest  # of a section, which names the key at fault
            faults.append(str(document.error(prefix + location, sentence)))
        return None


def _written(location: KeyPath, values: Any) -> KeyPath:
    """Part of a pydantic location that stands in the file: tags of unions and the like are left out."""
    kept: list[str | int] = []
    for position, key in enumerate(location):
        inside = (isinstance(values, dict) and key in values) or (
            isinstance(values, list) and isinstance(key, int) and key < len(values)
        )
        if inside:
            kept.append(key)
            values = values[key]
        elif position == len(location) - 1 and isinstance(values, dict):
            kept.append(key)
    return tuple(kept)


def _sentence(fault: Any, model: type[BaseModel], location: KeyPath, values: Any) -> str:
    """What is wrong with the key, as `must be <rule>, got <value>`."""
    kind, message, value = fault["type"], str(fault["msg"]), fault["input"]
    if kind == "extra_forbidden":
        known = _fields(model, location[:-1], values)
        return f"is not a known key{_meant(str(location[-1]), known) or '; known here: ' + ', '.join(known)}"
    if kind in ("missing", "union_tag_not_found"):
        return "is missing"
    if kind == "union_tag_invalid":
        return f"must be one of {fault['ctx']['expected_tags']}, got {_short(fault['ctx']['tag'])}"
    if kind in ("model_type", "model_attributes_type"):
        got = "null" if value is None else _short(value)
        return f"must be a section with keys below it, got {got}; leave it out for the defaults"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    rule = message[:1].lower() + message[1:]
    rule = rule.replace("input should be", "must be").replace("input should have", "must have")
    return f"{rule}, got {_short(value)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _fields(model: type[BaseModel], location: KeyPath, values: Any) -> list[str]:
    """Field names of the section at `location` below `model`; the values say which, where there are several."""
    for key in location:
        field = model.model_fields.get(str(key))
        values = values.get(key) if isinstance(values, Mapping) else None
        inner = _section(field.annotation, values) if field is not None else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _section(annotation: Any, values: Any) -> type[BaseModel] | None:
    """The model inside `Section`, `Section | None`, `Annotated[Section, ...]`, or the chosen one of several."""
    found = list(_sections_in(annotation))
    return next((model for model in found if _chosen(model, values)), found[0] if found else None)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for part in get_args(annotation):
            yield from _sections_in(part)


def _chosen(model: type[BaseModel], values: Any) -> bool:
    """Whether the values name this model, by a key that can hold one word only (`kind: zbl`)."""
    words = {name: get_args(field.annotation) for name, field in model.model_fields.items()}
    return isinstance(values, Mapping) and any(
        get_origin(model.model_fields[name].annotation) is Literal and len(word) == 1 and values.get(name) == word[0]
        for name, word in words.items()
    )
