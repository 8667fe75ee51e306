"""Free energy of a lithium interstitial along [111] in silicon: metadynamics through LAMMPS' `fix colvars`.

    python examples/metadynamics/run.py [--model runs/demo/soap_gap/model.pt] [--steps 20000] [--temperature 600]

The collective variable is the lithium atom's distance along [111] from its starting site, which passes the hexagonal
ring halfway to the next site. Hills are deposited on it; the free energy is minus their sum. Writes the data file,
`in.metadynamics`, `colvars.inp`, colvars' own output and `free_energy.png` into the output folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.commands.console import make_console
from rhopot.potentials.workflows.lammps_input import header, write_data
from rhopot.potentials.workflows.lammps_run import run_lammps
from rhopot.potentials.workflows.neb import relax_end_point
from rhopot.potentials.workflows.structures import interstitial_hop

ROOT = Path(__file__).resolve().parents[2]

COLVARS = """\
colvarsTrajFrequency 20
colvar {{
    name along
    width 0.1
    lowerBoundary -1.2
    upperBoundary {upper:.3f}
    distanceZ {{
        main {{ atomNumbers {lithium} }}
        ref {{ dummyAtom ({x:.6f}, {y:.6f}, {z:.6f}) }}
        axis (1.0, 1.0, 1.0)
    }}
}}
harmonicWalls {{
    colvars along
    lowerWalls -1.1
    upperWalls {wall:.3f}
    forceConstant 0.1
}}
metadynamics {{
    colvars along
    hillWeight {weight:g}
    hillWidth 2.0
    newHillFrequency {every}
    writeFreeEnergyFile on
}}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the input, run it and draw the profile."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--lattice", type=float, default=5.47, help="lattice constant in A")
    parser.add_argument("--temperature", type=float, default=600.0, help="K")
    parser.add_argument("--steps", type=int, default=20000, help="of 1 fs")
    parser.add_argument("--hill", type=float, default=0.02, help="height of a hill in eV")
    parser.add_argument("--every", type=int, default=50, help="steps between hills")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/metadynamics")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    crystal = bulk("Si", "diamond", a=options.lattice, cubic=True).repeat(options.cells)
    initial = relax_end_point(
        interstitial_hop(crystal, options.lattice, "Li")[0], RhopotCalculator(options.model), 0.05, 100
    )
    hop = options.lattice * np.sqrt(3) / 4
    x, y, z = initial.positions[-1]
    settings = {"lithium": len(initial), "x": x, "y": y, "z": z, "upper": hop + 1.2, "wall": hop + 1.1}
    text = COLVARS.format(**settings, weight=options.hill, every=options.every)
    (options.output / "colvars.inp").write_text(text, encoding="utf-8")
    data = replace(write_data(options.output / "structure.data", initial), path=Path("structure.data"))
    lines = [
        f"velocity all create {2 * options.temperature:g} 7 mom yes rot no",
        "timestep 0.001",
        f"fix heat all nvt temp {options.temperature:g} {options.temperature:g} 0.1",
        "fix bias all colvars colvars.inp output profile",
        "thermo 100",
        f"run {options.steps}",
    ]
    deck = header(data, options.model.resolve()) + "\n".join(lines) + "\n"
    run_lammps(deck, options.output, name="in.metadynamics", timeout=24 * 3600)
    profile = np.loadtxt(options.output / "profile.pmf")
    free = profile[:, 1] - profile[:, 1].min()
    inside = (profile[:, 0] > -0.2) & (profile[:, 0] < hop + 0.2)
    console.print(
        f"{options.steps // options.every} hills; highest free energy between the sites {free[inside].max():.3f} eV"
    )
    picture = plots.lines(
        options.output / "free_energy.png",
        profile[:, 0],
        {"free energy": free},
        "distance along [111] (A)",
        "free energy (eV)",
    )
    console.print(f"{picture}")


if __name__ == "__main__":
    main()
