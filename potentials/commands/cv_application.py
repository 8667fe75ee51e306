"""Commands that make and look at collective variables: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

cv = typer.Typer(
    name="cv", help="Collective variables: write, fit, combine, evaluate and describe them.", no_args_is_help=True
)

Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.", metavar="CV.PT")]
File = Annotated[Path, typer.Argument(help="File of collective variables.", metavar="CV.PT")]
Atom = Annotated[int, typer.Argument(help="ID of the atom in LAMMPS (in ASE the index plus 1).", metavar="ID")]
Name = Annotated[str | None, typer.Option("--name", help="Column in HILLS and COLVAR.", metavar="NAME")]
Width = Annotated[
    float,
    typer.Option(
        "--width",
        help="Neighbors are switched off smoothly over so many A before the cutoff; the cutoff itself: from 0 on.",
        metavar="A",
    ),
]
Cutoff = Annotated[float, typer.Option("--cutoff", help="Distance in A beyond which nothing counts.", metavar="A")]
Elements = Annotated[
    list[str], typer.Option("--elements", help="Atoms whose neighbors count, e.g. Si or Li,Si.", metavar="X,Y")
]
Of = Annotated[list[str], typer.Option("--of", help="Elements of the atoms that are averaged over.", metavar="X,Y")]
By = Annotated[list[str], typer.Option("--by", help="Elements of the neighbors.", metavar="X,Y")]


def add_to(app: typer.Typer) -> None:
    """Add all commands to the application."""
    app.add_typer(cv)


def listed(words: list[str] | None) -> list[str]:
    """Elements from `Li`, `Li,Si` or several of them."""
    return [part.strip() for word in words or [] for part in word.split(",") if part.strip()]


def three_components(option: str, text: str) -> list[float]:
    """A direction from `1,0,0`."""
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise ValueError(f"{option} must be three numbers such as 0,0,1, got '{text}'; they need no unit length")
    return numbers


@cv.command()
def distance(first: Atom, second: Atom, output: Output = Path("distance.pt"), name: Name = None) -> None:
    """Distance of two atoms, in A."""
    from rhopot.potentials.collective_variables import Distance
    from rhopot.potentials.commands.cv import write

    write(Distance([first, second], name or "distance"), output)


@cv.command()
def angle(first: Atom, second: Atom, third: Atom, output: Output = Path("angle.pt"), name: Name = None) -> None:
    """Angle at the second of three atoms, in radian."""
    from rhopot.potentials.collective_variables import Angle
    from rhopot.potentials.commands.cv import write

    write(Angle([first, second, third], name or "angle"), output)


@cv.command()
def dihedral(
    first: Atom, second: Atom, third: Atom, fourth: Atom, output: Output = Path("dihedral.pt"), name: Name = None
) -> None:
    """Dihedral angle of four atoms, in radian from -pi to pi, periodic."""
    from rhopot.potentials.collective_variables import Dihedral
    from rhopot.potentials.commands.cv import write

    write(Dihedral([first, second, third, fourth], name or "dihedral"), output)


@cv.command()
def projection(
    first: Atom,
    second: Atom,
    direction: Annotated[
        str, typer.Option("--direction", help="Direction fixed in space, e.g. 0,0,1.", metavar="X,Y,Z")
    ],
    output: Output = Path("projection.pt"),
    name: Name = None,
) -> None:
    """Component of the vector from one atom to another along a direction, in A."""
    from rhopot.potentials.collective_variables import Projection
    from rhopot.potentials.commands.cv import write

    along = three_components("--direction", direction)
    write(Projection([first, second], along, name or "projection"), output)


@cv.command()
def coordination(
    of: Of,
    by: By,
    cutoff: Cutoff,
    width: Width = 1.0,
    output: Output = Path("coordination.pt"),
    name: Name = None,
) -> None:
    """Mean coordination number of atoms of some elements by atoms of others."""
    from rhopot.potentials.collective_variables import Coordination
    from rhopot.potentials.commands.cv import write

    write(Coordination(listed(of), listed(by), cutoff, width, name or "coordination"), output)


@cv.command()
def steinhardt(
    degree: Annotated[int, typer.Option("--degree", help="Degree l of the spherical harmonics.", metavar="L")],
    elements: Elements,
    cutoff: Cutoff,
    width: Width = 1.0,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Elements of the neighbors; by default the same.", metavar="X,Y"),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Mean of the atoms' q_l instead of Q_l, the order of all bonds.")
    ] = False,
    output: Output = Path("steinhardt.pt"),
    name: Name = None,
) -> None:
    """Steinhardt's order parameter of bond directions: Q6 and Q4 tell crystals from liquids."""
    from rhopot.potentials.collective_variables import Steinhardt
    from rhopot.potentials.commands.cv import write

    write(Steinhardt(degree, listed(elements), cutoff, width, listed(by) or None, local, name), output)


