"""CONTRIBUTING.md names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import rhopot.testing

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_files_and_folders_that_it_names_exist() -> None:
    named = set(re.findall(r"`([\w./]+/[\w./]*|[\w/]+\.(?:py|md|toml|cpp))`", TEXT))
    assert len(named) >= 20
    anywhere = {"kernels/", "results.md", "build/site"}  # in several folders, or made by a command
    assert [name for name in sorted(named - anywhere) if not (ROOT / name).exists()] == []


def test_make_targets_that_it_names_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`?make ([\w-]+)", TEXT))
    assert len(named) >= 5
    assert named <= targets


def test_contract_classes_that_it_names_can_be_inherited() -> None:
    named = set(re.findall(r"`(\w+Contract)`", TEXT))
    assert len(named) == 3
    assert [name for name in named if not hasattr(rhopot.testing, name)] == []
