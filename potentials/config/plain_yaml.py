"""YAML as a user means it: plain values, read so that no text turns into something else.

The scalars are those of YAML 1.2: `No`, `on` and `yes` are text (No is an element), `012` is twelve, `1e-3` a number,
and neither dates nor 1:30 are numbers. Keys are always the text that is written. Aliases are allowed as long as what
they stand for is finite and of sensible size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
# Most values a configuration may hold once its aliases are written out.
MOST_VALUES = 100_000


class UnusableYaml(ValueError):
    """Text that is no YAML, or YAML that cannot be a configuration; line: where, counted from 1, if known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes and makes scalars; the resolvers of YAML 1.1 are replaced by those below."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (yaml's own design)


_INT = re.compile(r"^(?:[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
for _tag, _pattern, _first in (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"^<<$"), "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def compose(text: str) -> yaml.Node | None:
    """The nodes of one document, None where it is empty.

    Raises:
        UnusableYaml: no YAML, several documents, or aliases without end.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        loader.dispose()
        if node is not None:
            _check_size(node)
        return node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnusableYaml(
            f"is not valid YAML: {_explained(error)}", None if mark is None else mark.line + 1
        ) from error
    except yaml.YAMLError as error:  # characters that no YAML may hold
        raise UnusableYaml(f"is not valid YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise UnusableYaml("must not be nested this deeply; write fewer brackets") from error


def _explained(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if any(word in f"{error.context} {problem}" for word in ("alias", "anchor", "tag")):
        return f"{problem}; text that begins with *, & or ! must stand in quotes"
    return problem


def _check_size(root: yaml.Node) -> None:
    """Refuse nodes that contain themselves, or that many values once aliases are written out."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_nodes:
            raise UnusableYaml("must be finite, got an alias that stands for itself", node.start_mark.line + 1)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            open_nodes.remove(id(node))
        return sizes[id(node)]

    if size(root) > MOST_VALUES:
        raise UnusableYaml(f"must hold at most {MOST_VALUES} values, got more once its aliases are written out")


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        yield from child if isinstance(child, tuple) else (child,)


def scalar(node: yaml.Node) -> Any:
    """The value of a node without parts."""
    try:
        return _Loader("").construct_object(node)
    except (yaml.MarkedYAMLError, ValueError) as error:
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise UnusableYaml(f"is not valid YAML: {problem}", node.start_mark.line + 1) from error


def entries(node: yaml.MappingNode) -> list[tuple[str, int, yaml.Node]]:
    """Key, line and value of every entry: the mapping's own, then those merged by `<<` whose keys it does not have."""
    own, merged = [], []
    for key, value in node.value:
        if key.tag != _MERGE:
            own.append((_key(key), key.start_mark.line + 1, value))
            continue
        for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(part, yaml.MappingNode):
                raise UnusableYaml("must merge mappings by `<<`, got something else", key.start_mark.line + 1)
            merged += entries(part)
    known = {key for key, *_ in own}
    for entry in merged:
        if entry[0] not in known:
            known.add(entry[0])
            own.append(entry)
    return own


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise UnusableYaml("must have text as keys, got a list or a mapping", node.start_mark.line + 1)
    return str(node.value)
