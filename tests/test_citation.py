"""CITATION.cff: the version of the package, the references of its families, and the rules of the format, CFF 1.2."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOI = re.compile(r"10\.\d{4,9}(\.\d+)?/[A-Za-z0-9:/_;\-.()\[\]\\]+")
# Keys that the schema requires of the file and of each reference; keys and types that it allows, as far as we use them.
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {"type", "abstract", "version", "license", "keywords", "references", "date-released", "doi", "url"}
REFERENCE_REQUIRED = {"type", "title", "authors"}
REFERENCE_ALLOWED = REFERENCE_REQUIRED | {
    *("journal", "volume", "start", "end", "year", "doi", "notes", "institution", "thesis-type")
}
TYPES = {"article", "book", "conference-paper", "data", "report", "software", "thesis"}


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return document


def people(authors: Any) -> None:
    """Authors are persons, with a family name, or entities, with a name; nothing else."""
    assert isinstance(authors, list)
    assert authors
    for author in authors:
        assert set(author) in ({"name"}, {"family-names", "given-names"})
        assert all(isinstance(value, str) for value in author.values())


def test_the_file_keeps_the_rules_of_the_format(citation: dict[str, Any]) -> None:
    assert REQUIRED <= set(citation) <= ALLOWED
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all(isinstance(citation[key], str) for key in ("message", "title", "abstract", "version"))
    assert all(isinstance(word, str) for word in [*citation["license"], *citation["keywords"]])
    people(citation["authors"])


def test_every_reference_keeps_the_rules_of_the_format(citation: dict[str, Any]) -> None:
    assert len(citation["references"]) >= 8
    for reference in citation["references"]:
        assert REFERENCE_REQUIRED <= set(reference) <= REFERENCE_ALLOWED, reference["title"]
        assert reference["type"] in TYPES
        people(reference["authors"])
        assert isinstance(reference["year"], int)
        assert DOI.fullmatch(reference.get("doi", "10.1000/none"))
        assert isinstance(reference.get("start", ""), str), "pages are text: 084109 keeps its zero"
        assert set(reference.get("institution", {"name": ""})) == {"name"}


def test_version_and_licence_are_those_of_the_package(citation: dict[str, Any], project: dict[str, Any]) -> None:
    assert citation["version"] == project["version"]
    assert " AND ".join(citation["license"]) == project["license"]


def test_the_readme_cites_the_same_version_and_nothing_that_is_not_in_the_file(
    citation: dict[str, Any], project: dict[str, Any]
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Cite\n")[1].split("\n## ")[0]
    assert re.findall(r"version *= *\{(.+?)\}", section) == [project["version"]]
    assert re.findall(r"title *= *\{(.+?)\}", section) == [citation["title"]]
    cited = set(re.findall(r"doi:(\S+?)(?=[,;\s]|$)", section))
    assert len(cited) >= 5
    assert cited <= {reference.get("doi") for reference in citation["references"]}


def test_references_of_every_family_are_in_the_file(citation: dict[str, Any]) -> None:
    from rhopot.potentials.families.registry import OURS, find_family

    named = {doi for name in OURS for line in find_family(name).references for doi in re.findall(r"doi:(\S+)", line)}
    assert len(named) >= 5
    assert named <= {reference.get("doi") for reference in citation["references"]}
