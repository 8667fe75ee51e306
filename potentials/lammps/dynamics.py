"""Input of molecular dynamics in LAMMPS that can be stopped and continued, and the frames and tables it leaves.

A start of LAMMPS at step S (0, or the step of a restart file) writes `STEM.S.log` and `STEM.S.dump`. What a later start
writes counts from its own first step on: the steps that a killed run made after its last restart file are dropped.
`restart` alternates between two files; the newer one that is complete is read.

The quantity that LAMMPS calls conserved (`econserve`) drifts with an isotropic barostat, about 1 meV/atom/ps in silicon
at 600 K, while it is constant with the other two and in ASE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.potentials.lammps.deformed_cells import print_state, printed_state
from rhopot.potentials.lammps.dynamics_settings import (
    BAROSTAT_STEPS,
    THERMOSTAT_STEPS,
    DynamicsSettings,
    Ended,
    Limits,
    pairs_of,
)
from rhopot.potentials.lammps.input_decks import DataFile, header, number
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.relaxation import BAR_PER_GPA
from rhopot.potentials.units import Floats

MAGIC = b"LammpS RestartT"  # at the end of a restart file that is complete
TAG = "rhopot_start"
COMPARED = "compared.dump"
_BOX = {"isotropic": "iso", "anisotropic": "aniso", "full": "tri", "z": "z"}
_THERMO = "step temp pe ke etotal econserve press vol cella cellb cellc cellalpha cellbeta cellgamma"
_HALTED = re.compile(r"Fix halt condition for fix-id (\S+) met on step (\d+) with value (\S+)")


def dynamics_input(
    data: DataFile,
    pair: PairStyle,
    settings: DynamicsSettings,
    limits: Limits,
    stem: str,
    restart: str | None = None,
    added: Sequence[str] = (),
    numbered: bool = False,
) -> str:
    """Input of a run from the structure and velocities of `data`, or on from the file `restart`.

    added: lines after those of the integrator; numbered: each restart file has a name of its own, `STEM.restart.STEP`
    """
    if restart is None:
        text = header(data, pair)
        box = ["change_box all triclinic"] if settings.cell_changes and settings.barostat == "full" else []
    else:
        text, box = "\n".join([f"read_restart {restart}", *pair.lines(data.symbols)]) + "\n", []
    columns = _THERMO + (" v_sigma" if limits.uncertainty is not None else "")
    if settings.held:
        box += [f"group held id <= {settings.held}", "group moving subtract all held", "compute kelvin moving temp"]
        columns = columns.replace("temp", "c_kelvin", 1)
    lines = [
        *box,
        f"timestep {settings.timestep / 1000:.12g}",
        f"log {stem}.$(step).log",
        *_integrator(settings, restarted=restart is not None),
        *added,
        *_halts(data, settings, limits),
        f"thermo {settings.every}",
        f"thermo_style custom {columns}",
        "thermo_modify format float %.15g flush yes lost error",
        f"dump frames all custom {settings.every} {stem}.$(step).dump id xu yu zu vx vy vz fx fy fz",
        "dump_modify frames sort id format float %.17g flush yes",
        f"restart {settings.checkpoint} {stem}.restart." + ("*" if numbered else f"a {stem}.restart.b"),
        f"run {settings.steps} upto start 0 stop {settings.steps}",
        f"write_restart {stem}.restart." + ("*" if numbered else "end"),
    ]
    return text + "\n".join(lines) + "\n"


def comparison_input(data: DataFile, pair: PairStyle, timestep_fs: float, steps: int) -> str:
    """Input that prints energy and pressure of the structure of `data` and dumps it, before and after NVE steps."""
    lines = [
        *printed_state(),
        "run 0",
        print_state(TAG),
        f"timestep {timestep_fs / 1000:.12g}",
        "fix integrate all nve",
        f"dump frames all custom {steps} {COMPARED} id xu yu zu vx vy vz fx fy fz",
        "dump_modify frames sort id format float %.17g",
        f"run {steps}",
    ]
    return header(data, pair) + "\n".join(lines) + "\n"


def newest_restart(folder: Path, stem: str) -> str | None:
    """Name of the newest complete restart file in the folder, None without one."""
    files = sorted(folder.glob(f"{stem}.restart.*"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    return next((file.name for file in files if MAGIC in file.read_bytes()[-64:]), None)


def remove_run(folder: Path, stem: str) -> None:
    """Remove what earlier runs left: logs, dumps and restart files."""
    for pattern in (f"{stem}.*.log", f"{stem}.*.dump", f"{stem}.restart.*"):
        for file in folder.glob(pattern):
            file.unlink()


def last_step(folder: Path, stem: str) -> int:
    """Last step that a running LAMMPS has written to its log, 0 without one."""
    parts = _parts(folder, stem, "log")
    rows = _rows(parts[-1][1]) if parts else []
    return int(rows[-1][0]) if rows else 0


def read_thermo(folder: Path, stem: str, settings: DynamicsSettings) -> Floats:
    """Table (rows, columns of `THERMO`) of a run in units of the columns; NaN where LAMMPS gives nothing."""
    table: dict[int, list[float]] = {}
    for start, path in _parts(folder, stem, "log"):
        table = {step: row for step, row in table.items() if step < start}
        table |= {int(row[0]): row for row in _rows(path) if int(row[0]) % settings.every == 0}
    found = []
    for step, row in sorted(table.items()):
        _, temperature, potential, kinetic, total, conserved, pressure, volume, *cell = row
        sigma = cell[6] if len(cell) > 6 else np.nan
        time = step * settings.timestep / 1000.0
        values = [temperature, potential, kinetic, total, conserved, pressure / BAR_PER_GPA, volume]
        found.append([step, time, *values, *cell[:6], sigma])
    return np.array(found)


@dataclass(frozen=True)
class Snapshot:
    """One frame of a dump, in the axes of ASE: positions (N, 3) in A, unwrapped, and velocities in ASE units."""

    step: int
    cell: Floats
    positions: Floats
    velocities: Floats
    forces: Floats

    def applied(self, atoms: Atoms) -> Atoms:
        """Copy of `atoms` in this state; the cell changes where it is periodic in three directions."""
        copy = atoms.copy()
        copy.positions = self.positions
        if all(atoms.pbc):
            copy.set_cell(self.cell)
        copy.set_velocities(self.velocities)
        copy.calc = SinglePointCalculator(copy, forces=self.forces)
        return copy


def read_snapshots(folder: Path, stem: str, data: DataFile) -> Iterator[Snapshot]:
    """Frames of a run in order of their steps; a frame that a killed run left unfinished is left out."""
    parts = _parts(folder, stem, "dump")
    for k, (_, path) in enumerate(parts):
        end = parts[k + 1][0] if k + 1 < len(parts) else None
        for snapshot in read_dump_frames(path, data):
            if end is not None and snapshot.step >= end:
                break
            yield snapshot


def read_dump_frames(path: Path, data: DataFile) -> Iterator[Snapshot]:
    """Complete frames of a dump with columns id xu yu zu vx vy vz fx fy fz, sorted by id."""
    with path.open(encoding="utf-8") as file:
        while True:
            head = [file.readline() for _ in range(9)]
            if not head[8].startswith("ITEM: ATOMS") or not head[8].endswith("\n"):
                return
            lines = [file.readline() for _ in range(int(head[3]))]
            if not lines[-1].endswith("\n"):
                return
            numbers = np.array([line.split() for line in lines], dtype=np.float64)[:, 1:]
            origin, lattice = _box(head[4], head[5:8])
            positions, velocities, forces = np.moveaxis(numbers.reshape(len(lines), 3, 3), 1, 0)
            velocities, forces = velocities @ data.rotation / (1000.0 * units.fs), forces @ data.rotation
            yield Snapshot(
                int(head[1]), lattice @ data.rotation, data.out_of_box(positions - origin), velocities, forces
            )


def how_it_ended(folder: Path, stem: str, settings: DynamicsSettings, limits: Limits, error: str = "") -> Ended | None:
    """How the last start of LAMMPS ended; `error`: its error line. None where the error is not of the dynamics."""
    start, log = _parts(folder, stem, "log")[-1] if _parts(folder, stem, "log") else (0, None)
    text = log.read_text(encoding="utf-8", errors="replace") if log is not None else ""
    step = max(start, last_step(folder, stem))
    halted = _HALTED.search(text)
    if halted is not None:
        name, step = halted.group(1), int(halted.group(2))
        if name == "uncertain":
            return Ended(
                step,
                name,
                f"the largest force uncertainty is {float(halted.group(3)):.3g} eV/A, above {limits.uncertainty:g}",
            )
        if name == "nan":
            return Ended(step, name, "the energy is not a finite number")
        pair = name.removeprefix("closest_").replace("_", "-")
        return Ended(step, "closest", f"two atoms {pair} are closer than {limits.closest[pair]:.3g} A")
    if not error:
        return Ended(settings.steps)
    if "Lost atoms" in error or "out of range" in error.lower():
        return Ended(step, "lost", f"atoms were lost ({error.removeprefix('ERROR: ')})")
    if "tilted box too far" in error:
        return Ended(
            step,
            "tilted",
            "the cell is tilted further than LAMMPS allows; give --barostat isotropic or anisotropic for a liquid, a "
            "less skewed cell of a crystal",
        )
    if "Non-numeric" in error or "finite" in error or "NaN" in error:
        return Ended(
            step, "nan", f"positions, pressure or energy are no finite numbers ({error.removeprefix('ERROR: ')})"
        )
    return None


def _integrator(settings: DynamicsSettings, *, restarted: bool) -> list[str]:
    """The fix that moves the atoms; its name stays, so that a restart file finds its state.

    The random numbers of a Langevin thermostat are in no restart file: those after a restart have another seed.
    """
    if settings.ensemble == "nve":
        return ["fix integrate all nve"]
    first, last = (number(value) for value in settings.temperature)
    if settings.thermostat == "langevin":
        seed = f"$(step+{settings.seed + 1}:%d)" if restarted else str(settings.seed + 1)
        return [
            f"fix heat all langevin {first} {last} $({THERMOSTAT_STEPS}.0*dt) {seed}",
            "fix integrate all nve",
            "fix center all momentum 1 linear 1 1 1",
        ]
    thermostat = f"temp {first} {last} $({THERMOSTAT_STEPS}.0*dt)"
    if settings.ensemble == "nvt":
        return [f"fix integrate {'moving' if settings.held else 'all'} nvt {thermostat}"]
    pressure = number(settings.pressure * BAR_PER_GPA)
    barostat = f"{_BOX[settings.barostat]} {pressure} {pressure} $({BAROSTAT_STEPS}.0*dt)"
    # A flip changes the basis of the lattice, and neither edges nor displacements can be compared between frames before
    # and after; without flips LAMMPS ends where an edge is tilted by more than 1.5 of another.
    flip = " flip no" if settings.barostat == "full" else ""
    if settings.ensemble == "nph":
        return [f"fix integrate all nph {barostat}{flip} pchain 0"]  # no thermostat of the barostat either
    return [f"fix integrate all npt {thermostat} {barostat}{flip}"]


def _halts(data: DataFile, settings: DynamicsSettings, limits: Limits) -> list[str]:
    """Fixes that end the run; they are looked at when a frame is written."""
    every = settings.every
    lines = ['variable notanumber equal "pe != pe"', f"fix nan all halt {every} v_notanumber == 1 error soft"]
    types = {symbol: [k for k, each in enumerate(data.symbols, 1) if each == symbol] for symbol in data.symbols}
    for name, a, b in pairs_of(data.symbols):
        if name not in limits.closest:
            continue
        word = name.replace("-", "_")
        lines += [
            f"group of_{word} type {' '.join(map(str, types[a]))}",
            f"compute near_{word} of_{word} coord/atom cutoff {number(limits.closest[name])} "
            f"{_type_range(types[b], len(data.symbols))}",
            f"compute most_{word} of_{word} reduce max c_near_{word}",
            f"variable near_{word} equal c_most_{word}",
            f"fix closest_{word} all halt {every} v_near_{word} > 0 error soft",
        ]
    if limits.uncertainty is not None:
        lines += [
            f"fix sigma all pair {every} rhopot uncertainty 1",
            "compute worst all reduce max f_sigma",
            "variable sigma equal c_worst",
            f"fix uncertain all halt {every} v_sigma > {number(limits.uncertainty)} error soft",
        ]
    return lines


def _type_range(types: list[int], count: int) -> str:
    """Types as `compute coord/atom` counts them together: one, or all where they are all."""
    if len(types) == 1:
        return str(types[0])
    if len(types) == count:
        return "*"
    raise ValueError(
        f"atoms of one element must have one mass where closest approaches are watched in LAMMPS, got {len(types)} "
        "isotopes; give --closest 0, or --engine ase"
    )


def _parts(folder: Path, stem: str, ending: str) -> list[tuple[int, Path]]:
    """First step and file of each start of LAMMPS, in order."""
    pattern = re.compile(rf"{re.escape(stem)}\.(\d+)\.{ending}")
    found = [(pattern.fullmatch(file.name), file) for file in folder.glob(f"{stem}.*.{ending}")]
    return sorted((int(match.group(1)), file) for match, file in found if match is not None)


def _rows(path: Path) -> list[list[float]]:
    """Rows of the thermo table of a log; unfinished ones are left out."""
    rows: list[list[float]] = []
    columns = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        words = line.split()
        if words[:1] == ["Step"]:
            columns = len(words)
        elif columns and len(words) == columns and words[0].isdigit() and line.endswith("\n"):
            rows.append([float(word) for word in words])
    return rows


def _box(title: str, lines: list[str]) -> tuple[Floats, Floats]:
    """Origin (3,) and lower-triangular lattice (3, 3) of the box of a dump (`Howto triclinic` of LAMMPS)."""
    bounds = np.array([[float(word) for word in line.split()] for line in lines])
    xy, xz, yz = bounds[:, 2] if "xy xz yz" in title else (0.0, 0.0, 0.0)
    low = bounds[:, 0] - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = bounds[:, 1] - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    size = high - low
    return low, np.array([[size[0], 0.0, 0.0], [xy, size[1], 0.0], [xz, yz, size[2]]])
