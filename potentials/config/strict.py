"""Whole numbers and truths as they are written: nothing else is taken for one.

pydantic reads `seed: true` as 1, `seed: "3"` as 3 and `refit: 1` as true. In a configuration each of them is a slip, so
values are compared, key by key, with what became of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rhopot.potentials.config.document import KeyPath


def taken_for_others(written: Any, read: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Places of values that were read as something else than they are, with `must be <rule>, got <value>`.

    written: values of a document; read: the validated ones, as plain mappings and sequences
    """
    if isinstance(written, Mapping) and isinstance(read, Mapping):
        for key, value in written.items():
            if key in read:
                yield from taken_for_others(value, read[key], (*path, key))
    elif isinstance(written, list | tuple) and isinstance(read, list | tuple) and len(written) == len(read):
        for k, (one, other) in enumerate(zip(written, read, strict=True)):
            yield from taken_for_others(one, other, (*path, k))
    elif isinstance(read, bool):
        if not isinstance(written, bool) and isinstance(written, str | int | float):
            yield path, f"must be true or false, got {written!r}"
    elif isinstance(read, int | float) and isinstance(written, bool):
        rule = "a whole number" if isinstance(read, int) else "a number"
        yield path, f"must be {rule}, got {str(written).lower()}"
    elif isinstance(read, int) and isinstance(written, str):
        yield path, f"must be a whole number, got the text {written!r}; leave the quotes out"
