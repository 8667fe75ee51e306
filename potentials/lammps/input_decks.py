"""LAMMPS data files and input decks: written once, used by every workflow, example and check.

A deck is text: `header` has the lines that do not change from use to use (units, atom style, reading the structure,
pair style) and the functions below it add what a run does. Units are `metal`: A, eV, ps, bar.

LAMMPS wants a along x and b in the xy plane; `write_data` rotates the structure accordingly (a left-handed cell is also
reflected) and returns the rotation, with which vectors are brought back: v_ase = v_lammps @ rotation. A structure with
open sides is also moved into the middle of a box of its own, which `DataFile.out_of_box` undoes for positions.

Masses are those of the atoms. LAMMPS has one mass per type, so isotopes become types of their own, after those of the
elements; `DataFile.symbols` names the element of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers

from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.units import Floats

BAR_PER_EV_PER_CUBIC_ANGSTROM = 1.6021765e6  # as rounded by LAMMPS (`nktv2p` of metal units)

MARGIN = 10.0  # A between the atoms and the ends of a box, in directions without periodicity


@dataclass(frozen=True)
class DataFile:
    """A structure as LAMMPS reads it.

    rotation (3, 3): v_ase = v_lammps @ rotation; symbols: element of LAMMPS type 1, 2, ...; shift (3,): A, from the
    structure to the middle of its box, in the axes of ASE, zero where all sides are periodic
    """

    path: Path
    rotation: np.ndarray
    symbols: tuple[str, ...]
    pbc: tuple[bool, bool, bool]
    shift: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def into_box(self, positions: Floats) -> Floats:
        """Positions (..., 3) in A of the structure's atoms, as LAMMPS has them."""
        return np.asarray((positions + self.shift) @ self.rotation.T)

    def out_of_box(self, positions: Floats) -> Floats:
        """Positions (..., 3) in A that LAMMPS has, where the structure stands."""
        return np.asarray(positions @ self.rotation - self.shift)


def write_data(
    path: str | Path, atoms: Atoms, symbols: Sequence[str] | None = None, margin: float = MARGIN
) -> DataFile:
    """Write `atoms` as a LAMMPS data file (atom_style atomic), ids in the order of `atoms`.

    symbols: element of each LAMMPS type (default: the elements of `atoms`, sorted); types of further isotopes follow.
    Directions without periodicity get a box `margin` A larger than the atoms on both sides. Positions, lattice, masses
    and velocities keep all their digits.

    Raises ValueError for elements that `symbols` lacks, and masses that are not positive.
    """
    order = tuple(symbols) if symbols is not None else tuple(sorted(set(atoms.get_chemical_symbols())))
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(order))
    if unknown:
        raise ValueError(
            f"symbols must name every element of the structure, got {order} without {', '.join(unknown)}; add them"
        )
    order, masses, types = _isotopes(atoms, order)
    boxed, rotation = lammps_frame(atoms, margin)
    lattice = boxed.cell.array
    lines = [f"rhopot {boxed.get_chemical_formula()}", "", f"{len(boxed)} atoms", f"{len(order)} atom types", ""]
    lines += [f"0 {number(lattice[k, k])} {name}lo {name}hi" for k, name in enumerate("xyz")]
    tilts = (lattice[1, 0], lattice[2, 0], lattice[2, 1])
    if any(abs(tilt) > 1e-12 for tilt in tilts):
        lines.append(f"{' '.join(number(tilt) for tilt in tilts)} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{index} {number(mass)}" for index, mass in enumerate(masses, 1)]
    lines += ["", "Atoms # atomic", ""]
    lines += [
        f"{i} {kind} {' '.join(map(number, r))}"
        for i, (kind, r) in enumerate(zip(types, boxed.positions, strict=True), 1)
    ]
    if boxed.has("momenta"):
        velocities = boxed.get_velocities() * (1000.0 * units.fs)  # A/ps
        lines += ["", "Velocities", ""]
        lines += [f"{i} {' '.join(map(number, v))}" for i, v in enumerate(velocities, 1)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    shift = np.zeros(3) if all(atoms.pbc) else (boxed.positions @ rotation - atoms.positions).mean(axis=0)
    return DataFile(Path(path), rotation, order, (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])), shift)


