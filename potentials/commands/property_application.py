"""Property commands: their own options. Those that all have are in `property_options`."""

from __future__ import annotations

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
