"""Options that stand before the sub-command, arguments and options that many sub-commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def print_version(asked: bool) -> None:
    """Print the version and end the program where it is asked for."""
    if asked:
        from rhopot.export.card_file import installed_version

        typer.echo(f"rhopot {installed_version()}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", callback=print_version, is_eager=True)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

Model = Annotated[Path, typer.Argument(help="Model file written by train.", metavar="MODEL.PT")]
Device = Annotated[str, typer.Option("--device", help="auto (a GPU where torch finds one), cpu or cuda.")]
LabelKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        help="Name of a label in the data, e.g. energy=dft_energy, stress=none; several of one quantity: energy=a,b.",
        metavar="TARGET=NAME",
    ),
]
Structures = Annotated[
    list[str],
    typer.Argument(
        help="Files (extended XYZ, plain or .gz; .traj, .json, .db and what else ASE reads), patterns, or folders of "
        "extended-XYZ files.",
        metavar="DATA...",
    ),
]
