"""Property commands: their own options. Those that all have are in `property_options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rhopot.potentials.commands.property_options import PropertyCommands, PropertyOptions

COMMANDS = PropertyCommands()

Fmax = Annotated[
    float | None,
    typer.Option(
        "--fmax",
        help="Largest force in eV/A to which structures are relaxed (by default 1e-6; 1e-3 for a model in float32).",
        min=0.0,
        show_default=False,
    ),
]


@COMMANDS.command("eos", "bulk-modulus")
def eos(
    options: PropertyOptions,
    extent: Annotated[
        float, typer.Option("--extent", help="Volumes are sampled within +- this part of V0.", min=0.001, max=0.5)
    ] = 0.09,
    points: Annotated[int, typer.Option("--points", help="Number of volumes.", min=5)] = 19,
    fit_extent: Annotated[
        float | None,
        typer.Option("--fit-extent", help="The parabola is fitted within +- this part of V0 (0.04).", min=0.001),
    ] = None,
    relax: Annotated[bool, typer.Option("--relax", help="Relax atoms at every volume, the cell fixed.")] = False,
    fmax: Fmax = None,
) -> None:
    """Energy against volume: V0, bulk modulus by a parabola and by Birch-Murnaghan, K against volume.

    Several structures are several phases in one plot: rhopot eos model.pt --prototype diamond --prototype bcc.
    """
    from rhopot.potentials.commands.eos import eos as run

    within = min(0.04, extent) if fit_extent is None else fit_extent
    run(options, extent=extent, points=points, fit_extent=within, relax=relax, fmax=fmax)


@COMMANDS.command("elastic")
def elastic(
    options: PropertyOptions,
    strain: Annotated[float, typer.Option("--strain", help="Size of the strains.", min=1e-6, max=0.1)] = 1e-3,
    clamped: Annotated[
        bool, typer.Option("--clamped", help="Leave atoms where the strain puts them (clamped ions).")
    ] = False,
    fmax: Fmax = None,
) -> None:
    """Elastic constants of a crystal: C_ij, polycrystal moduli, stability.

    The crystal is relaxed first; strains that symmetry gives are left out.
    """
    from rhopot.potentials.commands.elastic import elastic as run

    run(options, strain=strain, clamped=clamped, fmax=fmax)


@COMMANDS.command("neb")
def neb(
    options: PropertyOptions,
    images: Annotated[int, typer.Option("--images", help="Images between the end points.", min=1)] = 5,
    fmax: Annotated[
        float, typer.Option("--fmax", help="Largest force in eV/A on an image of the band.", min=1e-4)
    ] = 0.01,
    end_fmax: Annotated[
        float, typer.Option("--end-fmax", help="Largest force in eV/A on the end points.", min=1e-5)
    ] = 0.002,
    steps: Annotated[
        int, typer.Option("--steps", help="Most steps of the band, and again of its climb.", min=1)
    ] = 1000,
    climb: Annotated[
        bool, typer.Option("--climb/--no-climb", help="Let the highest image climb to the saddle (LAMMPS does).")
    ] = True,
    repeat: Annotated[
        str, typer.Option("--repeat", help="Of one crystal: cells of the supercell of a vacancy hop.")
    ] = "2,2,2",
    along: Annotated[
        Path | None,
        typer.Option(
            "--along", help="Path with reference energies, which is evaluated as it is.", metavar="IMAGES.XYZ"
        ),
    ] = None,
    into_void: Annotated[
        str | None,
        typer.Option(
            "--into-void",
            help="Find the end points in one structure: an atom of this element hops into the best void for it.",
            metavar="X",
        ),
    ] = None,
    voids: Annotated[
        int | None, typer.Option("--voids", help="With --into-void: largest voids tried (6).", min=1)
    ] = None,
    reach: Annotated[
        float | None,
        typer.Option("--reach", help="With --into-void: neighbors within this many A can hop (5).", min=0.1),
    ] = None,
    hop: Annotated[
        int | None,
        typer.Option("--hop", help="With --into-void: number of the hop; by default that with the lowest end."),
    ] = None,
) -> None:
    """Path of least energy and barrier between two structures, of a hop into a void, or of a vacancy hop.

    End points are relaxed at fixed cell and refused where they do not get there. In LAMMPS each image is a
    partition of -n ranks.
    """
    from rhopot.potentials.commands.hops import VoidSearch
    from rhopot.potentials.commands.neb import neb as run

    cells = three_numbers("--repeat", repeat)
    search = None if into_void is None else VoidSearch(into_void, voids or 6, reach or 5.0, hop)
    for option, value in (("--voids", voids), ("--reach", reach), ("--hop", hop)):
        if search is None and value is not None:
            raise ValueError(f"{option} must go with --into-void, got {value:g} without; add --into-void X")
    run(
        options,
        images=images,
        fmax=fmax,
        end_fmax=end_fmax,
        steps=steps,
        climb=climb,
        repeat=cells,
        along=along,
        search=search,
    )


@COMMANDS.command("relax")
def relax(
    options: PropertyOptions,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            help="What of the cell relaxes; full where the structure is periodic in three directions, else fixed.",
            metavar="fixed|isotropic|full",
        ),
    ] = None,
    pressure: Annotated[
        float, typer.Option("--pressure", help="Pressure in GPa at which the cell relaxes.", metavar="GPA")
    ] = 0.0,
    keep_symmetry: Annotated[
        bool,
        typer.Option(
            "--keep-symmetry/--no-keep-symmetry",
            help="Keep the space group (within 0.01 A); LAMMPS keeps it as far as the forces have it.",
        ),
    ] = False,
    fmax: Annotated[
        float, typer.Option("--fmax", help="Largest force in eV/A, and stress times volume per atom in eV.")
    ] = 1e-5,
) -> None:
    """Structures at the nearest minimum of energy or enthalpy: positions and cell.

    Writes relaxed_NAME.extxyz, and NAME in its own format. Of several structures each is relaxed; one that does not
    reach --fmax is refused. For the error bar each ensemble member relaxes the structure itself.
    """
    from rhopot.potentials.commands.relax import relax_structures as run

    run(options, cell=cell, pressure=pressure, keep_symmetry=keep_symmetry, fmax=fmax)


@COMMANDS.command("phonons")
def phonons(
    options: PropertyOptions,
    supercell: Annotated[
        str | None,
        typer.Option(
            "--supercell",
            help="Multiples of the cell, 2,2,2, or nine integers, vectors of the supercell as rows; by default the "
            "smallest whose heights are at least two cutoffs and 10 A, of at most 512 atoms.",
            metavar="N,N,N",
        ),
    ] = None,
    displacement: Annotated[
        float, typer.Option("--displacement", help="Displacement of atoms in A.", metavar="A")
    ] = 0.01,
    mesh: Annotated[
        float,
        typer.Option(
            "--mesh",
            help="For densities and sums: along a reciprocal vector its length times this over 2 pi are points.",
            min=1.0,
            metavar="A",
        ),
    ] = 50.0,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", help="THz; imaginary frequencies beyond are reported.", min=0.0, metavar="THZ"),
    ] = 0.05,
    max_temperature: Annotated[
        float, typer.Option("--max-temperature", help="Highest temperature in K.", metavar="K")
    ] = 1000.0,
    temperature_step: Annotated[
        float, typer.Option("--temperature-step", help="Step of temperatures in K.", metavar="K")
    ] = 10.0,
    qha: Annotated[bool, typer.Option("--qha", help="Thermal expansion in the quasi-harmonic approximation.")] = False,
    volume_range: Annotated[
        float, typer.Option("--volume-range", help="With --qha: largest relative change of the volume.")
    ] = 0.03,
    volumes: Annotated[int, typer.Option("--volumes", help="With --qha: number of volumes.")] = 7,
) -> None:
    """Phonons of a crystal: bands, density of states, heat capacity, free energy; with --qha thermal expansion.

    The crystal is relaxed first. Imaginary frequencies are written as negative. phonopy goes on from the files
    phonopy_params_NAME.yaml and FORCE_SETS_NAME. Engines agree within 0.001 THz.
    rhopot phonons model.pt --prototype diamond
    """
    from rhopot.potentials.commands.phonon_settings import PhononSettings
    from rhopot.potentials.commands.phonons import phonons as run

    settings = PhononSettings(
        supercell, displacement, mesh, tolerance, max_temperature, temperature_step, qha, volume_range, volumes
    )
    run(options, settings)


@COMMANDS.command("defects")
def defects(
    options: PropertyOptions,
    vacancy: Annotated[bool, typer.Option("--vacancy/--no-vacancy", help="One of each kind of site.")] = True,
    interstitial: Annotated[
        list[str] | None,
        typer.Option("--interstitial", help="Element put into voids; repeatable.", metavar="X"),
    ] = None,
    substitution: Annotated[
        list[str] | None,
        typer.Option("--substitution", help="Element put on each kind of site; repeatable.", metavar="X"),
    ] = None,
    voids: Annotated[int, typer.Option("--voids", help="Kinds of voids for interstitials, the largest.", min=1)] = 2,
    sizes: Annotated[
        str, typer.Option("--sizes", help="Cells along each edge of the supercells (of a prototype, cubic ones).")
    ] = "2,3",
    chemical_potential: Annotated[
        list[str] | None,
        typer.Option(
            "--chemical-potential",
            help="eV of an atom; a crystal of one element has its own energy per atom by default. Repeatable.",
            metavar="X=EV",
        ),
    ] = None,
    fmax: Annotated[float, typer.Option("--fmax", help="Largest force in eV/A on a relaxed defect.")] = 0.002,
) -> None:
    """Formation energies of vacancies, interstitials and substitutions in supercells of growing size.

    Supercells keep the lattice of the relaxed crystal. rhopot defects model.pt --prototype diamond
    """
    from rhopot.potentials.commands.defects import DefectSettings
    from rhopot.potentials.commands.defects import defects as run

    numbers = [int(word) if word.strip().isdigit() else 0 for word in sizes.split(",")]
    if min(numbers) < 1:
        raise typer.BadParameter(f"--sizes must be numbers of cells such as 2,3, got '{sizes}'")
    potentials = dict(_potential_of(text) for text in chemical_potential or [])
    run(
        options,
        DefectSettings(vacancy, interstitial or [], substitution or [], voids, sorted(set(numbers)), potentials, fmax),
    )


def _potential_of(text: str) -> tuple[str, float]:
    """Element and energy (eV) of `X=EV`."""
    element, _, number = text.partition("=")
    try:
        return element.strip(), float(number)
    except ValueError:
        raise typer.BadParameter(f"--chemical-potential must read X=EV, such as Li=-1.9, got '{text}'") from None


def three_numbers(option: str, text: str) -> tuple[int, int, int]:
    """Numbers of cells along the three lattice vectors, from `2` or `2,2,3`."""
    words = text.split(",")
    numbers = [int(word) if word.strip().isdigit() else 0 for word in (words * 3 if len(words) == 1 else words)]
    if len(numbers) != 3 or min(numbers) < 1:
        raise typer.BadParameter(f"{option} must be one or three numbers of cells such as 2,2,3, got '{text}'")
    return numbers[0], numbers[1], numbers[2]
