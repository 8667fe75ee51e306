"""`rhopot data lint`: read structures as a fit would, and report what may be wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import typer

from rhopot.potentials.commands.console import make_console, table
from rhopot.potentials.structures import FrameSet, lint, read_frames


def data_lint(structures: Sequence[str], test: Sequence[str] | None = None, group: str | None = None) -> None:
    """Print counts per label key and every finding; exit with status 1 if any finding is an error."""
    console = make_console()
    train = read_frames(list(structures), group_key=group, finite=False)
    held = read_frames(list(test), group_key=group, finite=False) if test else None
    console.print(table("data", ("", "frames"), _counts(train)))
    if held is not None:
        console.print(table("test data", ("", "frames"), _counts(held)))
    findings = lint(train, held)
    for finding in findings:
        where = f"{finding.frame}: " if finding.frame else ""
        console.print(f"{finding.severity} [{finding.check}] {where}{finding.sentence}", markup=False)
    totals = Counter(finding.severity for finding in findings)
    console.print(f"{totals['error']} errors, {totals['warning']} warnings in {len(train) + len(held or ())} frames")
    if totals["error"]:
        raise typer.Exit(1)


def _counts(frames: FrameSet) -> list[tuple[str, str]]:
    """Rows of the table: all frames, label keys, config_types."""
    rows = [("structures", str(len(frames)))]
    rows += [(key + ("" if key in frames.used.values() else " (not used)"), str(n)) for key, n in frames.found.items()]
    types = Counter(frame.config_type for frame in frames)
    return rows + [(f"config_type {name}", str(n)) for name, n in sorted(types.items())]