def _isotopes(atoms: Atoms, order: tuple[str, ...]) -> tuple[tuple[str, ...], list[float], list[int]]:
    """Element and mass (u) of every type, and the type (from 1) of every atom.

    An element's own type has the mass of most of its atoms; other masses get types at the end.
    """
    masses = atoms.get_masses()
    if not (np.isfinite(masses) & (masses > 0.0)).all():
        wrong = int(np.flatnonzero(~(np.isfinite(masses) & (masses > 0.0)))[0])
        raise ValueError(f"masses must be positive, got {masses[wrong]} for atom {wrong}; set_masses of the structure")
    of_types: list[tuple[str, float]] = []
    further: list[tuple[str, float]] = []
    for symbol in order:
        known, counts = np.unique(masses[atoms.numbers == atomic_numbers[symbol]], return_counts=True)
        by_number = [float(mass) for mass in known[np.argsort(-counts, kind="stable")]]
        of_types.append((symbol, by_number[0] if by_number else float(atomic_masses[atomic_numbers[symbol]])))
        further += [(symbol, mass) for mass in by_number[1:]]
    of_types += further
    types = [
        of_types.index((symbol, float(mass))) + 1
        for symbol, mass in zip(atoms.get_chemical_symbols(), masses, strict=True)
    ]
    return tuple(symbol for symbol, _ in of_types), [mass for _, mass in of_types], types


def lammps_frame(atoms: Atoms, margin: float = MARGIN) -> tuple[Atoms, np.ndarray]:
    """Copy of `atoms` boxed and turned as `write_data` writes it, and the rotation: v_ase = v_lammps @ rotation."""
    boxed = atoms.copy()
    if not all(boxed.pbc):
        _box(boxed, margin)
    lattice, rotation = triangular(boxed.cell.array)
    boxed.set_cell(lattice)
    boxed.positions = boxed.positions @ rotation.T
    if boxed.has("momenta"):
        boxed.set_momenta(boxed.get_momenta() @ rotation.T, apply_constraint=False)
    return boxed, rotation


def header(data: DataFile, model: str | Path | PairStyle, options: str = "") -> str:
    """First lines of every deck: units, boundary, structure and pair style (rhopot for the path of a model).

    `options` follows the name of the pair style rhopot. Non-periodic directions are `f` (fixed walls: atoms must stay
    inside).
    """
    pair = model if isinstance(model, PairStyle) else PairStyle.of_model(model, options)
    boundary = " ".join("p" if periodic else "f" for periodic in data.pbc)
    lines = [
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        "newton on",
        f"boundary {boundary}",
        f"read_data {data.path}",
        *pair.lines(data.symbols),
    ]
    return "\n".join(lines) + "\n"


def static(
    data: DataFile, model: str | Path | PairStyle, dump: str | Path, options: str = "", energies_of_atoms: bool = True
) -> str:
    """Deck of one energy, force and stress evaluation.

    Prints `rhopot_static <energy eV> <pxx pyy pzz pxy pxz pyz bar>` and dumps forces by id, with the energies of atoms
    where the model has them (`energies_of_atoms`).
    """
    return (
        header(data, model, options)
        + "\n".join(
            [
                *(["compute atom_energy all pe/atom"] if energies_of_atoms else []),
                "compute pressure all pressure NULL virial",
                "thermo_style custom step pe c_pressure[1]",
                f"dump result all custom 1 {dump} id type fx fy fz{' c_atom_energy' if energies_of_atoms else ''}",
                "dump_modify result sort id format float %.17g",
                "run 0",
                "variable energy equal pe",
                *[f"variable p{k} equal c_pressure[{k}]" for k in range(1, 7)],
                'print "rhopot_static $(v_energy:%.17g) ' + " ".join(f"$(v_p{k}:%.17g)" for k in range(1, 7)) + '"',
            ]
        )
        + "\n"
    )


