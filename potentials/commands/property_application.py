"""Property commands: their own options. Those that all have are in `property_options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rhopot.potentials.commands.property_options import PropertyOptions, property_command

Fmax = Annotated[
    float | None,
    typer.Option(
        "--fmax",
        help="Largest force in eV/A to which structures are relaxed [default: 1e-6; 1e-3 for a model in float32].",
        min=0.0,
        show_default=False,
    ),
]


def add_properties(app: typer.Typer) -> None:
    """Add a command for each property to the application."""

    @property_command(app, "eos", "bulk-modulus")
    def eos(
        options: PropertyOptions,
        extent: Annotated[
            float, typer.Option("--extent", help="Volumes are sampled within +- this part of V0.", min=0.001, max=0.5)
        ] = 0.09,
        points: Annotated[int, typer.Option("--points", help="Number of volumes.", min=5)] = 19,
        fit_extent: Annotated[
            float, typer.Option("--fit-extent", help="The parabola is fitted within +- this part of V0.", min=0.001)
        ] = 0.04,
        relax: Annotated[bool, typer.Option("--relax", help="Relax atoms at every volume, the cell fixed.")] = False,
        fmax: Fmax = None,
    ) -> None:
        """Energy against volume: V0, bulk modulus by a parabola and by Birch-Murnaghan, K against volume.

        Several structures are several phases in one plot: rhopot eos model.pt --prototype diamond --prototype bcc.
        """
        from rhopot.potentials.commands.eos import eos as run

        run(options, extent=extent, points=points, fit_extent=fit_extent, relax=relax, fmax=fmax)

    @property_command(app, "elastic")
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

    @property_command(app, "neb")
    def neb(
        options: PropertyOptions,
        images: Annotated[int, typer.Option("--images", help="Images between the end points.", min=1)] = 5,
        fmax: Annotated[
            float, typer.Option("--fmax", help="Largest force in eV/A on an image of the band.", min=1e-4)
        ] = 0.01,
        end_fmax: Annotated[
            float, typer.Option("--end-fmax", help="Largest force in eV/A on the end points.", min=1e-5)
        ] = 0.002,
        steps: Annotated[int, typer.Option("--steps", help="Most steps of the optimizer of the band.", min=1)] = 1000,
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
    ) -> None:
        """Path of least energy and barrier between two structures, or of a vacancy hop in one crystal.

        End points are relaxed at fixed cell and refused where they do not get there. In LAMMPS each image is a
        partition of -n ranks.
        """
        from rhopot.potentials.commands.neb import neb as run

        cells = three_numbers("--repeat", repeat)
        run(
            options,
            images=images,
            fmax=fmax,
            end_fmax=end_fmax,
            steps=steps,
            climb=climb,
            repeat=cells,
            along=along,
        )


def three_numbers(option: str, text: str) -> tuple[int, int, int]:
    """Numbers of cells along the three lattice vectors, from `2` or `2,2,3`."""
    words = text.split(",")
    numbers = [int(word) if word.strip().isdigit() else 0 for word in (words * 3 if len(words) == 1 else words)]
    if len(numbers) != 3 or min(numbers) < 1:
        raise typer.BadParameter(f"{option} must be one or three numbers of cells such as 2,2,3, got '{text}'")
    return numbers[0], numbers[1], numbers[2]
