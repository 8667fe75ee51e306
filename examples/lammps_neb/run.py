"""The hop of `examples/ase_neb`, in LAMMPS: `neb` over partitions, one image per partition.

    python examples/lammps_neb/run.py [--model runs/demo/soap_gap/model.pt] [--hop vacancy|lithium] [--images 5]

Writes the data file, the last image and the deck `in.neb` into the output folder, runs
`mpirun -n 5 lmp -partition 5x1 -in in.neb` there, prints the barrier and draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.console import make_console
from rhopot.potentials.lammps.input_decks import write_data
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.properties.neb import lammps_neb, read_lammps_band, relax_end_point, write_final_image
from rhopot.potentials.structures.prototypes import interstitial_hop, vacancy_hop

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the input, run it and draw the barrier."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--hop", choices=("vacancy", "lithium"), default="lithium")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--lattice", type=float, default=5.47, help="lattice constant in A")
    parser.add_argument("--images", type=int, default=5, help="images, both ends included: one process each")
    parser.add_argument("--fmax", type=float, default=0.02, help="eV/A")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/lammps_neb")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    calculator = RhopotCalculator(options.model)
    crystal = bulk("Si", "diamond", a=options.lattice, cubic=True).repeat(options.cells)
    ends = vacancy_hop(crystal) if options.hop == "vacancy" else interstitial_hop(crystal, options.lattice, "Li")
    initial, final = (relax_end_point(end, calculator, options.fmax, options.steps) for end in ends)
    data = write_data(options.output / "initial.data", initial)
    write_final_image(options.output / "final.image", final, data)
    model = options.model.resolve()
    deck = lammps_neb(
        replace(data, path=Path("initial.data")),
        model,
        "final.image",
        steps=options.steps,
        climb_steps=options.steps,
        fmax=options.fmax,
    )
    partition = ["-partition", f"{options.images}x1"]
    run_lammps(deck, options.output, ranks=options.images, arguments=partition, name="in.neb", timeout=3600)
    coordinate, energy = read_lammps_band(options.output / "in.neb.log")
    console.print(f"barrier {energy.max():.3f} eV forward, {energy.max() - energy[-1]:.3f} eV backward")
    picture = plots.energy_path(
        options.output / "barrier.png",
        coordinate,
        energy,
        title=f"LAMMPS neb: barrier {energy.max():.3f} eV",
        xlabel="reaction coordinate",
    )
    console.print(f"{picture}")


if __name__ == "__main__":
    main()
