"""Input that relaxes a structure, atoms and cell, and the structure LAMMPS leaves.

The cell relaxes by `fix box/relax`: `iso` keeps its shape, `tri` relaxes all six components. Its minimization counts
energies from the cell it began with, so it is begun anew until the cell no longer changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms

from rhopot.potentials.lammps.deformed_cells import minimize, print_state, printed_state
from rhopot.potentials.lammps.input_decks import BAR_PER_EV_PER_CUBIC_ANGSTROM, DataFile, header, number
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsRun, read_dump
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats

TAG = "rhopot_relaxed"
DUMP = "relaxed.dump"
# Line searches of the minimizations of a cell, each from where the one before ended. By energies, the search stops
# where rounding hides their differences; by forces, it gets further but must begin near the minimum.
ROUNDS = ("quadratic", "quadratic", "quadratic", "forcezero", "forcezero", "forcezero")
BAR_PER_GPA = BAR_PER_EV_PER_CUBIC_ANGSTROM / GPA_PER_EV_PER_CUBIC_ANGSTROM

CellRelaxation = Literal["fixed", "isotropic", "full"]
_BOX = {"isotropic": "iso", "full": "tri"}


def relaxation_input(
    data: DataFile, pair: PairStyle, *, cell: CellRelaxation, fmax: float, pressure_gpa: float = 0.0
) -> str:
    """Input that relaxes the positions and, unless it is `fixed`, the cell of the structure of `data`."""
    lines = ["change_box all triclinic", *printed_state(), "thermo 1"]
    if cell != "fixed":
        pressure = number(pressure_gpa * BAR_PER_GPA)
        for search in ROUNDS:
            lines += [
                f"fix box all box/relax {_BOX[cell]} {pressure} vmax 0.001",
                "min_style cg",
                f"min_modify line {search}",
                f"minimize 0 {number(fmax)} 500 2500",
                "unfix box",
            ]
        lines.append("min_modify line quadratic")
    lines += minimize(fmax)
    box = " ".join(f"$({name}:%.17g)" for name in ("xlo", "ylo", "zlo", "lx", "ly", "lz", "xy", "xz", "yz"))
    lines += [
        "run 0",
        print_state(TAG),
        f'print "{TAG}_box {box}"',
        f"write_dump all custom {DUMP} id type xu yu zu fx fy fz modify sort id format float %.17g",
    ]
    return header(data, pair) + "\n".join(lines) + "\n"


def read_relaxed(run: LammpsRun, folder: Path, data: DataFile, atoms: Atoms) -> tuple[Atoms, Floats]:
    """Copy of `atoms` with the positions and the cell that LAMMPS left in `folder`, and the rotation to its axes."""
    xlo, ylo, zlo, lx, ly, lz, xy, xz, yz = run.printed(f"{TAG}_box")
    lattice = np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]])
    positions = read_dump(folder / DUMP, ["xu", "yu", "zu"]) - [xlo, ylo, zlo]
    relaxed = atoms.copy()
    if all(atoms.pbc):
        relaxed.set_cell(lattice @ data.rotation)
    relaxed.positions = data.out_of_box(positions)
    return relaxed, data.rotation
