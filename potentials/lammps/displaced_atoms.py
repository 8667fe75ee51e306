"""Input of the forces on one structure with atoms displaced, for force constants, and what LAMMPS dumps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from rhopot.potentials.lammps.input_decks import DataFile, header, number
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import read_dump
from rhopot.potentials.units import Floats


def displaced_atoms_input(data: DataFile, pair: PairStyle, atoms: Atoms, positions: Sequence[Floats]) -> str:
    """Input that evaluates the forces for each of the positions (N, 3), in A, of the structure of `data`.

    Only atoms that stand elsewhere than in `atoms` are displaced, one after the other (`displace_atoms`), and put back
    afterwards; forces go to `forces.K.dump`.
    """
    lines = ["thermo_style custom step pe fmax"]
    for k, where in enumerate(positions):
        moves = [
            (i, (where[i] - atoms.positions[i]) @ data.rotation.T)
            for i in np.flatnonzero(np.any(where != atoms.positions, axis=1))
        ]
        lines += ["", f"# displacement {k + 1} of {len(positions)}"]
        lines += [f"group moved id {i + 1}\n{_displace(by)}\ngroup moved delete" for i, by in moves]
        lines += ["run 0", f"write_dump all custom {_name(k)} id fx fy fz modify sort id format float %.17g"]
        lines += [f"group moved id {i + 1}\n{_displace(-by)}\ngroup moved delete" for i, by in moves]
    return header(data, pair) + "\n".join(lines) + "\n"


def read_displaced_atoms(folder: Path, data: DataFile, count: int) -> list[Floats]:
    """Forces (N, 3) in eV/A, in the axes of ASE, of each of `count` displacements; the dumps are removed."""
    forces = []
    for k in range(count):
        forces.append(read_dump(folder / _name(k), ["fx", "fy", "fz"]) @ data.rotation)
        (folder / _name(k)).unlink()
    return forces


def _displace(by: Floats) -> str:
    return f"displace_atoms moved move {' '.join(number(x) for x in by)} units box"


def _name(k: int) -> str:
    return f"forces.{k}.dump"
