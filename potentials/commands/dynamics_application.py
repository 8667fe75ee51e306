"""Commands that run molecular dynamics: their own options. Those that all properties have are in `property_options`.

Options of `md` have no defaults here, because a YAML file may set them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rhopot.potentials.commands.property_options import PropertyCommands, PropertyOptions

COMMANDS = PropertyCommands()

Repeat = Annotated[
    str | None, typer.Option("--repeat", help="Supercell: cells along each edge, 3,3,3.", metavar="N,N,N")
]
Atoms = Annotated[int | None, typer.Option("--atoms", help="Supercell of at least so many atoms instead.", metavar="N")]
Timestep = Annotated[
    float | None,
    typer.Option("--timestep", help="fs; by default 0.5 with atoms lighter than 6 u, 1 with atoms below 20 u, else 2."),
]
Closest = Annotated[
    float | None,
    typer.Option(
        "--closest",
        help="Stop where two atoms are closer, in A; 0: not watched. By default 0.7 times the shortest distance of "
        "each pair of elements in the training data of the model.",
        metavar="A",
    ),
]
UntilUncertain = Annotated[
    float | None,
    typer.Option(
        "--until-uncertain",
        help="Stop at the first frame where the largest force uncertainty of an atom (standard deviation of the "
        "members' forces) is above, in eV/A; exit status 3.",
        metavar="X",
    ),
]
Barostat = Annotated[
    str | None,
    typer.Option(
        "--barostat",
        help="At constant pressure: isotropic (default), anisotropic (three edges), full, z (third edge).",
        metavar="isotropic|anisotropic|full|z",
    ),
]


@COMMANDS.command("md", members=False)
def md(
    options: PropertyOptions,
    ensemble: Annotated[
        str | None, typer.Option("--ensemble", help="nve, nvt, npt or nph; by default nvt.", metavar="nve|nvt|npt|nph")
    ] = None,
    temperature: Annotated[
        str | None,
        typer.Option("--temperature", help="K; two numbers, 300,1200, heat or cool linearly. By default 300."),
    ] = None,
    pressure: Annotated[float | None, typer.Option("--pressure", help="GPa, with npt and nph; by default 0.")] = None,
    barostat: Barostat = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Time steps, by default 10000; more of them extend a finished run."),
    ] = None,
    timestep: Timestep = None,
    every: Annotated[
        int | None,
        typer.Option("--every", help="Steps between frames, rows and looks at the limits; by default 10."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the velocities; by default 0.")] = None,
    repeat: Repeat = None,
    atoms: Atoms = None,
    closest: Closest = None,
    until_uncertain: UntilUncertain = None,
    skip: Annotated[
        float | None,
        typer.Option("--skip", help="Fraction of frames at the start that averages leave out; by default 0.2."),
    ] = None,
    adf_cutoff: Annotated[
        float | None,
        typer.Option(
            "--adf-cutoff", help="A, of neighbors for angles; by default the first minimum of g(r).", metavar="A"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="YAML file with these options as keys (until_uncertain: 0.5), also model, structure, engine, "
            "output; the command line comes first.",
            metavar="RUN.YAML",
        ),
    ] = None,
) -> None:
    """Molecular dynamics at constant energy, temperature, pressure or enthalpy.

    Writes trajectory_ENGINE.extxyz, thermo_ENGINE.csv, pictures of thermodynamics, g(r), angles and displacements,
    md.json with averages and their errors by blocking, and in.md for LAMMPS. The same command goes on where it
    was stopped; velocities in the structure are kept, else drawn. A perfect crystal at constant energy keeps half
    of the temperature that its velocities had. Numbers that are not finite, lost atoms and atoms that come too
    close end the run with a failure; an uncertainty above --until-uncertain ends it without one. Errors of averages
    are statistical, they are not those of the model.
    rhopot md model.pt --prototype diamond --atoms 200 --ensemble npt --temperature 600
    """
    from rhopot.potentials.commands.md import md as run

    run(
        options,
        config,
        ensemble=ensemble,
        temperature=temperature,
        pressure=pressure,
        barostat=barostat,
        steps=steps,
        timestep=timestep,
        every=every,
        seed=seed,
        repeat=repeat,
        atoms=atoms,
        closest=closest,
        until_uncertain=until_uncertain,
        skip=skip,
        adf_cutoff=adf_cutoff,
    )


@COMMANDS.command("metad", members=False, both=False)
def metad(
    options: PropertyOptions,
    cv: Annotated[
        str | None,
        typer.Option("--cv", help="File of one to three collective variables, of rhopot cv.", metavar="CV.PT"),
    ] = None,
    temperature: Annotated[str | None, typer.Option("--temperature", help="K; by default 300.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", help="Time steps, by default 10000; with --restart, more of them extend a finished run."
        ),
    ] = None,
    timestep: Timestep = None,
    height: Annotated[
        float | None, typer.Option("--height", help="Of the first hill, in eV; by default k_B T.", metavar="EV")
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            "--sigma",
            help="Widths of hills, of each variable in its unit: 0.1 or 0.1,0.3; a third of the standard deviation of "
            "the variable without bias is usual. Left out: no hills, walls and moving restraints alone.",
            metavar="S[,S]",
        ),
    ] = None,
    biasfactor: Annotated[
        float | None,
        typer.Option(
            "--biasfactor", help="Of well-tempered metadynamics, by default 10; 0: hills of one height.", metavar="G"
        ),
    ] = None,
    pace: Annotated[
        int | None, typer.Option("--pace", help="Steps between hills; by default 100.", metavar="N")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="Interpolate the bias on n intervals, for long runs; once for each variable, a period: -pi,pi,100. "
            "Spacing: half of sigma or less.",
            metavar="LO,HI,N",
        ),
    ] = None,
    wall_upper: Annotated[
        list[str] | None,
        typer.Option(
            "--wall-upper",
            help="kappa (s - at)^2 above `at`, kappa in eV per squared unit; repeatable.",
            metavar="NAME,AT,KAPPA",
        ),
    ] = None,
    wall_lower: Annotated[
        list[str] | None, typer.Option("--wall-lower", help="The same below `at`.", metavar="NAME,AT,KAPPA")
    ] = None,
    moving: Annotated[
        list[str] | None,
        typer.Option(
            "--moving",
            help="Restraint kappa/2 (s - at)^2 whose `at` goes from FROM to TO between two steps; its work is written.",
            metavar="NAME,FROM,TO,KAPPA,FIRST,LAST",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Centers of the variables: elements, or numbers of atoms from 1; by default all.",
            metavar="Li|1,2,3",
        ),
    ] = None,
    walkers: Annotated[
        int | None,
        typer.Option(
            "--walkers",
            help="Runs that share their hills: threads in ASE, partitions of the ranks in LAMMPS. By default 1.",
            metavar="N",
        ),
    ] = None,
    ensemble: Annotated[str | None, typer.Option("--ensemble", help="nvt (default) or npt.", metavar="nvt|npt")] = None,
    thermostat: Annotated[
        str | None,
        typer.Option("--thermostat", help="Of nvt: nose-hoover (default) or langevin.", metavar="nose-hoover|langevin"),
    ] = None,
    pressure: Annotated[float | None, typer.Option("--pressure", help="GPa, with npt; by default 0.")] = None,
    barostat: Barostat = None,
    every: Annotated[
        int | None,
        typer.Option("--every", help="Steps between frames, lines of COLVAR and looks at the limits; by default 10."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of velocities and random forces, one more for each walker; by default 0."),
    ] = None,
    repeat: Repeat = None,
    atoms: Atoms = None,
    closest: Closest = None,
    until_uncertain: UntilUncertain = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Go on with the run in the folder, from its last saved state.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="YAML file with these options as keys (wall_upper: [d, 5.0, 2.0]), also model, structure, engine, "
            "output; the command line comes first.",
            metavar="RUN.YAML",
        ),
    ] = None,
) -> None:
    """Metadynamics: free energies along collective variables, plain or well-tempered.

    Without --sigma there are no hills: walls and moving restraints alone.

    Writes HILLS and COLVAR in PLUMED's format and units, trajectory_ENGINE.extxyz and thermo_ENGINE.csv (energies and
    forces with the bias), a picture, metad.json, and in.metad with fix rhopot/metad for LAMMPS. A run that was stopped
    goes on with --restart: no hill is added twice, none is lost. Variables that leave their grid, and what ends
    rhopot md, end the run. The free energy follows with rhopot fes.
    rhopot metad model.pt cell.extxyz --cv distance.pt --sigma 0.1 --temperature 300 --steps 100000
    """
    from rhopot.potentials.commands.metad import metad as run

    run(
        options,
        config,
        restart,
        cv=cv,
        temperature=temperature,
        steps=steps,
        timestep=timestep,
        height=height,
        sigma=sigma,
        biasfactor=biasfactor,
        pace=pace,
        grid=grid,
        wall_upper=wall_upper,
        wall_lower=wall_lower,
        moving=moving,
        group=group,
        walkers=walkers,
        ensemble=ensemble,
        thermostat=thermostat,
        pressure=pressure,
        barostat=barostat,
        every=every,
        seed=seed,
        repeat=repeat,
        atoms=atoms,
        closest=closest,
        until_uncertain=until_uncertain,
    )


@COMMANDS.command("diffusion", members=False)
def diffusion(
    options: PropertyOptions,
    temperatures: Annotated[
        str | None, typer.Option("--temperatures", help="K, a run for each: 600,800,1000.", metavar="K,K")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Instead: a finished folder of rhopot md, repeatable.", metavar="FOLDER"),
    ] = None,
    charge: Annotated[
        list[str] | None,
        typer.Option("--charge", help="Li=1: conductivity of these ions, repeatable.", metavar="X=NUMBER"),
    ] = None,
    ballistic: Annotated[
        float, typer.Option("--ballistic", help="ps, shortest time that is fitted; it must be past free flight.")
    ] = 1.0,
    blocks: Annotated[int, typer.Option("--blocks", help="Of the trajectory, for errors.", min=2)] = 5,
    steps: Annotated[int, typer.Option("--steps", help="Time steps of each run.", min=1)] = 50000,
    timestep: Timestep = None,
    every: Annotated[int, typer.Option("--every", help="Steps between frames.", min=1)] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of the velocities.")] = 0,
    repeat: Repeat = None,
    atoms: Atoms = None,
    closest: Closest = None,
    skip: Annotated[float, typer.Option("--skip", help="Fraction of frames at the start that is left out.")] = 0.2,
) -> None:
    """Diffusion coefficients, their activation energy, and the conductivity they stand for.

    Runs dynamics at constant volume (nvt) at each temperature, in a folder of its own, or reads runs of rhopot md.
    D is the line through the mean squared displacement from the ballistic time to half a block, its error that over
    blocks; no error of the model. The conductivity is that of ions that move independently (Nernst-Einstein).
    The same command goes on where it was stopped.
    rhopot diffusion model.pt cell.cif --atoms 200 --temperatures 600,800,1000 --charge Li=1
    """
    from rhopot.potentials.commands.diffusion import diffusion as compute
    from rhopot.potentials.commands.md_request import request_of

    given = {"steps": steps, "timestep": timestep, "every": every, "seed": seed, "skip": skip}
    request = request_of({**given, "repeat": repeat, "atoms": atoms, "closest": closest})
    compute(
        options,
        request,
        temperatures=temperatures,
        runs=run or [],
        charge=charge or [],
        ballistic=ballistic,
        blocks=blocks,
    )


@COMMANDS.command("melt", engine="lammps", members=False)
def melt(
    options: PropertyOptions,
    temperature: Annotated[
        float, typer.Option("--temperature", help="K, a guess of the melting point, where the first attempt starts.")
    ],
    hot: Annotated[
        float, typer.Option("--hot", help="Half of the cell is melted at this multiple of the temperature.")
    ] = 2.0,
    pressure: Annotated[float, typer.Option("--pressure", help="GPa.")] = 0.0,
    atoms: Annotated[
        int,
        typer.Option(
            "--atoms",
            help="Supercell of at least so many atoms, three times as long as wide, 8 cells or more along z: no "
            "smaller than 3x3x10 cubic cells (fcc 360 atoms, diamond 720).",
            min=1,
        ),
    ] = 1000,
    repeat: Annotated[
        str | None,
        typer.Option("--repeat", help="Its cells instead (of a prototype, cubic ones), 3,3,10.", metavar="N,N,N"),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", help="Time steps of the coexistence; more of them extend a finished run.", min=1)
    ] = 50000,
    prepare_steps: Annotated[
        int,
        typer.Option("--prepare-steps", help="Of the crystal, of melting, and of both phases before that.", min=1),
    ] = 5000,
    timestep: Timestep = None,
    every: Annotated[int, typer.Option("--every", help="Steps between frames.", min=1)] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Of the velocities.")] = 0,
    skip: Annotated[float, typer.Option("--skip", help="Fraction of the coexistence that averages leave out.")] = 0.3,
    attempts: Annotated[int, typer.Option("--attempts", help="Most attempts at different temperatures.", min=1)] = 5,
    closest: Closest = None,
) -> None:
    """Melting point: the temperature at which a crystal and its liquid stay side by side at constant enthalpy.

    One half of an elongated supercell is melted while the other is held; then both phases run at constant enthalpy and
    pressure, and the cell comes to its melting point by itself. Where it freezes or melts completely, it is done again
    from a higher or a lower temperature. By default in LAMMPS. The same command goes on where it was stopped. The error
    is statistical, of one run: runs of another --seed, and of a --temperature above and below, scatter by more where
    they are small or short. Trust thousands of atoms over 200 ps or more that settle. It is not the error of the model.
    rhopot melt model.pt --prototype diamond --temperature 1700 -n 4
    """
    from rhopot.potentials.commands.melt import MeltSettings
    from rhopot.potentials.commands.melt import melt as run
    from rhopot.potentials.commands.property_application import three_numbers

    cells = None if repeat is None else three_numbers("--repeat", repeat)
    run(
        options,
        MeltSettings(
            temperature,
            hot,
            pressure,
            atoms,
            cells,
            steps,
            prepare_steps,
            timestep,
            every,
            seed,
            skip,
            attempts,
            closest,
        ),
    )
