"""YAML text as plain values, with the line on which every key was written.

The YAML is composed into nodes first: nodes know their line, plain Python values do not. Overrides such as
`data.train=my.xyz` are applied on top and are remembered as the origin of the keys they set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rhopot.potentials.config.plain_yaml import UnusableYaml, compose, entries, scalar

KeyPath = tuple[str | int, ...]


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, line and key."""


# Keys that hold paths: text, whatever it looks like to YAML (a folder may be called 001).
PATHS: tuple[KeyPath, ...] = (("output",), ("append",), ("data", "train"), ("data", "validation"))
# Sections that may be written as a number, and the key that it then stands for.
NUMBERS: dict[KeyPath, str] = {("targets", target): "sigma" for target in ("energy", "forces", "stress")}
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
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror or error}); give the path of a YAML configuration "
            "(rhopot config FAMILY > my.yaml writes one)"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text; give the path of a YAML configuration") from error
    return override_document(parse_document(text, str(file)), overrides)


def override_document(document: Document, overrides: Sequence[str]) -> Document:
    """Apply `key.sub=value` overrides to the document, in place, and return it. Raises ConfigError for wrong ones."""
    _refuse_repeated_data(overrides)
    for override in overrides:
        _apply(document, override)
    return document


def parse_document(text: str, name: str) -> Document:
    """Parse YAML `text`; `name` stands for the file in messages."""
    document = Document(name)
    try:
        node = compose(text)
        if node is None:
            return document
        if not isinstance(node, yaml.MappingNode):
            kind = "list" if isinstance(node, yaml.SequenceNode) else "single value"
            raise UnusableYaml(f"the file must hold keys and values, got a {kind}", node.start_mark.line + 1)
        document.values = _plain(node, (), document, lambda line: f"{name}, line {line}")
    except UnusableYaml as error:
        place = name if error.line is None else f"{name}, line {error.line}"
        raise ConfigError(f"{place}: {error}") from error
    return document


def _plain(node: yaml.Node, path: KeyPath, document: Document, place: Callable[[int], str]) -> Any:
    """Values below `node`, recording in `document` the place of each key by its line."""
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            document.origin[(*path, index)] = place(item.start_mark.line + 1)
            items.append(_plain(item, (*path, index), document, place))
        return items
    if not isinstance(node, yaml.MappingNode):
        value = scalar(node)
        path_as_written = value is not None and (path in PATHS or path[:-1] in PATHS)
        return str(node.value) if path_as_written else value
    mapping: dict[str, Any] = {}
    for key, line, value in entries(node):
        here = (*path, key)
        if key in mapping:
            raise ConfigError(
                f"{place(line)}: {dotted(here)} is written twice (first: {document.origin[here]}); keep one"
            )
        document.origin[here] = place(line)
        mapping[key] = _plain(value, here, document, place)
    return mapping


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse_repeated_data(overrides: Sequence[str]) -> None:
    """Refuse two overrides of the same data: the shell makes them of `data.train={a,b}.xyz`, and one would be lost."""
    for key in (dotted(path) for path in PATHS if path[0] == "data"):
        values = [value for name, _, value in (text.partition("=") for text in overrides) if name.strip() == key]
        if len(values) > 1:
            raise ConfigError(
                f"override {key} must be given once, got {' and '.join(values)}; write a list in quotes, "
                f"'{key}=[{', '.join(values)}]'"
            )


def _apply(document: Document, override: str) -> None:
    """Set one `key.sub=value` in place."""
    key, equals, text = override.partition("=")
    keys: KeyPath = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(_no_override(override))
    place = f"{OVERRIDE}'{shortened(override)}'"
    parent = document.values
    for depth, part in enumerate(keys[:-1]):
        child = parent.get(str(part))
        if child is None:
            child = parent[str(part)] = {}
            document.origin.setdefault(keys[: depth + 1], place)
        if isinstance(child, int | float) and keys[: depth + 1] in NUMBERS:
            child = parent[str(part)] = {NUMBERS[keys[: depth + 1]]: child}
        if not isinstance(child, dict):
            raise ConfigError(f"{place}: {dotted(keys[: depth + 1])} is a single value here and has no keys below it")
        parent = child
    for stale in [path for path in document.origin if path[: len(keys)] == keys]:
        del document.origin[stale]
    try:
        parent[str(keys[-1])] = _value(text.strip(), keys, document, place)
    except UnusableYaml as error:
        reason = str(error).replace("is not valid YAML: ", f"must be YAML, got '{shortened(text.strip())}': ")
        raise ConfigError(f"{place}: the value {reason}") from error
    for inner in [path for path in document.origin if path[: len(keys)] == keys]:
        del document.origin[inner]
    document.origin[keys] = place


def _no_override(word: str) -> str:
    """What is wrong with a word of the command line that sets nothing."""
    if Path(word).exists():
        return (
            f"override must be key=value, got the file '{word}'; if the shell has expanded a pattern, "
            "put it in quotes: 'data.train=*.xyz'"
        )
    return f"override '{word}' must be key=value or key.sub=value, for example data.train=my.xyz"


def _value(text: str, keys: KeyPath, document: Document, place: str) -> Any:
    """Value of an override: YAML, but paths are text unless they begin as lists or quoted text do."""
    if keys in PATHS and text not in ("", "null") and text[0] not in "[\"'":
        return text
    node = None if text.startswith("#") else compose(text)
    if node is None:
        return text or None
    rest = text[node.end_mark.index :].strip()
    if rest and isinstance(node, yaml.ScalarNode) and node.style is None:
        return text  # nobody comments on the command line
    if rest:
        raise UnusableYaml(f"must end where its YAML ends, got '{rest}' after it; put text with # in quotes")
    return _plain(node, keys, document, lambda line: place)
