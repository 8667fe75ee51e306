"""`make docs`: the site builds without a warning, and holds what it promises."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "examples" / "guide" / "site"


def program(name: str) -> ModuleType:
    """A module of the site's folder."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", SITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished site, built as `make docs` builds it: a warning is a failure."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, str(SITE / "build.py"), "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def words(page: Path) -> str:
    """The text of a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_of_the_folders_is_in_the_site(site: Path) -> None:
    pages = [*(ROOT / "examples").rglob("*.md"), *(ROOT / "lammps_plugin").glob("*.md"), ROOT / "CHANGELOG.md"]
    assert len(pages) >= 14
    assert [page for page in pages if not (site / page.relative_to(ROOT)).with_suffix(".html").exists()] == []
    assert "Two commands" in words(site / "index.html")


def test_links_and_images_lead_to_files_of_the_site(site: Path) -> None:
    broken = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"]+)"', page.read_text(encoding="utf-8")):
            path = target.partition("#")[0].partition("?")[0]
            if path and not re.match(r"[a-z]+:", path) and not (page.parent / path).exists():
                broken.append((page.relative_to(site), target))
    assert broken == []


def test_commands_and_their_options_are_listed(site: Path) -> None:
    text = words(site / "reference" / "commands.html")
    for word in ("rhopot train", "--overwrite", "rhopot data lint", "--shift-from", "rhopot doctor"):
        assert word in text


def test_every_setting_of_every_family_is_listed(site: Path) -> None:
    from rhopot.potentials.config.reference import reference
    from rhopot.potentials.families.registry import OURS

    for family in OURS:
        text = words(site / "reference" / f"{family}.html")
        assert [key.name for key in reference(family) if f" {key.name} " not in text] == []


def test_what_packages_export_is_documented(site: Path) -> None:
    text = words(site / "api" / "rhopot.export.html")
    assert "class rhopot.export.calculator.RhopotCalculator" in text
    assert "Runs a model file, or a loaded model, in ASE." in text
    assert "Energies in eV, forces in eV/A" in text


def test_docstrings_keep_their_equations_columns_and_lists() -> None:
    convert = program("docstrings").convert
    docstring = [
        *["The *norm* of `x_` is |x|_2.", "", "    n = |x|", "", "In : (N,) A", "Out: one number", ""],
        *["kind: local or `global`", "    of a model", "", "| a | b |", "| --- | --- |", "| 1 | `2` |", ""],
        *["Raises:", "    ValueError: `x` is *empty*."],
    ]
    assert convert(docstring) == [
        *["The \\*norm\\* of ``x_``\\  is \\|x\\|_2.", "", "::", "", "    n = |x|", ""],
        *["::", "", "    In : (N,) A", "    Out: one number", ""],
        *["* kind: local or ``global``", "  of a model", ""],
        *[".. list-table::", "   :header-rows: 1", "", "   * - a", "     - b", "   * - 1", "     - ``2``", ""],
        *["Raises:", "    ValueError: ``x``\\  is \\*empty\\*.", ""],
    ]


def test_a_link_to_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect = program("collect")
    monkeypatch.setattr(collect, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("see [there](gone.md) and `[not](this)`")
    with pytest.raises(FileNotFoundError, match=r"page\.md must link to what exists, got gone\.md; correct the link"):
        collect._with_links(tmp_path / "page.md", tmp_path / "out")
