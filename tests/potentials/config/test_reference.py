"""The reference of the configuration: complete, true to what a training uses, and readable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from rhopot.potentials.config import load_config
from rhopot.potentials.config.document import Document
from rhopot.potentials.config.load import validate_document
from rhopot.potentials.config.reference import REQUIRED, Key, _keys, reference
from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctionSettings
from rhopot.potentials.families.registry import OURS

ROOT = Path(__file__).resolve().parents[3]
# What loading an empty configuration fills in from other keys.
DERIVED = {
    "bpnn": {f"descriptor.{name}" for name in ("set", "g2_etas", "g2_shifts", "g4_etas", "g4_zetas", "g4_signs")},
}


def flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Values by their dotted names; mappings that are no sections stay as they are."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[f"{path}{name}"] = value
        if isinstance(value, dict):
            found |= flat(value, f"{path}{name}.")
    return found


def of_default(family: str) -> dict[str, Key]:
    """Keys of the family by name, of the alternatives that it has by default."""
    return {key.name: key for key in reversed(reference(family)) if not key.when or key.when == "kind: zbl"}


@pytest.mark.parametrize("family", OURS)
def test_defaults_are_those_of_a_configuration_that_names_the_family_only(family: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"family: {family}\ndata: {{train: my.xyz}}\n")
    used = flat(load_config(file, []).model_dump(mode="json"))
    keys = of_default(family)
    assert [name for name in used if name not in keys and not name.startswith("training")] == []
    differing = {
        name: (keys[name].default, value)
        for name, value in used.items()
        if name in keys and not keys[name].section and name not in DERIVED.get(family, set()) | {"data.train"}
        if keys[name].default != value
    }
    assert differing == {}


@pytest.mark.parametrize("family", OURS)
def test_ready_configurations_hold_keys_of_the_reference_only(family: str) -> None:
    ready = flat(yaml.safe_load((ROOT / "examples" / "configs" / f"{family}.yaml").read_text(encoding="utf-8")))
    assert len(ready) > 20
    assert [name for name in ready if name not in {key.name for key in reference(family)}] == []


@pytest.mark.parametrize("family", OURS)
def test_ready_configurations_are_the_defaults(family: str) -> None:
    """The command with a ready file, `rhopot config` and Python train the same model."""
    ready = flat(load_config(ROOT / "examples" / "configs" / f"{family}.yaml", []).model_dump(mode="json"))
    bare = flat(validate_document(Document("defaults", {"family": family})).model_dump(mode="json"))
    assert ready.pop("output") != bare.pop("output")
    assert ready == bare


def test_a_named_set_of_symmetry_functions_replaces_the_default_grids() -> None:
    named = Document("named", {"family": "bpnn", "descriptor": {"set": 2}})
    assert validate_document(named).descriptor == SymmetryFunctionSettings(set=2)


@pytest.mark.parametrize("family", OURS)
def test_every_key_has_a_meaning_in_one_line_and_every_number_a_unit(family: str) -> None:
    keys = reference(family)
    assert len(keys) > 60
    assert [key.name for key in keys if not 4 < len(key.meaning) < 125 or "\n" in key.meaning] == []
    assert [key.name for key in keys if "number" in key.values.replace("whole number", "") and not key.unit] == []
    assert [key.name for key in keys if not key.values] == []


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"family must be one of soap_linear, .*, got 'soap'"):
        reference("soap")


class Inner(BaseModel):
    """An inner section."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    length: float = Field(gt=0, le=2)
    """How long
    it is. [A]"""


class Other(BaseModel):
    """Another one."""

    kind: Literal["other"] = "other"


class Outer(BaseModel):
    """A section."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    number: PositiveInt | Literal["all"] | None = 3
    """How many."""
    inner: Inner = Inner(length=1.5)
    widths: tuple[float, ...] = ()
    """Widths. [1]"""


def test_fields_of_any_model_become_keys() -> None:
    number, inner, length, widths = _keys(Outer, {"number": "all"}, ("outer",), {}, "")
    assert number == Key(("outer", "number"), "all", "", "whole number > 0 or all or null", "How many.")
    assert inner == Key(("outer", "inner"), {"length": 1.5}, "", "section", "An inner section.", "", True)
    assert length == Key(("outer", "inner", "length"), 1.5, "A", "number > 0, <= 2", "How long it is.")
    assert widths == Key(("outer", "widths"), [], "1", "list of number", "Widths.")
    (required,) = _keys(Inner, {}, (), {}, "")
    assert required.default == REQUIRED


def test_sections_of_a_family_replace_fields_or_leave_them_out() -> None:
    keys = list(_keys(Outer, {}, (), {"inner": Other, "widths": None}, "x: y"))
    assert [(key.name, key.when) for key in keys] == [("number", "x: y"), ("inner", "x: y"), ("inner.kind", "x: y")]


def test_keys_that_pages_name_are_keys() -> None:
    """Dotted names in the page of the ready configurations, the README and the guides, as they are written there."""
    known = {key.name for family in OURS for key in reference(family)}
    sections = {name.split(".")[0] for name in known if "." in name}
    pages = [ROOT / "README.md", *(ROOT / "examples" / "configs").glob("*.md"), *(ROOT / "examples/guide").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(rf"[`\s]((?:{'|'.join(sections)})(?:\.[a-z_0-9]+)+)(?=[`=:\s])", text))
    files = {name for name in named if name.endswith((".md", ".json", ".xyz"))}
    fields_of_the_model_file = {"uncertainty.force_factors", "uncertainty.force_radii"}
    assert len(named) >= 25
    assert named - known - files - fields_of_the_model_file == set()