@cv.command()
def polarization(
    of: Of,
    by: By,
    cutoff: Cutoff,
    width: Width = 1.0,
    direction: Annotated[
        str,
        typer.Option(
            "--direction", help="Component along X,Y,Z; all three (vector); or the norm.", metavar="X,Y,Z|vector|norm"
        ),
    ] = "norm",
    output: Output = Path("polarization.pt"),
    name: Name = None,
) -> None:
    """Mean direction from atoms to their neighbors: zero where atoms stand amidst them."""
    from rhopot.potentials.collective_variables import Polarization
    from rhopot.potentials.commands.cv import write

    along = direction if direction in ("vector", "norm") else three_components("--direction", direction)
    write(Polarization(listed(of), listed(by), cutoff, width, along, name or "polarization"), output)


@cv.command()
def fit(
    first: Annotated[str, typer.Argument(help="Structures of one state.", metavar="A.XYZ")],
    second: Annotated[str, typer.Argument(help="Structures of the other state.", metavar="B.XYZ")],
    output: Output = Path("cv.pt"),
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="pca: principal component of the average SOAP vectors; pcovr: principal covariate, which keeps "
            "variance and tells the sets apart.",
            metavar="pca|pcovr",
        ),
    ] = "pcovr",
    mixing: Annotated[
        float, typer.Option("--mixing", help="Of pcovr: weight of variance, the rest is that of the difference.")
    ] = 0.5,
    components: Annotated[int, typer.Option("--components", help="Number of variables, up to 3.")] = 1,
    of: Annotated[
        list[str] | None,
        typer.Option("--of", help="Elements of the atoms that are averaged over; by default all.", metavar="X,Y"),
    ] = None,
    cutoff: Annotated[float, typer.Option("--cutoff", help="Of the SOAP density, in A.", metavar="A")] = 5.0,
    n_max: Annotated[int, typer.Option("--n-max", help="Radial functions.")] = 4,
    l_max: Annotated[int, typer.Option("--l-max", help="Highest angular degree.")] = 4,
    density_width: Annotated[
        float, typer.Option("--density-width", help="Width of the Gaussian density, in A.", metavar="A")
    ] = 0.5,
    every: Annotated[int, typer.Option("--every", help="Take every so many structures of each file.", min=1)] = 1,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Picture of the two histograms; by default beside the file.")
    ] = None,
    name: Name = None,
) -> None:
    """Fit a variable that tells two sets of structures apart; says how well it does, and draws both histograms.

    Values are 0 at the mean of the first set and 1 at that of the second.
    """
    from rhopot.potentials.commands.cv_fit import fit as run
    from rhopot.potentials.descriptors.soap import SoapSettings

    chosen = {"cutoff": cutoff, "n_max": n_max, "l_max": l_max, "density_width": density_width}
    run(
        first,
        second,
        output,
        settings=SoapSettings.model_validate(chosen),
        method=method,
        mixing=mixing,
        components=components,
        of=listed(of) or None,
        name=name or "soap",
        every=every,
        plot=plot,
    )


@cv.command()
def combine(
    files: Annotated[list[Path], typer.Argument(help="Files of collective variables.", metavar="CV.PT...")],
    output: Output = Path("cv.pt"),
) -> None:
    """Several collective variables, at most 3, in one file; each sees neighbors within its own cutoff only."""
    from rhopot.potentials.commands.cv import combine as run

    run(files, output)


@cv.command()
def evaluate(
    file: File,
    structures: Annotated[
        list[str], typer.Argument(help="Structures or trajectories in any format that ASE reads.", metavar="DATA...")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the values to this file.", metavar="FILE")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write a text table of the values.", metavar="FILE")
    ] = None,
) -> None:
    """Values of collective variables of every structure; more than 20 are summarized."""
    from rhopot.potentials.commands.cv import evaluate as run

    run(file, structures, json_file=json_file, output=output)


@cv.command()
def info(file: File) -> None:
    """What a file of collective variables is: variables, units, elements, cutoff, given atoms, settings."""
    from rhopot.potentials.commands.cv import info as run

    run(file)
