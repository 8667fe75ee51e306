"""Options that stand before the sub-command."""

from __future__ import annotations

from typing import Annotated

import typer


def print_version(asked: bool) -> None:
    """Print the version and end the program where it is asked for."""
    if asked:
        from rhopot.export.card import installed_version

        typer.echo(f"rhopot {installed_version()}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", callback=print_version, is_eager=True)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
