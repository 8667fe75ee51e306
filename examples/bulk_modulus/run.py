"""Bulk modulus of a crystal from energies of strained cells: a parabola within +-4 % of the volume, K = V0 d2E/dV2.

python examples/bulk_modulus/run.py [--model model.pt] [--symbol Si] [--crystal diamond] [--lattice 5.47]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials.console import make_console
from rhopot.potentials.properties.equation_of_state import equation_of_state

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Sample, fit and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--symbol", default="Si")
    parser.add_argument("--crystal", default="diamond", help="a structure that ase.build.bulk knows")
    parser.add_argument("--lattice", type=float, default=5.47, help="first guess of the lattice constant in A")
    parser.add_argument("--points", type=int, default=9)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/bulk_modulus")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    atoms = bulk(options.symbol, options.crystal, a=options.lattice, cubic=True)
    curve = equation_of_state(atoms, RhopotCalculator(options.model), points=options.points)
    constant = (curve.volume0 * len(atoms)) ** (1 / 3)
    console.print(
        f"a0 {constant:.4f} A, K {curve.bulk_modulus_gpa:.1f} GPa, parabola off by {curve.residual_mev:.3f} meV/atom"
    )
    console.print(f"{curve.plot(options.output / 'energy_volume.png')}")


if __name__ == "__main__":
    main()
