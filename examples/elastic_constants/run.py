"""Elastic constants of a cubic crystal against strain, and the force constant of an atom against its displacement.

    python examples/elastic_constants/run.py [--model model.pt ...] [--symbol Si] [--crystal diamond] [--lattice 5.47]

A smooth potential gives the same C11, C12, C44 (atoms relaxed) at every small strain. `largest change` is that of a
constant between strains of 5e-4 and 1e-2, relative to its value at the smallest of them. Writes constants.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials.console import make_console, table
from rhopot.potentials.properties.elastic import elastic_constants, force_constant
from rhopot.potentials.properties.engine import AseEngine

ROOT = Path(__file__).resolve().parents[2]
STRAINS = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
DISPLACEMENTS = (1e-3, 3e-3, 1e-2, 2e-2, 5e-2)  # A
FMAX = 1e-5  # eV/A


def main(arguments: Sequence[str] | None = None) -> None:
    """Relax the crystal, strain it, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, nargs="+", default=[ROOT / "runs/demo/soap_gap/model.pt"])
    parser.add_argument("--symbol", default="Si")
    parser.add_argument("--crystal", default="diamond", help="a cubic structure that ase.build.bulk knows")
    parser.add_argument("--lattice", type=float, default=5.47, help="first guess of the lattice constant in A")
    parser.add_argument("--strains", type=float, nargs="+", default=STRAINS)
    parser.add_argument("--displacements", type=float, nargs="*", default=DISPLACEMENTS, help="in A; none: left out")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/elastic_constants")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    lines = ["model,strain,c11_gpa,c12_gpa,c44_gpa,c44_clamped_gpa"]
    for model in options.model:
        lines += [",".join(map(str, (model, *row))) for row in _report(model, options)]
    (options.output / "constants.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _report(model: Path, options: argparse.Namespace) -> list[tuple[float, float, float, float, float]]:
    """Strain, C11, C12, C44, C44 with clamped atoms (GPa) for each strain."""
    console, calculator = make_console(), RhopotCalculator(model)
    engine = AseEngine(calculator)
    start = bulk(options.symbol, options.crystal, a=options.lattice)
    crystal = engine.relaxed(start, cell="full", fmax=FMAX, keep_symmetry=True)
    lattice = options.lattice * (crystal.get_volume() / start.get_volume()) ** (1 / 3)
    console.print(f"{model}: {options.symbol} {options.crystal}, a0 {lattice:.4f} A")
    found = []
    for strain in options.strains:
        relaxed, clamped = (
            elastic_constants(crystal, engine, strain=strain, relax=relax, fmax=FMAX) for relax in (True, False)
        )
        found.append((strain, relaxed["C11"], relaxed["C12"], relaxed["C44"], clamped["C44"]))
    rows = [[f"{strain:.0e}", *(f"{value:.1f}" for value in values)] for strain, *values in found]
    console.print(table("", ["strain", "C11 GPa", "C12", "C44", "C44 clamped"], rows))
    inside = [values for strain, *values in found if 5e-4 <= strain <= 1e-2]
    if inside:
        changes = [max(abs(value / column[0] - 1.0) for value in column) for column in zip(*inside, strict=True)]
        console.print(f"largest change: C11 {changes[0]:.1%}, C12 {changes[1]:.1%}, C44 {changes[2]:.1%}")
    if options.displacements:
        cell = bulk(options.symbol, options.crystal, a=lattice, cubic=True).repeat(2)
        constants = [f"{u:g} A {force_constant(cell, calculator, u):.3f}" for u in options.displacements]
        console.print(f"force constant of one of {len(cell)} atoms in eV/A^2, displaced by " + ", ".join(constants))
    return found


if __name__ == "__main__":
    main()
