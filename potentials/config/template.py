"""A family's whole configuration as YAML: every key with its default, unit, allowed values and meaning.

The text is made from `reference`, so from the models that validate a configuration, and `rhopot train` accepts it
unchanged. Alternatives of a section, and keys of a section that is null by default, follow as comments.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import yaml

from rhopot.potentials.config.document import Document
from rhopot.potentials.config.load import validate_document
from rhopot.potentials.config.reference import REQUIRED, Key, reference
from rhopot.potentials.families import find_family

WIDTH = 110


def template(family: str) -> str:
    """Text of the configuration. Raises ValueError for a name that is no family."""
    keys = _as_used(reference(family), family)
    heading = [
        f"# {family}: {find_family(family).title}.",
        "# Every key with its default; those that stay as they are may be removed. Write this text to a file, and",
        "#     rhopot train FILE data.train=my.xyz output=run1",
        "# A comment gives the meaning of the key below it, [its unit], and what may be written.",
    ]
    return "\n".join([*heading, "", *_section(keys, ())]) + "\n"


def _as_used(keys: Sequence[Key], family: str) -> list[Key]:
    """The keys with the values of a configuration that names the family alone: some follow from others."""
    used = validate_document(Document("defaults", {"family": family})).model_dump(mode="json")

    def value(key: Key) -> Any:
        inner: Any = used
        for word in key.path:
            if not isinstance(inner, dict) or word not in inner:
                return key.default
            inner = inner[word]
        return inner

    return [replace(key, default=value(key)) if key.default != REQUIRED and not key.when else key for key in keys]


def _section(keys: Sequence[Key], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of the keys of a section; those of its alternatives become comments."""
    own = [key for key in keys if key.path[:-1] == path]
    chosen = _chosen(keys, path)
    for key in own:
        if key.when == chosen:
            yield from _entry(key, keys)
    for when in dict.fromkeys(key.when for key in own if key.when != chosen):
        yield f"{_indent(path)}# or {when}, with"
        for key in own:
            if key.when == when:
                yield from _commented(key, keys, f"{_indent(path)}#   ")


def _chosen(keys: Sequence[Key], path: tuple[str, ...]) -> str:
    """What chooses the alternative of a section that is the default; empty where there are no alternatives."""
    default = next((key.default for key in keys if key.path == path), None)
    found = {key.when for key in keys if key.path[:-1] == path}
    if found <= {""} or not isinstance(default, dict):
        return "" if "" in found else "none of them"
    return next((when for when in found if when and default.get(when.split(": ")[0]) == when.split(": ")[1]), "")


def _entry(key: Key, keys: Sequence[Key]) -> Iterator[str]:
    """A key with its comment and what it holds."""
    indent = _indent(key.path[:-1])
    yield from _comment(key, indent)
    inner = any(other.path[:-1] == key.path for other in keys)
    if not inner or not isinstance(key.default, dict):
        yield f"{indent}{key.path[-1]}: {_scalar(key.default)}"
        if inner:
            yield f"{_indent(key.path)}# or a section with"
            for other in keys:
                if other.path[:-1] == key.path:
                    yield from _commented(other, keys, f"{_indent(key.path)}#   ")
    else:
        yield f"{indent}{key.path[-1]}:"
        yield from _section(keys, key.path)


def _commented(key: Key, keys: Sequence[Key], indent: str) -> Iterator[str]:
    """A key of what is not chosen, and what it holds: one comment each, with the meaning in brackets."""
    value = "..." if key.default == REQUIRED else _scalar(key.default)
    yield from _wrapped(f"{key.path[-1]}: {value} ({_meaning(key)})", indent, "    ")
    for other in keys:
        if other.path[:-1] == key.path and other.when == key.when:
            yield from _commented(other, keys, f"{indent}  ")


def _comment(key: Key, indent: str) -> Iterator[str]:
    yield from _wrapped(_meaning(key), f"{indent}# ", "")


def _meaning(key: Key) -> str:
    """Meaning, unit and allowed values in one line."""
    unit = f" [{key.unit}]" if key.unit and key.unit != "1" else ""
    meaning = key.meaning.rstrip(".")
    values = "" if key.section and isinstance(key.default, dict) else f"; {key.values}"
    return f"{meaning}{unit}{values}"


def _wrapped(text: str, prefix: str, hanging: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=prefix, subsequent_indent=prefix + hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _scalar(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _indent(path: tuple[str, ...]) -> str:
    return "  " * len(path)
