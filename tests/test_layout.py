"""The tree is the pipeline: every module imports only from layers to its left; nothing imports the top layer."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Left to right. A module belongs to the longest matching prefix.
LAYERS = [
    "rhopot.potentials.threads",  # before torch is loaded
    "rhopot.potentials.units",
    "rhopot.potentials.device",
    "rhopot.potentials.files",
    "rhopot.potentials.plumed_files",  # the calculator that writes HILLS and the free energies read them
    "rhopot.potentials.plots",
    "rhopot.potentials.property_plots",
    "rhopot.potentials.filter_plots",
    "rhopot.potentials.pooled_plots",
    "rhopot.potentials.cv_plots",
    "rhopot.potentials.operators",
    "rhopot.potentials.graph",  # takes ASE atoms; the checks of structures search neighbors too
    "rhopot.potentials.structures",
    "rhopot.potentials.density",
    "rhopot.potentials.descriptors",
    "rhopot.potentials.collective_variables",
    "rhopot.potentials.pair",
    "rhopot.potentials.models",
    "rhopot.potentials.fitting",
    "rhopot.potentials.console",
    "rhopot.potentials.families",
    "rhopot.lammps_plugin",
    "rhopot.export",
    "rhopot.potentials.config",
    "rhopot.potentials.runs",
    "rhopot.potentials.lammps",
    "rhopot.potentials.properties",
    "rhopot.potentials.free_energy",
    "rhopot.potentials.harvesting",
    "rhopot.potentials.analysis",
    "rhopot.potentials.tuning",
    "rhopot.potentials.verification",
    "rhopot.potentials.api",
    "rhopot.potentials.commands",
    "rhopot.testing",
]
# Packages and the folders of the repository that they are made of.
PACKAGES = {
    "rhopot.potentials": "potentials",
    "rhopot.export": "export",
    "rhopot.lammps_plugin": "lammps_plugin",
    "rhopot.testing": "tests/testing",
}


def modules() -> dict[str, Path]:
    """Dotted name -> file of every Python module of the package."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *file.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def layer(name: str) -> int:
    """Position of a module among the layers; -1 for the bare packages, which hold nothing but a docstring."""
    matches = [k for k, prefix in enumerate(LAYERS) if name == prefix or name.startswith(prefix + ".")]
    return matches[0] if matches else -1


def imports(text: str, name: str) -> set[str]:
    """Modules of ours that the source text imports, wherever the import stands."""
    known = set(modules())
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} uses a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else str(node.module))
    return {module for module in found if module == "rhopot" or module.startswith("rhopot.")}


def test_packages_are_those_that_are_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    mapping = project["tool"]["scikit-build"]["wheel"]["packages"]
    assert {package.replace("/", "."): folder for package, folder in mapping.items()} == PACKAGES


def test_every_module_has_a_layer() -> None:
    assert [name for name in modules() if layer(name) < 0] == ["rhopot.potentials"]


def test_the_top_package_loads_nothing_by_itself() -> None:
    """Its functions are those of `api`, loaded when they are asked for."""
    code = "import sys; before = set(sys.modules); import rhopot.potentials; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "ase", "rhopot.potentials.api"} & set(done.stdout.split())


@pytest.mark.parametrize("name", sorted(set(modules()) - {"rhopot.potentials"}))
def test_module_imports_only_from_its_left(name: str) -> None:
    to_the_right = [
        target
        for target in imports(modules()[name].read_text(encoding="utf-8"), name)
        if target not in ("rhopot", "rhopot.potentials") and layer(target) > layer(name)
    ]
    assert to_the_right == []


def test_a_wrong_import_is_seen() -> None:
    wrong = imports(
        "def f():\n    from rhopot.export import save_model\n", "rhopot.potentials.fitting.least_squares.fit"
    )
    assert [layer(target) > layer("rhopot.potentials.fitting.least_squares.fit") for target in wrong] == [True]


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_are_documented_and_of_a_readable_size(name: str) -> None:
    text = modules()[name].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module says what it is for"
    assert len(text.splitlines()) <= 420


def test_torchscript_is_called_in_one_file_only() -> None:
    users = {
        name
        for name, file in modules().items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.jit.")
        if ast.unparse(node) not in ("torch.jit.Final",)
    }
    assert users <= {"rhopot.export.script"}


@pytest.mark.parametrize("name", sorted(name for name, file in modules().items() if file.name == "__init__.py"))
def test_what_a_package_exports_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert [word for word in getattr(package, "__all__", []) if not hasattr(package, word)] == []


def test_tests_mirror_the_tree() -> None:
    tops = ("potentials", "export", "lammps_plugin")
    folders = {
        file.parent.relative_to(ROOT / "tests") for top in tops for file in (ROOT / "tests" / top).rglob("test_*.py")
    }
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []
