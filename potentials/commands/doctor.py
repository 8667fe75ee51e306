"""`rhopot doctor`: print the diagnoses of `rhopot.potentials.verification.doctor`."""

from __future__ import annotations

import typer

from rhopot.potentials.console import make_console, table
from rhopot.potentials.verification.doctor import diagnose


def doctor() -> None:
    """Print every finding; exit with 1 when one needs a remedy."""
    findings = diagnose()
    console = make_console()
    console.print(
        table("", ("", "", "found"), ((f.name, "ok" if f.healthy else "!!", f.found) for f in findings), words=True)
    )
    ill = [finding for finding in findings if not finding.healthy]
    for finding in ill:
        console.print(f"{finding.name}: {finding.remedy}")
    if ill:
        raise typer.Exit(1)