def nve(
    data: DataFile,
    model: str | Path,
    *,
    timestep_fs: float,
    steps: int,
    every: int = 100,
    temperature: float | None = None,
    seed: int = 1,
    options: str = "",
) -> str:
    """Deck of constant-energy dynamics; velocities come from the data file or, with `temperature` (K), are drawn."""
    lines = []
    if temperature is not None:
        lines.append(f"velocity all create {temperature:g} {seed} mom yes rot yes dist gaussian")
    lines += _dynamics(timestep_fs, every, "etotal") + ["fix integrate all nve", f"run {steps}"]
    return header(data, model, options) + "\n".join(lines) + "\n"


def nvt(
    data: DataFile,
    model: str | Path,
    *,
    temperature: float,
    timestep_fs: float,
    steps: int,
    every: int = 100,
    seed: int = 1,
    options: str = "",
) -> str:
    """Deck of constant-temperature dynamics (Nose-Hoover chain, damping 100 time steps)."""
    lines = [f"velocity all create {temperature:g} {seed} mom yes rot yes dist gaussian"]
    lines += _dynamics(timestep_fs, every, "econserve")
    lines += [f"fix integrate all nvt temp {temperature:g} {temperature:g} $(100.0*dt)", f"run {steps}"]
    return header(data, model, options) + "\n".join(lines) + "\n"


def npt(
    data: DataFile,
    model: str | Path,
    *,
    temperature: float,
    pressure_bar: float,
    timestep_fs: float,
    steps: int,
    every: int = 100,
    seed: int = 1,
    options: str = "",
) -> str:
    """Deck of constant-pressure dynamics (isotropic Nose-Hoover barostat, damping 1000 time steps)."""
    lines = [f"velocity all create {temperature:g} {seed} mom yes rot yes dist gaussian"]
    lines += _dynamics(timestep_fs, every, "econserve")
    lines += [
        f"fix integrate all npt temp {temperature:g} {temperature:g} $(100.0*dt) "
        f"iso {pressure_bar:g} {pressure_bar:g} $(1000.0*dt)",
        f"run {steps}",
    ]
    return header(data, model, options) + "\n".join(lines) + "\n"


def _dynamics(timestep_fs: float, every: int, conserved: str) -> list[str]:
    return [
        f"timestep {timestep_fs / 1000:.12g}",
        f"thermo {every}",
        f"thermo_style custom step temp pe {conserved} press vol",
        "thermo_modify format float %.15g",
    ]


def triangular(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower-triangular lattice with positive diagonal, and the orthogonal rotation with cell = lattice @ rotation."""
    q, r = np.linalg.qr(cell.T)
    signs = np.where(np.diag(r) < 0.0, -1.0, 1.0)
    return np.tril((r * signs[:, None]).T), (q * signs).T


def _box(atoms: Atoms, margin: float) -> None:
    """Give directions without periodicity a lattice vector that holds the atoms and `margin` A on both sides."""
    atoms.set_cell(atoms.cell.complete())
    fractions = atoms.get_scaled_positions(wrap=False)
    cell = atoms.cell.array.copy()
    for k in np.flatnonzero(~atoms.pbc):
        length = np.linalg.norm(cell[k])
        wanted = np.ptp(fractions[:, k]) * length + 2 * margin
        middle = 0.5 * (fractions[:, k].min() + fractions[:, k].max())
        cell[k] *= wanted / length
        fractions[:, k] = (fractions[:, k] - middle) * length / wanted + 0.5
    atoms.set_cell(cell)
    atoms.set_scaled_positions(fractions)


def number(value: float) -> str:
    """Shortest form that is read as the same double: 0.05, 300, 1e-05."""
    return repr(float(value)).removesuffix(".0")
