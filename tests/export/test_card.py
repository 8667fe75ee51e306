"""The card: complete, or refused field by field."""

from __future__ import annotations

import json

import many_body_toy as toy
import pytest

from rhopot.export import CardError, ModelCard


def fields() -> dict[str, object]:
    return json.loads(toy.card(members=2).to_json())


def test_card_survives_json() -> None:
    card = toy.card(members=2)
    assert ModelCard.from_json(card.to_json()) == card


def test_json_carries_every_field_under_its_documented_name() -> None:
    assert list(fields()) == [
        "format_version", "family", "kind", "symbols", "cutoff", "n_layers", "dtype", "units", "baseline_energies",
        "uncertainty", "descriptor", "fit", "training_data", "metrics", "versions", "references",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(fields()))
def test_no_field_may_be_missing_in_a_file(name: str) -> None:
    without = {key: value for key, value in fields().items() if key != name}
    with pytest.raises(CardError, match=f"card must hold every field, got none of {name}$"):
        ModelCard.from_json(json.dumps(without))


@pytest.mark.parametrize("name", sorted(set(fields()) - {"format_version", "units", "versions"}))
def test_no_field_may_be_left_out_at_export(name: str) -> None:
    without = {key: value for key, value in fields().items() if key != name}
    with pytest.raises(CardError, match=f"^card.{name} must be .*, got nothing; "):
        ModelCard(**without)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("format_version", 2, "1"),
        ("family", "", "the name of a model family"),
        ("kind", "regional", "'local' or 'global'"),
        ("symbols", ["Si", "Si"], "distinct chemical symbols"),
        ("symbols", ["Si", "Xx"], "distinct chemical symbols"),
        ("symbols", [], "distinct chemical symbols"),
        ("cutoff", -1.0, "a positive length in A"),
        ("cutoff", float("inf"), "a positive length in A"),
        ("n_layers", 0, "a positive number of message-passing stages"),
        ("dtype", "float16", "'float64' or 'float32'"),
        ("units", {"length": "nm"}, "length 'A' and energy 'eV'"),
        ("baseline_energies", {"Li": float("nan"), "Si": 0.0}, "one energy in eV for each of the symbols"),
        ("baseline_energies", {"Li": 0.0}, "one energy in eV for each of the symbols"),
        ("uncertainty", {"members": -1}, "a number of members, 0 or more"),
        ("uncertainty", {"members": 1.5}, "a number of members, 0 or more"),
        (
            "uncertainty",
            {"members": 2, "force_factors": {"Li": 1.0, "Si": 0.0}},
            "a number of members, 0 or more, positive force_factors",
        ),
        (
            "uncertainty",
            {"members": 2, "force_factors": {"Li": 1.0}},
            "a number of members, 0 or more, positive force_factors",
        ),
        (
            "uncertainty",
            {"members": 2, "force_radii": {"Li": {"multiple": 2.0, "floor": 0.1}}},
            "a number of members, 0 or more, positive force_factors and force_radii, one for each of the symbols",
        ),
        (
            "uncertainty",
            {"members": 2, "force_radii": {name: {"multiple": 0.0, "floor": 0.1} for name in ("Li", "Si")}},
            "a number of members, 0 or more, positive force_factors and force_radii",
        ),
        ("descriptor", {}, "a non-empty JSON object of finite values"),
        ("fit", {"sigma": float("nan")}, "a non-empty JSON object of finite values"),
        ("training_data", {"summary": {"frames": 3}}, "a summary and a hash"),
        ("metrics", None, "a non-empty JSON object of finite values"),
        ("versions", {"rhopot": "1"}, "versions of rhopot and torch"),
        ("references", [], "at least one reference"),
    ],
)
def test_wrong_values_are_refused_with_the_rule(name: str, value: object, rule: str) -> None:
    with pytest.raises(CardError) as refusal:
        ModelCard(**(fields() | {name: value}))
    assert str(refusal.value).startswith(f"card.{name} must be {rule}")
    assert ", got " in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_every_wrong_field_has_its_own_sentence() -> None:
    with pytest.raises(CardError) as refusal:
        ModelCard(**(fields() | {"cutoff": -1, "kind": "?", "colour": "red"}))
    starts = sorted(sentence.split(" must")[0] for sentence in str(refusal.value).splitlines())
    assert starts == ["card.colour", "card.cutoff", "card.kind"]


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "card must be JSON, got a text that breaks"), ("[]", "card must be a JSON object")]
)
def test_other_texts_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        ModelCard.from_json(text)
