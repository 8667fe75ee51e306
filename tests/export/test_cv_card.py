"""The card of collective variables: every field in the file, one sentence for each that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rhopot.export import CardError, CvCard

FIELDS: dict[str, Any] = {
    "names": ["d", "cn"],
    "units": ["A", ""],
    "periods": [None, None],
    "symbols": ["Li", "Si"],
    "cutoff": 3.5,
    "n_sums": 2,
    "atoms": [3, 17, 3],
    "lists": [1, 2],
    "dtype": "float64",
    "settings": {"variable": "combined"},
    "references": ["us"],
}


def test_the_text_has_every_field_and_gives_the_same_card() -> None:
    card = CvCard(**FIELDS)
    fields = json.loads(card.to_json())
    assert list(fields) == list(CvCard.model_fields)
    assert (fields["kind"], fields["format_version"], fields["periods"]) == ("cv", 1, [None, None])
    assert CvCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("name", [name for name in CvCard.model_fields if name != "lists"])
def test_no_field_may_be_missing_in_a_file(name: str) -> None:
    fields = json.loads(CvCard(**FIELDS).to_json())
    del fields[name]
    with pytest.raises(CardError, match=f"^card must hold every field, got none of {name}$"):
        CvCard.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"names": ["d", "d"]}, "card.names must be 1 to 3 distinct names"),
        ({"names": ["1d", "cn"]}, "card.names must be 1 to 3 distinct names"),
        ({"names": ["time", "cn"]}, "none of time, height, biasf"),
        ({"names": []}, "card.names must be 1 to 3 distinct names"),
        ({"units": ["nm", ""]}, "card.units must be 'A', 'radian' or ''"),
        ({"units": ["A"]}, "card.units must be 'A', 'radian' or '', one for each name, got 1"),
        ({"periods": [0.0, None]}, "card.periods must be a positive number or null"),
        ({"periods": [None]}, "card.periods must be a positive number or null, one for each name, got 1"),
        ({"symbols": ["Li", "Xx"]}, "card.symbols must be distinct chemical symbols"),
        ({"cutoff": -1.0}, "card.cutoff must be a length of 0 A or more"),
        ({"n_sums": 0}, "card.symbols, cutoff and n_sums must all be given or all be none"),
        ({"cutoff": 0.0}, "card.symbols, cutoff and n_sums must all be given or all be none"),
        ({"lists": [1, 1]}, "card.lists must be numbers of atoms, 0 or more, as many as there are atoms together"),
        ({"lists": [-1]}, "card.lists must be numbers of atoms, 0 or more"),
        ({"atoms": [0]}, "card.atoms must be IDs of atoms from 1"),
        (
            {"symbols": [], "cutoff": 0.0, "n_sums": 0, "atoms": []},
            "card.atoms must name atoms where no edges are read",
        ),
        ({"dtype": "float16"}, "card.dtype must be 'float64' or 'float32'"),
        ({"settings": {}}, "card.settings must be a non-empty JSON object"),
        ({"references": []}, "card.references must be at least one reference"),
        ({"colour": 1}, "card.colour must not be given"),
        ({"kind": "local"}, "card.kind must be 'cv'"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CardError) as error:
        CvCard(**{**FIELDS, **changes})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "card must be JSON, got a text that breaks at line 1"), ("[]", "got list")]
)
def test_what_is_no_card(text: str, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        CvCard.from_json(text)
