"""`rhopot config`: a family's whole configuration that trains as it is; what documents say of keys is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rhopot.potentials.commands import main
from rhopot.potentials.config import load_config
from rhopot.potentials.config.reference import reference
from rhopot.potentials.config.template import template
from rhopot.potentials.families import family_names, find_family

FAMILIES = family_names()
ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "examples" / "configs" / "README.md"


def uncommented(text: str) -> str:
    """The text with a section's keys that are null by default, as somebody would write them out."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.strip() == "stability:")
    return "\n".join([*lines[:start], "  stability: null"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_text_is_the_default_configuration(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", family]) == 0
    text = capsys.readouterr().out
    assert text == template(family)
    whole, least = tmp_path / "whole.yaml", tmp_path / "least.yaml"
    whole.write_text(text)
    least.write_text(f"family: {family}\n")
    assert load_config(whole) == load_config(least)
    assert load_config(whole, ["seed=3"]) == load_config(least, ["seed=3"]) != load_config(least)
    whole.write_text(uncommented(text))
    assert load_config(whole) == load_config(least, ["report.stability=null"])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_stands_in_the_text_with_its_meaning(family: str) -> None:
    text = template(family)
    written = " ".join(re.sub(r"^ *# *", "", line) for line in text.splitlines() if "#" in line)
    for key in reference(family):
        assert re.search(rf"^[ #]*{key.path[-1]}:", text, flags=re.MULTILINE), key.name
        assert key.meaning.rstrip(".") in written, key.name
        if key.unit not in ("", "1"):
            assert f"[{key.unit}]" in written
    assert max(len(line) for line in text.splitlines() if "#" in line) <= 120
    assert yaml.safe_load(text)["family"] == family


def test_keys_of_alternatives_are_comments() -> None:
    text = template("soap_gap")
    assert "    # or kind: two_body, with\n    #   kind: two_body (" in text
    text = template("soap_linear")
    assert "  scaling: null\n    # or a section with\n    #   rate: 1.0 (" in text


def test_without_a_name_families_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^{name} +{find_family(name).title}", printed, flags=re.MULTILINE) for name in FAMILIES)
    assert main(["config", "soap"]) == 1
    assert "family must be one of soap_linear, " in capsys.readouterr().err


def test_the_page_of_configurations_lists_families_and_settings_that_there_are() -> None:
    """First columns of its tables; dotted names are looked at by the tests of the reference."""
    tables = re.split(r"\n\n", PAGE.read_text(encoding="utf-8"))
    named = {}
    for table in tables:
        if table.startswith("| "):
            head, _, *rows = table.splitlines()
            named[head.split("|")[1].strip()] = [re.findall(r"`([\w.]+)`", row.split("|")[1]) for row in rows]
    assert [name for (name,) in named["family"]] == list(FAMILIES)
    short = {key.path[-1] for family in FAMILIES for key in reference(family)}
    settings = [name.split(".")[-1] for row in named["setting"] for name in row]
    assert len(settings) > 10
    assert [name for name in settings if name not in short] == []
