"""Commands that analyze runs, improve a potential, or draw what it has learned: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rhopot.potentials.commands import free_energy_application, plot_application

Model = Annotated[Path, typer.Argument(help="Model file written by train.", metavar="MODEL.PT")]


def add_to(app: typer.Typer) -> None:
    """Add all commands to the application."""
    free_energy_application.add_to(app)
    app.command()(harvest)
    plot_application.add_to(app)


def harvest(
    model: Model,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Trajectories and dumps that ASE reads, patterns, or folders of them, such as those of rhopot md.",
            metavar="RUN...",
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="Structures that are chosen at most.")] = 20,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Leave frames out whose largest predicted force error is below, in eV/A; by default none.",
            metavar="X",
        ),
    ] = None,
    unsupported_first: Annotated[
        bool,
        typer.Option(
            "--unsupported-first",
            help="Frames with atoms outside of the training data (supported: False) come first, below the threshold "
            "too: predicted errors hold for the others only.",
        ),
    ] = False,
    every: Annotated[int, typer.Option("--every", help="Take every so many frames of each file.", min=1)] = 1,
    elements: Annotated[
        str | None,
        typer.Option(
            "--elements",
            help="Element of each atom type in LAMMPS dumps that name none; by default those of the model, in its "
            "order.",
            metavar="X,Y",
        ),
    ] = None,
    closest: Annotated[
        float | None,
        typer.Option(
            "--closest",
            help="Leave frames out where two atoms are closer, in A; 0: none. By default 0.7 times the shortest "
            "distance of each pair of elements in the training data of the model.",
            metavar="A",
        ),
    ] = None,
    cluster_radius: Annotated[
        float | None,
        typer.Option(
            "--cluster-radius",
            help="Cut clusters from large cells: the atoms within this distance (A) of one of the least known atoms.",
            metavar="A",
        ),
    ] = None,
    cluster_buffer: Annotated[
        float | None,
        typer.Option(
            "--cluster-buffer",
            help="Width (A) of the shell around these atoms that is cut out with them; its atoms are held fixed, and "
            "their forces are not learned. By default the cutoff of the model.",
            metavar="A",
        ),
    ] = None,
    cluster_above: Annotated[
        int | None,
        typer.Option("--cluster-above", help="Cells of more atoms are large.", metavar="N", min=1, show_default="200"),
    ] = None,
    cluster_box: Annotated[
        str | None,
        typer.Option(
            "--cluster-box",
            help="vacuum: a sphere with open sides; periodic: a cube with edges of twice radius and buffer, without "
            "atoms that are too close across its faces.",
            metavar="vacuum|periodic",
            show_default="vacuum",
        ),
    ] = None,
    cluster_vacuum: Annotated[
        float | None,
        typer.Option("--cluster-vacuum", help="A of vacuum on each side.", metavar="A", show_default="6.0"),
    ] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            help="Structures whose copies are left out, beside those in the model file; repeatable.",
            metavar="DATA",
        ),
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            "--write", help="Also write input files, a folder for each structure.", metavar="vasp|espresso|gpaw"
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", metavar="FOLDER")] = Path(
        "harvest"
    ),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.", metavar="FILE")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another harvest in the folder.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto (a GPU where torch finds one), cpu or cuda.")] = "cpu",
) -> None:
    """Frames of simulations that a model knows least, chosen together, ready to be labelled and appended.

    Frames are ranked by their largest predicted force error (forces_error: the radius that 90% of errors stay within)
    and selected D-optimally among the 20 N least known, without copies. Writes harvest.xyz, harvest.json and
    harvest.png, the errors along the runs. The same command goes on where it was stopped.
    rhopot harvest run1/model.pt md/ -n 20 --threshold 0.5 --write vasp
    """
    from rhopot.potentials.commands.harvest import HarvestOptions, run_harvest

    options = HarvestOptions(
        count=count,
        threshold=threshold,
        unsupported_first=unsupported_first,
        every=every,
        elements=elements,
        closest=closest,
        cluster_radius=cluster_radius,
        cluster_buffer=cluster_buffer,
        cluster_above=cluster_above,
        cluster_box=cluster_box,
        cluster_vacuum=cluster_vacuum,
        known=known or [],
        write=write,
        output=output,
        json_file=json_file,
        overwrite=overwrite,
        device=device,
    )
    run_harvest(model, runs, options)
