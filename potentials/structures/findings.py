"""What a check of data reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One sentence about one fault. `frame` says where ("" for the whole set), `check` names the test."""

    severity: Severity
    check: str
    frame: str
    sentence: str
