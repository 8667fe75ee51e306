"""Input files of programs that label structures, written through ASE: a folder for each.

    vasp      POSCAR, INCAR and KPOINTS; POTCAR, which is licensed, is missing
    espresso  espresso.pwi, with the names X.UPF for pseudopotentials
    gpaw      label.py, which writes labelled.xyz

Each folder has structure.xyz too, its atoms in the order of the input: the labels belong to it, with its constraints
and its `info`.

Settings are those of a plain calculation of energy, forces and stress. They have to be made those of the training
data: energies of different methods do not mix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials.files import write_text

STRUCTURE = "structure.xyz"
SPACING = 0.25  # 1/A between k-points, 2 pi included
CUTOFF = 500.0  # eV of plane waves
RYDBERG = 13.605693  # eV

_LABEL = '''"""Energy, forces and stress of structure.xyz by GPAW, written to labelled.xyz: python3 label.py

Make the settings those of the training data.
"""

from ase.io import read, write
from gpaw import GPAW, PW, FermiDirac

atoms = read("structure.xyz")
calc = GPAW(mode=PW({cutoff:g}), xc="PBE", kpts={kpts}, occupations=FermiDirac(0.1), txt="gpaw.txt")
plain = atoms.copy()
del atoms.constraints
atoms.calc = calc
plain.info["REF_energy"] = atoms.get_potential_energy(force_consistent=True)
plain.arrays["REF_forces"] = atoms.get_forces()
if all(atoms.pbc):
    plain.info["REF_stress"] = atoms.get_stress(voigt=False)
write("labelled.xyz", plain, format="extxyz")
'''


def mesh(atoms: Atoms) -> tuple[int, int, int]:
    """Numbers of k-points along the reciprocal vectors, at most `SPACING` apart; 1 in open directions."""
    lengths = 2.0 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    counts = [int(np.ceil(length / SPACING)) if open_ else 1 for length, open_ in zip(lengths, atoms.pbc, strict=True)]
    return counts[0], counts[1], counts[2]


def require_program(program: str) -> None:
    """Raise ValueError for a program that inputs cannot be written for."""
    if program not in PROGRAMS:
        raise ValueError(f"--write must be one of {', '.join(PROGRAMS)}, got '{program}'; choose one of them")


def write_inputs(program: str, frames: Sequence[Atoms], folder: Path) -> list[Path]:
    """Write the input of each frame to a folder of its own, `0000`, `0001`, ... in their order; the folders.

    Raises:
        ValueError: an unknown program, or a folder of another structure, whose labels would be taken for new ones.
    """
    require_program(program)
    ordered = [atoms[np.argsort(atoms.get_chemical_symbols(), kind="stable")] for atoms in frames]
    places = [folder / f"{k:04d}" for k in range(len(frames))]
    old = sorted(folder.glob("[0-9][0-9][0-9][0-9]")) if folder.is_dir() else []
    for place in old:
        if place not in places or not _holds(place, ordered[places.index(place)]):
            raise ValueError(
                f"--write must be given a folder without other structures, got '{place}'; remove it, or name another "
                "with --output"
            )
    made = []
    for place, atoms in zip(places, ordered, strict=True):
        place.mkdir(parents=True, exist_ok=True)
        ase.io.write(place / STRUCTURE, atoms, format="extxyz")
        PROGRAMS[program](atoms, place)
        made.append(place)
    return made


def _holds(place: Path, atoms: Atoms) -> bool:
    """Whether a folder is that of these atoms."""
    file = place / STRUCTURE
    if not file.is_file():
        return False
    there = ase.io.read(file)
    assert isinstance(there, Atoms)
    return bool(
        len(there) == len(atoms)
        and (there.numbers == atoms.numbers).all()
        and np.allclose(there.positions, atoms.positions, atol=1e-6)
        and np.allclose(there.cell.array, atoms.cell.array, atol=1e-6)
    )


def _vasp(atoms: Atoms, folder: Path) -> None:
    periodic = atoms.copy()
    periodic.pbc = True  # VASP knows no other
    ase.io.write(folder / "POSCAR", periodic, format="vasp")
    lines = [
        "SYSTEM = harvest",
        "PREC = Accurate",
        f"ENCUT = {CUTOFF:g}",
        "EDIFF = 1E-6",
        "ISMEAR = 0",
        "SIGMA = 0.05",
        "NSW = 0",
        "ISIF = 2",
        "LREAL = .FALSE.",
        "LWAVE = .FALSE.",
        "LCHARG = .FALSE.",
    ]
    write_text(folder / "INCAR", "\n".join(lines) + "\n")
    write_text(folder / "KPOINTS", f"mesh\n0\nGamma\n{' '.join(map(str, mesh(atoms)))}\n0 0 0\n")


def _espresso(atoms: Atoms, folder: Path) -> None:
    settings = {
        "control": {"calculation": "scf", "tprnfor": True, "tstress": bool(all(atoms.pbc)), "prefix": "harvest"},
        "system": {
            "ecutwfc": round(CUTOFF / RYDBERG, 1),
            "occupations": "smearing",
            "smearing": "gaussian",
            "degauss": 0.004,
        },
        "electrons": {"conv_thr": 1e-8},
    }
    names = {symbol: f"{symbol}.UPF" for symbol in sorted(set(atoms.get_chemical_symbols()))}
    free = atoms.copy()
    free.set_constraint()
    ase.io.write(
        folder / "espresso.pwi",
        free,
        format="espresso-in",
        input_data=settings,
        pseudopotentials=names,
        kpts=mesh(atoms),
    )


def _gpaw(atoms: Atoms, folder: Path) -> None:
    write_text(folder / "label.py", _LABEL.format(cutoff=CUTOFF, kpts=mesh(atoms)))


PROGRAMS: dict[str, Callable[[Atoms, Path], None]] = {"vasp": _vasp, "espresso": _espresso, "gpaw": _gpaw}
