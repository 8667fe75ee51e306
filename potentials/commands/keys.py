"""The option `--key TARGET=NAME`, and the keys that a model was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rhopot.export import ModelCard
from rhopot.potentials.structures import Keys
from rhopot.potentials.structures.keys import WORDS, Key

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


def trained_keys(card: ModelCard) -> dict[str, Key]:
    """Keys of the labels that a model was fitted to, as its card has them."""
    keys: Any = card.training_data.summary.get("keys", {})
    return {target: key if isinstance(key, str) else tuple(key) for target, key in keys.items() if target in WORDS}
