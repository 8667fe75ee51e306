"""Silicon of Tersoff, Phys. Rev. B 38, 9902 (1988), in ASE and as a parameter file and pair style of LAMMPS."""

from __future__ import annotations

from pathlib import Path

from ase.calculators.tersoff import Tersoff, TersoffParameters

from rhopot.potentials.lammps.pair_style import PairStyle

WORDS = "3 1 0 100390 16.217 -0.59825 0.78734 1.1e-6 1.73222 471.18 2.85 0.15 2.4799 1830.8"


def calculator() -> Tersoff:
    """A calculator for ASE."""
    return Tersoff({("Si", "Si", "Si"): TersoffParameters.from_list([float(word) for word in WORDS.split()])})


def pair_style(folder: Path) -> PairStyle:
    """Pair style of LAMMPS; the parameters are written into `folder`."""
    file = folder / "Si.tersoff"
    file.write_text(f"# UNITS: metal\nSi Si Si {WORDS}\n", encoding="utf-8")
    return PairStyle("tersoff", (f"* * {file} {{elements}}",))
