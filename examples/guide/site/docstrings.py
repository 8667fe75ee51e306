"""Docstrings as they are written here, in Markdown with indented equations and aligned columns, for Sphinx' autodoc.

A block (lines between two empty ones) becomes

    a literal block     where it is indented, or aligned in columns, or the summary `In : ... Out: ...`
    a table             where its lines begin with a bar
    a list              where it begins with `name:`, and so do several of its lines or the others are indented
    a paragraph         otherwise; `code` is code, and no other character has a meaning

Sections of the Google style (`Args:`, `Returns:`, `Raises:`) are left to Sphinx' napoleon.
"""

from __future__ import annotations

import re
from typing import Any

SECTION = re.compile(r"(Args|Arguments|Attributes|Returns|Raises|Yields|Note|Example|Examples):$")
NAME = r"[\w.*]+(\([\w, ]*\))?"
ENTRY = re.compile(rf"{NAME}(, {NAME})*: \S")
ALIGNED = re.compile(r"\S {2,}\S")
CODE = re.compile(r"(``[^`]+``|`[^`]+`)")


def inline(text: str) -> str:
    """A line of Markdown as reStructuredText: code stays code, and nothing else is markup."""
    parts = CODE.split(text)
    for k, part in enumerate(parts):
        if k % 2:
            parts[k] = f"``{part.strip('`')}``\\ "
        else:
            parts[k] = re.sub(r"([\\*|`])", r"\\\1", re.sub(r"_(?=\W|$)", r"\\_", part))
    return "".join(parts).rstrip(" \\") if parts[-1] == "" else "".join(parts)


def convert(lines: list[str]) -> list[str]:
    """A docstring in reStructuredText."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    written: list[str] = []
    for block in blocks:
        if block:
            written += [*_block(block), ""]
    return written


def _block(block: list[str]) -> list[str]:
    first = block[0]
    if SECTION.match(first):
        return [first, *(f"{_indent(line)}{inline(line.strip())}" for line in block[1:])]
    if first.startswith("| ") and len(block) > 1 and set(block[1]) <= set("|-: "):
        return _table(block)
    entries = sum(bool(ENTRY.match(line)) for line in block) if ENTRY.match(first) else 0
    aligned = any(ALIGNED.search(line.strip()) for line in block if not line.strip().endswith("]"))
    if first.startswith((" ", "In :", "Out:")) or aligned:
        least = min(len(_indent(line)) for line in block)
        return ["::", "", *(f"    {line[least:]}" for line in block)]
    if entries > 1 or (entries and any(line.startswith(" ") for line in block)):
        return _list(block, ENTRY)
    if re.match(r"([-*]|\d+\.) ", first):
        return _list([re.sub(r"^([-*]|\d+\.) ", "", line) if not line[0].isspace() else line for line in block], None)
    if re.match(r"\[\d+\] ", first):
        return _list(block, re.compile(r"\[\d+\] "))
    return [inline(line.strip()) for line in block]


def _list(block: list[str], entry: re.Pattern[str] | None) -> list[str]:
    """Bullets; a line that begins no entry goes on with the one before."""
    written: list[str] = []
    for line in block:
        begins = not line.startswith(" ") and (entry is None or entry.match(line) is not None)
        written.append(f"{'* ' if begins or not written else '  '}{inline(line.strip())}")
    return written


def _table(block: list[str]) -> list[str]:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in (block[0], *block[2:])]
    written = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        cells = [*row, *[""] * (len(rows[0]) - len(row))]
        written += [f"   {'* -' if k == 0 else '  -'} {inline(cell)}".rstrip() for k, cell in enumerate(cells)]
    return written


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx; docstrings are converted before napoleon sees them."""

    def process(app: Any, what: str, name: str, subject: Any, options: Any, lines: list[str]) -> None:
        of_its_type = what == "data" and getattr(subject, "__doc__", None) == type(subject).__doc__
        lines[:] = [] if of_its_type else convert(lines)

    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}
