"""Input files of programs that label structures, written through ASE: a folder for each.

    vasp      POSCAR, INCAR and KPOINTS; POTCAR, which is licensed, is missing
    espresso  espresso.pwi, with the names X.UPF for pseudopotentials
    gpaw      the calculation is label.py

Each folder has structure.xyz too, its atoms in the order of the input, elements alphabetically: the labels belong to
it, with its constraints and its `info`. `label.py` writes both to labelled.xyz; that of vasp and espresso reads the
labels from the output (OUTCAR, espresso.pwo) of a calculation that has converged. Inputs hold no constraints: the
forces of held atoms are calculated too.

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
LABEL = "label.py"
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

_READ = '''"""Energy, forces and stress of structure.xyz from {output}, to labelled.xyz: python3 label.py [OUTPUT]

The energy is the free energy, whose derivatives the forces are.
"""

import sys
from pathlib import Path

from ase.geometry import find_mic
from ase.io import read, write

file = sys.argv[1] if len(sys.argv) > 1 else "{output}"
plain = read("structure.xyz")
if not Path(file).is_file():
    sys.exit(f"{{file}} must be the output of the calculation, got no file; run it, or name its output")
if "{converged}" not in Path(file).read_text(errors="replace"):
    sys.exit(f"{{file}} must be the output of a calculation that has converged, got none; converge it")
try:
    found = read(file, format="{format}")
except Exception as error:
    sys.exit(f"{{file}} must be a whole output, got one that ASE cannot read ({{error}}); calculate it again")
same = list(found.symbols) == list(plain.symbols)
if not same or find_mic(found.positions - plain.positions, plain.cell)[1].max() > 1e-3:
    sys.exit(f"{{file}} must hold the atoms of structure.xyz in their order, got others; calculate the input beside it")
plain.info["REF_energy"] = found.get_potential_energy(force_consistent=True)
plain.arrays["REF_forces"] = found.get_forces(apply_constraint=False)
if all(plain.pbc) and "stress" in found.calc.results:
    plain.info["REF_stress"] = found.get_stress(voigt=False, apply_constraint=False)
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


def refuse_other_inputs(frames: Sequence[Atoms], folder: Path) -> None:
    """Raise ValueError where a folder has inputs, of any program, of other structures than these.

    What is calculated from them would be taken for labels of these.
    """
    ordered = _ordered(frames)
    for place in (place for program in PROGRAMS for place in sorted((folder / program).glob("[0-9][0-9][0-9][0-9]"))):
        k = int(place.name)
        if k >= len(ordered) or not _holds(place, ordered[k]):
            raise ValueError(
                f"output must be a folder without inputs of other structures, got '{place}'; remove it, or name "
                "another with --output"
            )


def write_inputs(program: str, frames: Sequence[Atoms], folder: Path) -> list[Path]:
    """Write the input of each frame to a folder of its own in that of the program, `vasp/0000`, ...; the folders.

    Raises:
        ValueError: an unknown program, or a folder with inputs of other structures.
    """
    require_program(program)
    refuse_other_inputs(frames, folder)
    made = []
    for k, atoms in enumerate(_ordered(frames)):
        place = folder / program / f"{k:04d}"
        place.mkdir(parents=True, exist_ok=True)
        ase.io.write(place / STRUCTURE, atoms, format="extxyz")
        PROGRAMS[program](atoms, place)
        made.append(place)
    return made


def _ordered(frames: Sequence[Atoms]) -> list[Atoms]:
    """Structures with the atoms of each element together, as POSCAR has them."""
    return [atoms[np.argsort(atoms.get_chemical_symbols(), kind="stable")] for atoms in frames]


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
    periodic.set_constraint()
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
    converged = "aborting loop because EDIFF is reached"
    write_text(folder / LABEL, _READ.format(output="OUTCAR", format="vasp-out", converged=converged))


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
    converged = "convergence has been achieved"
    write_text(folder / LABEL, _READ.format(output="espresso.pwo", format="espresso-out", converged=converged))


def _gpaw(atoms: Atoms, folder: Path) -> None:
    write_text(folder / LABEL, _LABEL.format(cutoff=CUTOFF, kpts=mesh(atoms)))


PROGRAMS: dict[str, Callable[[Atoms, Path], None]] = {"vasp": _vasp, "espresso": _espresso, "gpaw": _gpaw}
