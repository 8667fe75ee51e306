"""Property commands: their own options. Those that all have are in `property_options`."""

from __future__ import annotations

from typing import Annotated

import typer

from rhopot.potentials.commands.property_options import PropertyOptions, property_command


def add_properties(app: typer.Typer) -> None:
    """Add a command for each property to the application."""

    @property_command(app, "elastic")
    def elastic(
        options: PropertyOptions,
        strain: Annotated[float, typer.Option("--strain", help="Size of the strains.", min=1e-6, max=0.1)] = 1e-3,
        clamped: Annotated[
            bool, typer.Option("--clamped", help="Leave atoms where the strain puts them (clamped ions).")
        ] = False,
        fmax: Annotated[
            float, typer.Option("--fmax", help="Largest force in eV/A to which atoms and cell are relaxed.")
        ] = 1e-5,
    ) -> None:
        """Elastic constants of a crystal: C_ij, polycrystal moduli, stability.

        The crystal is relaxed first; strains that symmetry gives are left out. rhopot elastic model.pt --prototype diamond
        """
        from rhopot.potentials.commands.elastic import elastic as run

        run(options, strain=strain, clamped=clamped, fmax=fmax)
