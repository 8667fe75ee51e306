"""YAML text as plain values, with the line on which every key was written.

The YAML is composed into nodes first: nodes know their line, plain Python values do not. Overrides such as
`data.train=my.xyz` are applied on top and are remembered as the origin of the keys they set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, line and key."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads `1e-3` as a number (YAML 1.1 asks for a dot and calls it text)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


# How the place of a value from the command line begins; others begin with the name of the file.
OVERRIDE = "override "


@dataclass
class Document:
    """Values of a configuration and where each of them was written."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Place of `path`, or of its nearest parent that was written: `soap.yaml, line 7`."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origin:
                return self.origin[path[:length]]
        return self.name

    def overridden(self, path: KeyPath) -> bool:
        """True where `path`, or its nearest parent that was written, stands in an override and not in the file."""
        return self.where(path).startswith(OVERRIDE)

    def error(self, path: KeyPath, sentence: str) -> ConfigError:
        """One line: place, dotted key, what is wrong."""
        return ConfigError(
            f"{self.where(path)}: {dotted(path)} {sentence}" if path else f"{self.where(path)}: {sentence}"
        )


def dotted(path: KeyPath) -> str:
    """('data', 'train', 0) -> `data.train[0]`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def read_document(path: str | Path, overrides: Sequence[str] = ()) -> Document:
    """Read the YAML file `path` and apply `key.sub=value` overrides, values in YAML syntax.

    Raises ConfigError with file and line when the file is missing, is not YAML, or repeats a key.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror or error}); give the path of a YAML configuration"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text; give the path of a YAML configuration") from error
    document = parse_document(text, str(file))
    for override in overrides:
        _apply(document, override)
    return document


def parse_document(text: str, name: str) -> Document:
    """Parse YAML `text`; `name` stands for the file in messages."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document(name)
        if node is None:
            return document
        if not isinstance(node, yaml.MappingNode):
            kind = "list" if isinstance(node, yaml.SequenceNode) else "single value"
            raise ConfigError(
                f"{name}, line {node.start_mark.line + 1}: the file must hold keys and values, got a {kind}"
            )
        document.values = _plain(loader, node, (), document)
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{name}{line}: is not valid YAML: {error.problem}") from error
    finally:
        loader.dispose()


def _plain(loader: _Loader, node: yaml.Node, path: KeyPath, document: Document) -> Any:
    """Values below `node`, recording in `document` the line of each key."""
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.origin[(*path, index)] = f"{document.name}, line {item.start_mark.line + 1}"
            items.append(_plain(loader, item, (*path, index), document))
        return items
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    loader.flatten_mapping(node)
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        place = f"{document.name}, line {key_node.start_mark.line + 1}"
        if key in mapping:
            raise ConfigError(
                f"{place}: {dotted((*path, key))} is written twice (first: {document.origin[(*path, key)]}); keep one"
            )
        document.origin[(*path, key)] = place
        mapping[key] = _plain(loader, value_node, (*path, key), document)
    return mapping


def _apply(document: Document, override: str) -> None:
    """Set one `key.sub=value` in place."""
    key, equals, text = override.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"override '{override}' must be key=value or key.sub=value, for example data.train=my.xyz")
    place = f"{OVERRIDE}'{override}'"
    try:
        value = yaml.load(text, Loader=_Loader) if text.strip() else None
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: the value must be YAML, got {text!r}") from error
    parent = document.values
    for depth, part in enumerate(keys[:-1]):
        child = parent.get(part)
        if child is None:
            child = parent[part] = {}
            document.origin.setdefault(keys[: depth + 1], place)
        if not isinstance(child, dict):
            raise ConfigError(f"{place}: {dotted(keys[: depth + 1])} is a single value here and has no keys below it")
        parent = child
    parent[keys[-1]] = value
    for stale in [path for path in document.origin if path[: len(keys)] == keys]:
        del document.origin[stale]
    document.origin[keys] = place
