"""What the cards of models and of collective variables share: fields, checks, the sentences of their errors, reading.

A card is the `rhopot.json` inside a TorchScript archive. Python and C++ read it before they deserialise anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Annotated, Any, ClassVar, Self, TypeVar

import torch
from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from rhopot.export.archive import CARD_NAME, ArchiveError, card_of, read_records, require_seal

FORMAT_VERSION = 1

Text = Annotated[str, Field(min_length=1)]


def require_elements(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """The symbols, if they are distinct chemical elements; a validator of pydantic."""
    if len(set(symbols)) < len(symbols) or not all(atomic_numbers.get(symbol, 0) > 0 for symbol in symbols):
        raise ValueError("not distinct chemical symbols")
    return symbols


def require_finite(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The settings, if they hold no NaN and no infinity; a validator of pydantic."""
    json.dumps(settings, allow_nan=False)
    return settings


Elements = Annotated[tuple[str, ...], AfterValidator(require_elements)]
Settings = Annotated[dict[str, JsonValue], Field(min_length=1), AfterValidator(require_finite)]


class CardError(ValueError):
    """A card that lacks a field or holds a wrong one; the message has one sentence per field."""


class Part(BaseModel):
    """Immutable, without unknown fields, NaN or infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Versions(Part):
    """Versions of the software that wrote the file.

    operators: the custom operators it calls, such as `rhopot::power_spectrum_v1`
    """

    rhopot: Text
    torch: Text
    operators: tuple[str, ...]

    @classmethod
    def installed(cls, operators: tuple[str, ...] = ()) -> Versions:
        """Versions of the running installation."""
        return cls(rhopot=installed_version(), torch=str(torch.__version__), operators=operators)


class Card(Part):
    """A card whose every wrong field has a sentence.

    RULES: field -> (rule, remedy), of which the sentences are made; OPTIONAL: fields that files need not have

    Raises CardError, with one sentence for each field that is missing, unknown or wrong.
    """

    RULES: ClassVar[Mapping[str, tuple[str, str]]]
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise CardError(self._sentences(error, fields)) from error
        contradictions = self._contradictions()
        if contradictions:
            raise CardError("\n".join(contradictions))

    def _contradictions(self) -> list[str]:
        """One sentence for each field that does not fit another."""
        return []

    def to_json(self) -> str:
        """The card as the text of `rhopot.json`; optional fields that are not given are left out."""
        fields = self.model_dump(mode="json")
        given = {name: value for name, value in fields.items() if name not in self.OPTIONAL or value is not None}
        return json.dumps(given, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The card in the text of a `rhopot.json`, where no field may be missing.

        Raises CardError; a text that is not JSON is one too.
        """
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise CardError(f"card must be JSON, got a text that breaks at line {error.lineno}") from error
        if not isinstance(fields, dict):
            raise CardError(f"card must be a JSON object, got {type(fields).__name__}")
        absent = [name for name in cls.model_fields if name not in fields and name not in cls.OPTIONAL]
        if absent:
            raise CardError(f"card must hold every field, got none of {', '.join(absent)}")
        return cls(**fields)

    @classmethod
    def _sentences(cls, error: ValidationError, fields: Mapping[str, Any]) -> str:
        """One sentence for each field that pydantic objected to."""
        found: dict[str, str] = {}
        for problem in error.errors():
            name = str(problem["loc"][0])
            if name not in cls.RULES:
                found[name] = f"card.{name} must not be given, it is not a field of format {FORMAT_VERSION}"
                continue
            rule, remedy = cls.RULES[name]
            value = repr(_ordered(fields[name])) if name in fields else "nothing"
            value = value if len(value) <= 80 else value[:77] + "..."
            found[name] = f"card.{name} must be {rule}, got {value}; {remedy}"
        return "\n".join(found.values())


AnyCard = TypeVar("AnyCard", bound=Card)


def checked_card(
    content: bytes, kind: type[AnyCard], check: Callable[[str], None], refused: Callable[[str, str | None], Exception]
) -> AnyCard:
    """The card in the bytes of a file, every one of which is checked.

    check: looks at the text of the card before its fields are judged, for what has an error of its own
    refused: makes the error, from what was found and, where it is not the usual one, the remedy
    """
    try:
        records = read_records(content)
        text = card_of(records).decode("utf-8", "replace")
        check(text)
        card = kind.from_json(text)
        require_seal(records)
    except ArchiveError as error:
        raise refused(error.found, error.remedy) from error
    except CardError as error:
        reasons = str(error).replace("\n", "; ")
        raise refused(f"whose {CARD_NAME} is wrong ({reasons})", None) from error
    return card


def installed_version() -> str:
    """Version of the rhopot installation; a source tree used without installing it has none."""
    try:
        return metadata.version("rhopot")
    except metadata.PackageNotFoundError:
        return "source tree"


def _ordered(value: Any) -> Any:
    """The value with the keys of its objects in order, as LAMMPS writes it."""
    return {key: _ordered(value[key]) for key in sorted(value)} if isinstance(value, dict) else value
