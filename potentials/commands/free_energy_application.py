"""Commands that analyze biased runs: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add all commands to the application."""
    app.command()(fes)


def fes(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="HILLS of PLUMED and rhopot, hills.traj of colvars, several of them for several walkers; or a .pmf of "
            "colvars. None where --colvar alone is reweighted (OPES, static biases).",
            metavar="[HILLS...]",
            show_default=False,
        ),
    ] = None,
    colvar: Annotated[
        list[Path] | None,
        typer.Option(
            "--colvar",
            help="COLVAR of PLUMED and rhopot, or .colvars.traj: frames, for errors and for other variables; "
            "repeatable, for several walkers.",
            metavar="FILE",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", "-T", help="K. Without it: the sum of hills, its minima and barriers alone.", metavar="K"
        ),
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option(
            "--variable",
            help="Variable of the free energy: of the hills (by default all of them) or any column of COLVAR, which is "
            "reweighted; repeatable, up to three.",
            metavar="NAME",
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="Nodes of a variable; once for each. By default what was visited, five nodes for a sigma.",
            metavar="LO,HI,N",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="Weights of frames exp(V / kT): with time V(s, t) - c(t) of Tiwary and Parrinello, with final "
            "V(s, t_end), with bias the columns of biases as they are (OPES; always so without hills).",
            metavar="time|final|bias",
        ),
    ] = "time",
    bias: Annotated[
        list[str] | None,
        typer.Option(
            "--bias",
            help="Column of COLVAR with the energy of a bias; repeatable. By default all NAME.bias and E_NAME "
            "but walls, which belong to the system; with hills, biases that act besides them; none: a run without.",
            metavar="NAME",
        ),
    ] = None,
    skip: Annotated[
        float, typer.Option("--skip", help="Fraction of the time at the start that frames are not taken from.")
    ] = 0.2,
    bandwidth: Annotated[
        list[float] | None,
        typer.Option(
            "--bandwidth",
            help="Reweight with Gaussian kernels of this standard deviation instead of a histogram; once for each "
            "variable.",
            metavar="X",
        ),
    ] = None,
    depth: Annotated[
        float | None,
        typer.Option(
            "--depth", help="Depth of the shallowest basin, in the unit of --energy; by default kT.", metavar="X"
        ),
    ] = None,
    last: Annotated[
        float | None,
        typer.Option(
            "--last",
            help="Fraction of the run, at its end, that the sum of hills is averaged over; by default 0.5 of plain "
            "and 0 of well-tempered metadynamics.",
            metavar="X",
        ),
    ] = None,
    blocks: Annotated[
        bool,
        typer.Option(
            "--blocks/--no-blocks", help="Errors by block analysis of COLVAR or, without it, of the centers of hills."
        ),
    ] = True,
    biasfactor: Annotated[
        float | None,
        typer.Option(
            "--biasfactor", help="(T + biasTemperature) / T, for hills.traj of a well-tempered run.", metavar="X"
        ),
    ] = None,
    period: Annotated[
        list[str] | None,
        typer.Option(
            "--period",
            help="Limits of a periodic variable of colvars, e.g. phi=-180,180; repeatable.",
            metavar="NAME=LO,HI",
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            "--units",
            help="Of the files: plumed (kJ/mol, nm; the default of PLUMED's format), metal (eV, A; of colvars' files) "
            "or real (kcal/mol, A).",
            metavar="plumed|metal|real",
        ),
    ] = None,
    energy: Annotated[str, typer.Option("--energy", help="Unit of the results.", metavar="eV|kJ/mol")] = "eV",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", metavar="FOLDER")] = Path("fes"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Free energy of metadynamics or OPES: surface, basins, barriers, errors and convergence.

    Writes fes.dat (nodes, free energy, that of reweighted frames, its error, basin), fes.png, convergence.png and
    fes.json, which replace those of an earlier analysis. Errors are statistical; they hold for a run that has visited
    every state several times.
    rhopot fes HILLS --colvar COLVAR --temperature 300
    """
    from rhopot.potentials.commands.fes import FesOptions
    from rhopot.potentials.commands.fes import fes as run

    options = FesOptions(
        colvar=colvar or [],
        temperature=temperature,
        variable=variable or [],
        grid=grid or [],
        weights=weights,
        bias=bias or [],
        skip=skip,
        bandwidth=bandwidth or [],
        depth=depth,
        last=last,
        blocks=blocks,
        biasfactor=biasfactor,
        period=period or [],
        units=units,
        energy=energy,
        output=output,
        json_file=json_file,
    )
    run(files or [], options)
