"""`rhopot data lint`: read structures as a fit would, and report what may be wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import typer

from rhopot.export import read_card
from rhopot.potentials.commands.keys import OPTION
from rhopot.potentials.console import make_console, table
from rhopot.potentials.runs.evaluation import trained_keys
from rhopot.potentials.structures import AUTO, FrameSet, Keys, inspect_frames, lint
from rhopot.potentials.structures.findings import DataFinding, by_severity
from rhopot.potentials.structures.keys import names_of

# Checks whose findings say the same of every structure, and how many of them are shown one by one.
SUMMED_UP = ("leakage", "duplicates")
SHOWN = 3


def data_lint(
    structures: Sequence[str],
    test: Sequence[str] | None = None,
    group: str | None = None,
    keys: Keys = AUTO,
    model: Path | None = None,
) -> None:
    """Print counts per label key and every finding; exit with status 1 if any finding is an error.

    model: labels are read from the keys of its training data, where `keys` and `group` do not say otherwise.
    """
    console = make_console()
    preferred = {} if model is None else trained_keys(read_card(model))
    train, findings = inspect_frames(list(structures), keys, group, preferred=preferred, option=OPTION)
    held = None
    if test:
        known = preferred or train.used
        held, more = inspect_frames(list(test), keys, group, preferred=known, option=OPTION, shared=True)
        findings += more
    files = sorted({frame.source for frame in train})
    if len(structures) > 1 and held is None:
        console.print(
            f"{len(files)} files are looked at as one data set; to look for leakage: "
            f"rhopot data lint {structures[0]} --test {structures[1]}"
        )
    for title, frames in (("data", train), ("test data", held)):
        if frames is not None:
            console.print(table(title, ("", "frames"), _counts(frames)))
            for note in frames.notes:
                console.print(f"note: {note}")
    findings = by_severity([*findings, *lint(train, held)])
    for line in _lines(findings):
        console.print(line)
    if held is not None:
        copies = sum(finding.check == "leakage" and finding.frame != "" for finding in findings)
        console.print(f"leakage: {copies} of the {len(held)} test structures are in the data")
    totals = Counter(finding.severity for finding in findings)
    console.print(f"{totals['error']} errors, {totals['warning']} warnings in {len(train) + len(held or ())} frames")
    if totals["error"]:
        raise typer.Exit(1)


def _lines(findings: Sequence[DataFinding]) -> list[str]:
    """One line per finding; structures that are there twice, which may be all of them, are summed up after a few."""
    by_kind: dict[tuple[str, str], list[DataFinding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.severity, finding.check].append(finding)
    lines: list[str] = []
    for (severity, check), alike in by_kind.items():
        framed = [finding for finding in alike if finding.frame]
        hidden = framed[SHOWN:] if check in SUMMED_UP and len(framed) > SHOWN + 1 else []
        left_out = set(hidden)
        for finding in alike:
            where = f"{finding.frame}: " if finding.frame else ""
            if finding not in left_out:
                lines.append(f"{severity} [{check}] {where}{finding.sentence}")
        if hidden:
            lines.append(f"{severity} [{check}] and {len(hidden)} more: {_listed([each.frame for each in hidden])}")
    return lines


def _listed(frames: Sequence[str]) -> str:
    """Names of frames, `FILE, frame NUMBER`, with consecutive numbers of a file as a range."""
    runs: list[tuple[str, int, int]] = []
    for name in frames:
        file, number = name.rsplit(", frame ", 1)
        if runs and runs[-1][0] == file and runs[-1][2] + 1 == int(number):
            runs[-1] = (file, runs[-1][1], int(number))
        else:
            runs.append((file, int(number), int(number)))
    words = []
    for k, (file, first, last) in enumerate(runs):
        named = "" if k and runs[k - 1][0] == file else f"{file}, frames "
        words.append(f"{named}{first}" if first == last else f"{named}{first}-{last}")
    return ", ".join(words)


def _counts(frames: FrameSet) -> list[tuple[str, str]]:
    """Rows of the table: all frames, label keys, config_types."""
    taken = {name for key in frames.used.values() for name in names_of(key)}
    rows = [("structures", str(len(frames)))]
    rows += [(key + ("" if key in taken else " (not used)"), str(n)) for key, n in frames.found.items()]
    types = Counter(frame.config_type for frame in frames)
    return rows + [(f"config_type {name}", str(n)) for name, n in sorted(types.items())]
