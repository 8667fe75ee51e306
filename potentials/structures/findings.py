"""Findings of the checks of data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class DataFinding:
    """One sentence about one fault. `frame` says where ("" for the whole set), `check` names the test."""

    severity: Severity
    check: str
    frame: str
    sentence: str


def by_severity(findings: Iterable[DataFinding]) -> list[DataFinding]:
    """Errors first, then warnings, then the rest."""
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])
