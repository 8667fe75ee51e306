"""Free energy of a lithium interstitial along [111] in silicon: metadynamics through LAMMPS' `fix colvars`.

    python examples/metadynamics/run.py [--model runs/demo/soap_gap/model.pt] [--steps 60000] [--temperature 600]

Between two neighbouring tetrahedral sites the lithium atom passes a puckered ring of six silicon atoms. The collective
variable is its distance along [111] from the centre of that ring: the sites lie at -1.18 and +1.18 A, the bottleneck at
zero, and the profile of a converged run is symmetric. Walls keep the atom in the channel (2.0 A along it from the
centre, 1.2 A across). Hills of well-tempered metadynamics are deposited along the channel.

The demonstration's models were trained on amorphous alloys only and do not hold a hot crystal together, so springs tie
each silicon atom to its site; with a model that knows the crystal, leave them out (`--tether 0`).

Reference: A. Barducci, G. Bussi, M. Parrinello, Phys. Rev. Lett. 100, 020603 (2008), doi:10.1103/PhysRevLett.100.020603
Writes the data file, `in.metadynamics`, `colvars.inp`, the output of colvars and `free_energy.png` into a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.console import make_console
from rhopot.potentials.lammps.input_decks import header, write_data
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.properties.neb import relax_end_point
from rhopot.potentials.structures.prototypes import interstitial_hop

ROOT = Path(__file__).resolve().parents[2]
RING = 6  # silicon atoms around the bottleneck
ALONG, ACROSS = 2.0, 1.2  # A, walls of the channel

GROUPS = """\
        main {{ atomNumbers {lithium} }}
        ref {{ atomNumbers {ring} }}
        axis (1.0, 1.0, 1.0)
"""
COLVARS = (
    """\
colvarsTrajFrequency 20
colvar {{
    name along
    width 0.05
    lowerBoundary -{edge}
    upperBoundary {edge}
    distanceZ {{
"""
    + GROUPS
    + """\
    }}
}}
colvar {{
    name across
    distanceXY {{
"""
    + GROUPS
    + """\
    }}
}}
harmonicWalls {{
    colvars along
    lowerWalls -{along}
    upperWalls {along}
    forceConstant 0.02
}}
harmonicWalls {{
    colvars across
    upperWalls {across}
    forceConstant 10.0
}}
metadynamics {{
    colvars along
    hillWeight {weight:g}
    hillWidth 4.0
    newHillFrequency {every}
    wellTempered on
    biasTemperature {bias:g}
    writeFreeEnergyFile on
}}
"""
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the input, run it and draw the profile."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--lattice", type=float, default=5.47, help="lattice constant in A")
    parser.add_argument("--temperature", type=float, default=600.0, help="K")
    parser.add_argument("--steps", type=int, default=60000, help="of 1 fs")
    parser.add_argument("--hill", type=float, default=0.05, help="height of the first hills in eV")
    parser.add_argument("--every", type=int, default=50, help="steps between hills")
    parser.add_argument("--tether", type=float, default=1.0, help="springs that hold the silicon atoms, eV/A^2")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/metadynamics")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    crystal = bulk("Si", "diamond", a=options.lattice, cubic=True).repeat(options.cells)
    start, ring = channel(crystal, options.lattice)
    start = relax_end_point(start, RhopotCalculator(options.model), 0.05, 500)
    write_collective_variables(options.output / "colvars.inp", start, ring, options)
    data = replace(write_data(options.output / "structure.data", start), path=Path("structure.data"))
    console.print(f"{options.steps} steps in LAMMPS; log: {options.output / 'in.metadynamics.log'}")
    deck = header(data, options.model.resolve()) + dynamics(options.temperature, options.steps, options.tether)
    run_lammps(deck, options.output, name="in.metadynamics", timeout=24 * 3600)
    distance, energy = np.loadtxt(options.output / "profile.pmf").T
    inside = np.abs(distance) <= ALONG
    distance, energy = distance[inside], energy[inside] - energy[inside].min()
    left, right = energy[distance < 0].min(), energy[distance > 0].min()
    barrier = energy[np.abs(distance) < 0.3].max() - np.array([left, right])
    console.print(
        f"{options.steps // options.every} hills; free energy of the bottleneck above the sites "
        f"{barrier[0]:.3f} and {barrier[1]:.3f} eV (equal when converged)"
    )
    picture = plots.lines(
        options.output / "free_energy.png",
        distance,
        {"free energy": energy},
        "distance of Li from the ring along [111] (Å)",
        "free energy (eV)",
        f"metadynamics, {options.temperature:g} K, {options.steps / 1000:g} ps",
    )
    console.print(f"{picture}")


def channel(crystal: Atoms, lattice: float) -> tuple[Atoms, np.ndarray]:
    """Crystal with lithium in a site, the bottleneck in the middle of the cell, and the rows of the ring there."""
    start, end = interstitial_hop(crystal, lattice, "Li")
    bottleneck = 0.5 * (start.positions[-1] + end.positions[-1])
    start.positions += start.cell.array.sum(axis=0) / 2 - bottleneck
    start.wrap()
    silicon = start.positions[:-1] - start.cell.array.sum(axis=0) / 2
    return start, np.argsort(np.linalg.norm(silicon, axis=1))[:RING]


def write_collective_variables(path: Path, start: Atoms, ring: np.ndarray, options: argparse.Namespace) -> None:
    """Write the input of colvars (lengths in A, energies in eV: the units of the deck)."""
    text = COLVARS.format(
        lithium=len(start),
        ring=" ".join(str(row + 1) for row in sorted(ring)),
        edge=ALONG + 0.2,
        along=ALONG,
        across=ACROSS,
        weight=options.hill,
        every=options.every,
        bias=10 * options.temperature,
    )
    path.write_text(text, encoding="utf-8")


def dynamics(temperature: float, steps: int, tether: float) -> str:
    """Lines of the deck after its header: constant temperature, springs (eV/A^2) on silicon, bias by colvars."""
    springs = ["group host type 2", f"fix springs host spring/self {tether:g}"] if tether > 0 else []
    lines = [
        *springs,
        f"velocity all create {2 * temperature:g} 7 mom yes rot no",
        "timestep 0.001",
        f"fix heat all nvt temp {temperature:g} {temperature:g} 0.1",
        "fix bias all colvars colvars.inp output profile",
        "thermo 100",
        f"run {steps}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
