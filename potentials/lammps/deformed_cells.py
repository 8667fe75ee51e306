"""Input of energies, forces and stresses of one structure in several cells, and what LAMMPS prints.

    change_box ... remap     the next cell; atoms keep their fractional coordinates
    minimize                 where the atoms relax
    rhopot_cell k E pxx pyy pzz pxy pxz pyz f        one line for each cell; eV, bar, largest force in eV/A

LAMMPS holds a along x and b in the xy plane, so each cell has a rotation of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rhopot.potentials.lammps.input_decks import BAR_PER_EV_PER_CUBIC_ANGSTROM, DataFile, header, number, triangular
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsRun
from rhopot.potentials.units import LAMMPS_VOIGT, Floats, from_voigt

TAG = "rhopot_cell"
MAX_STEPS = 5000


def deformed_cells_input(data: DataFile, pair: PairStyle, cells: Sequence[Floats], *, relax: bool, fmax: float) -> str:
    """Input that evaluates the structure of `data` in each of the cells (3, 3), in A, as ASE has them.

    relax: minimize the energy by the positions in each cell until the norm of all forces is below `fmax` (eV/A).
    """
    lines = ["change_box all triclinic", *printed_state()]
    for k, cell in enumerate(cells):
        lines += ["", f"# cell {k + 1} of {len(cells)}", change_box(triangular(cell)[0])]
        lines += minimize(fmax) if relax else []
        lines += ["run 0", print_state(f"{TAG} {k}")]
    return header(data, pair) + "\n".join(lines) + "\n"


def read_deformed_cells(run: LammpsRun, cells: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Energies (n,) in eV, stresses (n, 3, 3) in eV/A^3 in the axes of `cells`, and largest forces (n,) in eV/A."""
    lines = [line.split()[2:] for line in run.text.splitlines() if line.startswith(f"{TAG} ")]
    if len(lines) != len(cells):
        raise ValueError(f"the LAMMPS output must hold {len(cells)} lines '{TAG}', got {len(lines)}; see the log")
    table = np.array(lines, dtype=np.float64)
    stresses = [stress_of(row[1:7], triangular(cell)[1]) for row, cell in zip(table, cells, strict=True)]
    return table[:, 0], np.array(stresses), table[:, 7]


def stress_of(pressure: Floats, rotation: Floats) -> Floats:
    """Stress (3, 3) in eV/A^3, tensile positive, from LAMMPS' pressure (xx yy zz xy xz yz) in bar."""
    tensor = from_voigt(pressure, LAMMPS_VOIGT) / BAR_PER_EV_PER_CUBIC_ANGSTROM
    return np.asarray(-rotation.T @ tensor @ rotation)


def printed_state() -> list[str]:
    """Lines that define what `print_state` prints."""
    return [
        "compute pressure all pressure NULL virial",
        "thermo_style custom step pe fmax vol c_pressure[1]",
        "variable energy equal pe",
        "variable fmax equal fmax",
        *(f"variable p{k} equal c_pressure[{k}]" for k in range(1, 7)),
    ]


def print_state(tag: str) -> str:
    """The line that prints energy, pressure tensor and largest force component with all their digits."""
    names = ["energy", *(f"p{k}" for k in range(1, 7)), "fmax"]
    return f'print "{tag} ' + " ".join(f"$(v_{name}:%.17g)" for name in names) + '"'


def change_box(lattice: Floats) -> str:
    """The line that turns the box into the lower-triangular `lattice` (3, 3) and takes the atoms along."""
    edges = " ".join(f"{axis} final 0 {number(lattice[k, k])}" for k, axis in enumerate("xyz"))
    tilts = " ".join(f"{n} final {number(lattice[i, j])}" for n, i, j in (("xy", 1, 0), ("xz", 2, 0), ("yz", 2, 1)))
    return f"change_box all {edges} {tilts} remap units box"


def minimize(fmax: float) -> list[str]:
    """Lines that relax the atoms: conjugate gradients, then FIRE, whose end is not limited by the energy's digits."""
    return [
        "min_style cg",
        f"minimize 0 {number(fmax)} {MAX_STEPS} {10 * MAX_STEPS}",
        "min_style fire",
        f"minimize 0 {number(fmax)} {MAX_STEPS} {10 * MAX_STEPS}",
    ]
