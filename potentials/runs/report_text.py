"""Words and tables of `report.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence


def angstroms(text: str) -> str:
    """The text with Å for the unit A, after numbers, after `eV/` and in brackets."""
    return re.sub(r"(?<=\d )A(?![\w'])|(?<=eV/)A(?!\w)|(?<=\()A(?=\))", "Å", text)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; bars in cells are escaped."""
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
