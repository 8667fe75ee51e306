"""The option `--key TARGET=NAME`."""

from __future__ import annotations

from collections.abc import Sequence

from rhopot.potentials.structures import Keys
from rhopot.potentials.structures.keys import WORDS

# How messages write a key.
OPTION = "--key {}={}"


def parse_keys(words: Sequence[str]) -> Keys:
    """Keys of `energy=REF_energy` and the like; several names of one quantity are joined by commas."""
    known = (*WORDS, "config_type")
    found: dict[str, str | list[str]] = {}
    for word in words:
        target, equals, value = word.partition("=")
        names = [name.strip() for name in value.split(",")]
        if not equals or target not in known or not all(names):
            raise ValueError(
                f"--key must be TARGET=NAME with a target of {', '.join(known)}, got {word!r}; e.g. energy=dft_energy"
            )
        if target in found:
            raise ValueError(f"--key must name {target} once, got it twice; join several names: {target}=a,b")
        if target == "config_type" and len(names) > 1:
            raise ValueError(f"--key config_type must be one name, got {value!r}; choose one")
        found[target] = names[0] if len(names) == 1 else names
    return Keys.model_validate(found)
