"""Commands that draw what a model has learned: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="Model file written by train.", metavar="MODEL.PT")]

plot = typer.Typer(name="plot", help="Draw what a model has learned.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add all commands to the application."""
    plot.command("filters")(filters)
    plot.command("pooled")(pooled)
    app.add_typer(plot)


def filters(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.", metavar="PNG")] = Path(
        "filters.png"
    ),
    most: Annotated[
        int, typer.Option("--most", help="Filters of a layer that are drawn: those that vary most.", min=1, metavar="N")
    ] = 12,
    member: Annotated[int, typer.Option("--member", help="Which network of a committee.", min=1, metavar="K")] = 1,
) -> None:
    """The filters of an angular network over distance and angle: a panel for each filter, a row for each layer.

    The atom is in the middle of a disk and one neighbor above it; the color at a place is what another neighbor there
    contributes to the message, red above 0 and blue below.
    """
    from rhopot.potentials.commands.plot_filters import plot_filters as run

    run(model, output, most=most, member=member)


def pooled(
    model: Model,
    structure: Annotated[
        Path, typer.Argument(help="A molecule, in any format that ASE reads; the last of several.", metavar="STRUCTURE")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.", metavar="PNG")] = Path(
        "pooled.png"
    ),
    member: Annotated[int, typer.Option("--member", help="Which network of a committee.", min=1, metavar="K")] = 1,
) -> None:
    """A molecule and the nodes that a pooling model pools its atoms to, a panel for each pooling.

    Squares are nodes, as large as the atoms they stand for; lines are as wide as the part of an atom that a node has.
    """
    from rhopot.potentials.commands.plot_pooled import plot_pooled as run

    run(model, structure, output, member=member)
