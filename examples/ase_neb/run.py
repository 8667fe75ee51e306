"""Barrier of a hop in silicon by the nudged elastic band in ASE: a vacancy, or a lithium interstitial.

    python examples/ase_neb/run.py [--model runs/demo/soap_gap/model.pt] [--hop vacancy|lithium] [--images 5]

Relaxes both end points, lets the highest image climb, prints the barrier and draws the energy along the path.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import ase.io
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials.console import make_console
from rhopot.potentials.properties.neb import nudged_elastic_band, relax_end_point
from rhopot.potentials.structures.prototypes import interstitial_hop, vacancy_hop

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Find the barrier."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--hop", choices=("vacancy", "lithium"), default="lithium")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--lattice", type=float, default=5.47, help="lattice constant in A")
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/A")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/ase_neb")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    calculator = RhopotCalculator(options.model)
    crystal = bulk("Si", "diamond", a=options.lattice, cubic=True).repeat(options.cells)
    ends = vacancy_hop(crystal) if options.hop == "vacancy" else interstitial_hop(crystal, options.lattice, "Li")
    initial, final = (relax_end_point(end, calculator, options.fmax / 2, options.steps) for end in ends)
    console.print(f"end points relaxed: {initial.get_chemical_formula()}")
    band = nudged_elastic_band(
        initial, final, calculator, images=options.images, fmax=options.fmax, steps=options.steps
    )
    state = "converged" if band.converged else f"not converged to {options.fmax} eV/A in {options.steps} steps"
    console.print(f"{state}; barrier {band.forward_barrier:.3f} eV forward, {band.backward_barrier:.3f} eV backward")
    console.print(f"{band.plot(options.output / 'barrier.png')}")
    ase.io.write(options.output / "band.xyz", band.images)


if __name__ == "__main__":
    main()
