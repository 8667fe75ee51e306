"""Pages of the site: those of the folders, copied with their links, and those that the package itself can say.

The repository's pages stay where they are read beside the code; here they come together in one folder of Markdown:

    index.md                README, with the contents of the site
    examples/, lammps_plugin/, CHANGELOG.md, ...    pages of the folders; programs of an example on a page of their own
    reference/              commands and their options, from the command line itself; every setting of each family, from
                            the models that validate it
    api/                    one page for each package, one section for each module
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import yaml

ROOT = Path(__file__).resolve().parents[3]
GUIDE = Path("examples/guide")
PROJECT_PAGES = ("CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md")
PROGRAMS = "programs.md"
# Packages that are used through something else: the command line, LAMMPS.
NOT_API = {"commands"}
ACRONYMS = {"ase", "lammps", "md", "neb", "nve"}
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
LINK = re.compile(r"(!?\[[^\]\n]*\]\()([^)\s]+)(\))")


def collect(target: Path) -> None:
    """Write all pages below `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    pages = sorted([*(ROOT / "examples").rglob("*.md"), *(ROOT / "lammps_plugin").glob("*.md")])
    pages += [ROOT / name for name in PROJECT_PAGES if (ROOT / name).exists()]
    folders = _write_programs(target)
    for page in pages:
        place = page.relative_to(ROOT)
        _write(target / place, _with_links(page, target) + _contents_of_folder(place, folders))
    _write_commands(target / "reference")
    families = _write_settings(target / "reference")
    _write_api(target / "api")
    _write(target / "index.md", _with_links(ROOT / "README.md", target) + _contents(folders, families))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _toctree(caption: str, entries: Iterable[str], hidden: bool = True) -> str:
    lines = [entry for entry in entries if entry]
    options = [*([":hidden:"] if hidden else []), f":caption: {caption}"]
    return "\n".join(["", "", "```{toctree}", *options, "", *lines, "```", ""]) if lines else ""


def _contents(folders: list[Path], families: list[str]) -> str:
    """The site's table of contents, behind the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")  # names the guides in the order in which to read them
    guides = sorted((str(page.relative_to(ROOT)) for page in (ROOT / GUIDE).glob("*.md")), key=readme.index)
    entries = [str(folder / _front(folder)) for folder in folders]
    data = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "examples/data").rglob("README.md"))
    return (
        _toctree("Guides", guides)
        + _toctree("Use", ["examples/configs/README.md", "lammps_plugin/README.md", "reference/commands.md"])
        + _toctree("Examples and results", [*(e for e in entries if not e.startswith("examples/configs/")), *data])
        + _toctree("Settings of each family", [f"reference/{family}.md" for family in families])
        + _toctree("Python", ["api/index.md"])
        + _toctree("Project", [name for name in PROJECT_PAGES if (ROOT / name).exists()])
    )


def _contents_of_folder(place: Path, folders: list[Path]) -> str:
    """What a folder's README has below it: its results and its programs."""
    if place.name != "README.md" or place.parent not in folders:
        return ""
    return _toctree("This folder", [*_results(place.parent), PROGRAMS])


def _front(folder: Path) -> str:
    """The page of a folder that a link to the folder leads to."""
    return "README.md" if (ROOT / folder / "README.md").exists() else PROGRAMS


def _results(folder: Path) -> list[str]:
    """Pages of a folder beside its README."""
    return sorted(page.name for page in (ROOT / folder).glob("*.md") if page.name != "README.md")


def _with_links(page: Path, target: Path) -> str:
    """The text of a page whose links lead to pages of the site, or to copies of the files that they name."""
    home = page.parent

    def lead(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or not path:
            return match.group(0)
        subject = (home / path).resolve()
        if not subject.exists():
            raise FileNotFoundError(f"{page.relative_to(ROOT)} must link to what exists, got {link}; correct the link")
        place = subject.relative_to(ROOT)
        if subject.is_dir():
            place = place / _front(place)
        elif subject.suffix != ".md":
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(subject, target / place)
        if place == Path("README.md"):
            place = Path("index.md")
        relative = os.path.relpath(target / place, target / page.relative_to(ROOT).parent)
        return f"{before}{relative}{'#' + anchor if anchor else ''}{after}"

    parts = CODE.split(page.read_text(encoding="utf-8"))
    return "".join(part if k % 2 else LINK.sub(lead, part) for k, part in enumerate(parts))


def _write_programs(target: Path) -> list[Path]:
    """A page of programs for each folder of examples that has some; the folders."""
    folders = sorted(
        folder.relative_to(ROOT)
        for folder in (ROOT / "examples").iterdir()
        if folder.is_dir() and folder.name not in ("data", "guide", "__pycache__")
    )
    for folder in folders:
        files = sorted(
            f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".yaml") or f.name.startswith("in.")
        )
        text = f"# {_title(folder)}\n"
        for file in files:
            language = {".py": "python", ".yaml": "yaml"}.get(file.suffix, "text")
            source = file.read_text(encoding="utf-8")
            text += f"\n## {file.relative_to(ROOT / folder)}\n\n"
            if language == "python":
                tree = ast.parse(source)
                text += f"{ast.get_docstring(tree)}\n\n"
                source = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip()
            text += f"````{{code-block}} {language}\n{source.rstrip()}\n````\n"
        alone = _front(folder) == PROGRAMS
        _write(target / folder / PROGRAMS, text + (_toctree("Results", _results(folder)) if alone else ""))
    return folders


def _title(folder: Path) -> str:
    """Heading of a folder's page of programs."""
    if folder.name == "configs":
        return "The ready configurations"
    if _front(folder) != PROGRAMS:
        return f"Programs of {folder}"
    words = [word.upper() if word in ACRONYMS else word for word in folder.name.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _write_commands(folder: Path) -> None:
    """Arguments and options of every command, from the command line's own description."""
    import typer

    from rhopot.potentials.commands.application import app

    lines = ["# Commands", "", "What `rhopot COMMAND --help` prints, on one page.", ""]

    def describe(command: object, words: str) -> None:
        inner = getattr(command, "commands", None)
        if inner:
            for name, child in inner.items():
                describe(child, f"{words} {name}")
            return
        lines.extend([f"## {words}", "", str(getattr(command, "help", "") or ""), ""])
        lines.extend(["| argument or option | meaning | default |", "| --- | --- | --- |"])
        for parameter in command.params:  # type: ignore[attr-defined]
            option = parameter.param_type_name == "option"
            metavar = parameter.metavar or ""
            names = " ".join([*parameter.opts, metavar]).strip() if option else metavar or parameter.name
            default = parameter.default
            shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
            meaning = str(getattr(parameter, "help", "") or "").replace("|", "\\|")
            lines.append(f"| `{names.replace('|', ' or ')}` | {meaning} | {shown} |")
        lines.append("")

    describe(typer.main.get_command(app), "rhopot")
    _write(folder / "commands.md", "\n".join(lines))


def _write_settings(folder: Path) -> list[str]:
    """A page for each family with every key of its configuration; the families."""
    from rhopot.potentials.config.reference import REQUIRED, Key, reference
    from rhopot.potentials.families.registry import OURS, find_family

    for family in OURS:
        file = ROOT / "examples" / "configs" / f"{family}.yaml"
        ready = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}

        def row(key: Key, ready: object = ready) -> str:
            name = f"`{key.name}`" + (f" ({key.when})" if key.when else "")
            for word in key.path:
                ready = ready.get(word, key.default) if isinstance(ready, dict) else key.default
            default = "" if key.section else "required" if key.default == REQUIRED else _code(key.default)
            other = "" if key.section or ready == key.default else _code(ready)
            cells = (name, default, other, key.unit.replace("1", "", key.unit == "1"), key.values, key.meaning)
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        sections: dict[str, list[str]] = {}
        for key in reference(family):
            top = key.path[0]
            sections.setdefault(top if key.section or top in sections else "", []).append(row(key))
        title = find_family(family).title
        text = f"# {family}\n\n{title[0].upper()}{title[1:]}. "
        text += f"Ready configuration: `examples/configs/{family}.yaml`.\n"
        for name, rows in sections.items():
            heading = f"\n## {name}\n" if name else ""
            columns = ("key", "default", "ready configuration, where it differs", "unit", "values", "meaning")
            lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns), *rows]
            text += f"{heading}\n" + "\n".join(lines) + "\n"
        _write(folder / f"{family}.md", text)
    return list(OURS)


def _code(value: object) -> str:
    """A value as YAML writes it, on one line."""
    written = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    return f"`{written}`"


def _write_api(folder: Path) -> None:
    """One page for each package that is used from Python, with what it exports."""
    names = []
    for top in ("potentials", "export", "tests/testing"):
        for init in sorted((ROOT / top).rglob("__init__.py")):
            package = init.parent.relative_to(ROOT)
            if not NOT_API & set(package.parts):
                name = ".".join(["rhopot", *(part for part in package.parts if part != "tests")])
                names.append(name)
                _write(folder / f"{name}.md", _page_of_package(name, init.parent))
    intro = (
        "# Python interface\n\nEvery package of the library, one page each, from its docstrings. Lengths in Å, "
        "energies in eV, forces in eV/Å, stresses in eV/Å³.\n"
    )
    _write(folder / "index.md", intro + _toctree("Packages", [f"{name}.md" for name in names], hidden=False))


def _page_of_package(name: str, folder: Path) -> str:
    """The package's docstring and what it exports; each module's docstring, and in it what is defined there.

    A package that exports nothing by `__all__` shows all public names of its modules.
    """
    package = importlib.import_module(name)
    exported: list[str] | None = getattr(package, "__all__", None)
    modules = {f"{name}.{file.stem}" for file in folder.glob("*.py") if not file.stem.startswith("_")}
    homes: dict[str, list[str]] = {}
    for word in exported or []:
        if inspect.ismodule(getattr(package, word)):
            continue  # has its own section
        home = getattr(getattr(package, word), "__module__", name)
        homes.setdefault(home if home in modules else name, []).append(word)
    text = f"# {name}\n{_automodule(name, package, homes.get(name, []))}"
    for module in sorted(modules):
        members = None if exported is None else homes.get(module, [])
        text += f"\n## {module}\n{_automodule(module, importlib.import_module(module), members)}"
    return text


def _automodule(name: str, module: ModuleType, members: list[str] | None) -> str:
    """Directives for a module's docstring and some of its names; None: for all names that are public."""
    if members is None:
        lines = [f".. automodule:: {name}", "   :members:"]
    else:
        lines = [f".. automodule:: {name}", "   :no-members:"]
        for word in members:
            subject = getattr(module, word)
            kind = "class" if inspect.isclass(subject) else "function" if inspect.isroutine(subject) else "data"
            lines += ["", f".. auto{kind}:: {name}.{word}", *(["   :members:"] if kind == "class" else [])]
    return "\n".join(["", "```{eval-rst}", *lines, "```", ""])
