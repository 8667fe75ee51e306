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

    @property_command(app, "relax")
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

    @property_command(app, "phonons")
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
        qha: Annotated[
            bool, typer.Option("--qha", help="Thermal expansion in the quasi-harmonic approximation.")
        ] = False,
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
