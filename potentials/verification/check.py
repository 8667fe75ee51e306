"""The promise of a model file: the same structure has the same energy, forces and stress everywhere.

Compared for one structure, displaced from its symmetric sites:

    ASE against finite differences of its own energy          forces, stress, pressure at other volumes
    ASE on a GPU against ASE on the processor                 energy, forces, where there is a GPU
    LAMMPS on 1, 2, 4 ranks against ASE                       energy, per-atom energies, forces, virial
                                                              (energies of atoms where the model has them)
    LAMMPS after dynamics, several neighbor-list builds        energy and forces of the last step against ASE
    LAMMPS at constant energy                                 drift of the total energy

The dynamics makes atoms cross sub-domains and lists be rebuilt, so a list or a type that outlives its time is seen.
Global models stand on a grid that is fixed in space along open directions: both programs get such
structures in one place and orientation, that which LAMMPS wants.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator

from rhopot.export import ModelCard, RhopotCalculator
from rhopot.potentials.device import find_device
from rhopot.potentials.lammps.input_decks import (
    BAR_PER_EV_PER_CUBIC_ANGSTROM,
    DataFile,
    lammps_frame,
    static,
    write_data,
)
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsRun, read_dump, run_lammps
from rhopot.potentials.properties.md import energy_drift
from rhopot.potentials.runs.stability import training_molecule
from rhopot.potentials.structures.prototypes import enlarged, sample_structure
from rhopot.potentials.units import LAMMPS_VOIGT, MEV_PER_EV, from_voigt
from rhopot.potentials.verification.finite_differences import numerical_forces, numerical_stress

TIMESTEP_FS = 0.5
EVERY = 5

# Of what potential and kinetic energy exchange, the total energy of Verlet's method oscillates by less than this part;
# in a short run that looks like a drift. It is (frequency x time step)^2 / 8; the frequency follows from the mass (u)
# of the lightest atoms, and is at least that of silicon.
OSCILLATION, SILICON = 5e-4, 28.0

# Time steps and least number of atoms, by the kind of model: a global one takes a second where a local one takes a
# millisecond.
STEPS = {"local": 200, "global": 60}
ATOMS = {"local": 64, "global": 32}
FEWEST, FEWEST_PERIODIC = 2, 8  # atoms that can move against each other; of the supercell of a smaller structure
HOT_SECONDS = 10.0  # most processor time of the hot dynamics of one structure

VOLUMES = (0.9, 0.95, 1.05, 1.1)  # of the volume of a structure, where its pressure is compared with E(V)

SKIN = 0.2  # A; thinner for runs so short that atoms would not cross half of it several times


@dataclass(frozen=True)
class Limits:
    """Largest accepted differences; energies eV/atom, forces eV/A, virial eV/atom, drift meV/atom/ps."""

    energy: float
    forces: float
    virial: float
    derivative: float
    drift: float

    @classmethod
    def of(cls, dtype: str) -> Limits:
        """Limits for a model that computes in `dtype`: those of float32 are its rounding over a few hundred terms."""
        if dtype == "float64":
            return cls(energy=1e-9, forces=1e-8, virial=1e-8, derivative=1e-5, drift=1.0)
        return cls(energy=1e-5, forces=1e-3, virial=1e-3, derivative=2e-2, drift=5.0)


@dataclass(frozen=True)
class CheckResult:
    """One comparison: what, the largest difference, its limit and unit."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """True when the difference is a number within the limit."""
        return bool(np.isfinite(self.value) and self.value <= self.limit)


def structure_for(card: ModelCard, atoms: Atoms | None = None, name: str = "structure") -> Atoms:
    """The structure that a check compares: `atoms`, or a crystal of the model's elements.

    In place of the crystal, models of molecules get the largest of the training structures in their file.

    A periodic structure with few atoms is repeated, so that it can move and be divided among ranks.

    Raises ValueError, with `name`, for one that is not periodic and has one atom.
    """
    if atoms is None:
        molecule = training_molecule(card)
        if molecule is not None:
            return molecule
        return sample_structure(card.symbols, min_atoms=ATOMS[card.kind])
    if len(atoms) < FEWEST and not atoms.pbc.any():
        raise ValueError(
            f"structure must be periodic or hold at least {FEWEST} atoms, got {name} with {len(atoms)}; give another"
        )
    return enlarged(atoms, FEWEST_PERIODIC) if len(atoms) < FEWEST else atoms


def check_model(
    model: str | Path | PairStyle,
    atoms: Atoms,
    calculator: Calculator,
    *,
    symbols: Sequence[str],
    dtype: str = "float64",
    ranks: Sequence[int] = (1, 2, 4),
    steps: int = 200,
    temperature: float = 600.0,
    lmp: Sequence[str] | None = None,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> list[CheckResult]:
    """Run every comparison and return all findings, failed ones included.

    model: path of the file, or the pair style of a potential that is none (`calculator` is the same potential in ASE).
    atoms: structure to compare, displaced by 0.03 A at random first; symbols: elements of the model, which become the
    LAMMPS types in reverse order, so that a plugin that confuses types with species is seen.
    lmp: command that starts LAMMPS (default: that of this environment).
    device: of LAMMPS: cpu, cuda or auto (see `find_device`); ASE, which everything is held against, stays where
    `calculator` computes.
    """
    on_gpu = not isinstance(model, PairStyle) and find_device(device, "device").type == "cuda"
    limits = Limits.of(dtype)
    displaced = atoms.copy()
    displaced.rattle(0.03, seed=1)
    # How other potentials share the energy among atoms may differ between the programs.
    of_atoms = "energies" in calculator.implemented_properties and not isinstance(model, PairStyle)
    if not (of_atoms or all(displaced.pbc)):
        displaced, _ = lammps_frame(displaced)
    displaced.calc = calculator
    say = progress if progress is not None else lambda text: None
    say("ASE against finite differences")
    findings = _against_differences(displaced, limits, dtype)
    if on_gpu and not isinstance(model, PairStyle):
        say("ASE on the GPU")
        findings += _on_gpu(model, displaced, limits)
    pair = model if isinstance(model, PairStyle) else PairStyle.of_model(Path(model).resolve(), f"device {device}")
    with tempfile.TemporaryDirectory(prefix="rhopot-check-") as name:
        folder = Path(name)
        data = write_data(folder / "structure.data", displaced, tuple(reversed(symbols)))
        for count in ranks:
            say(f"LAMMPS on {count} rank(s)")
            deck = static(data, pair, "static.dump", energies_of_atoms=of_atoms) + _moving(
                displaced, steps, temperature
            )
            run = run_lammps(deck, folder, ranks=count, lmp=lmp, name=f"in.{count}")
            findings += _static_findings(displaced, data, run, folder, count, limits, of_atoms)
            findings += _moving_findings(displaced, data, run, folder, count, limits)
    return findings


def _against_differences(atoms: Atoms, limits: Limits, dtype: str) -> list[CheckResult]:
    """Forces of up to four atoms and the stress, relative to the largest component (or 1 in their unit)."""
    step = 1e-3 if dtype == "float64" else 2e-2
    rows = np.linspace(0, len(atoms) - 1, min(4, len(atoms))).astype(int)
    forces = atoms.get_forces()
    error = np.abs(numerical_forces(atoms, rows, step) - forces[rows]).max() / max(1.0, np.abs(forces).max())
    findings = [CheckResult("ASE forces = finite differences", float(error), limits.derivative, "relative")]
    if all(atoms.pbc):
        stress = from_voigt(atoms.get_stress())
        difference = np.abs(numerical_stress(atoms, step / 10) - stress).max() * atoms.get_volume() / len(atoms)
        findings.append(CheckResult("ASE virial = finite differences", float(difference), limits.derivative, "eV/atom"))
        findings.append(_along_the_volume(atoms, limits, 1e-5 if dtype == "float64" else 2e-3))
    return findings


def _along_the_volume(atoms: Atoms, limits: Limits, step: float) -> CheckResult:
    """The trace of the virial against dE/d(strain) of the curve E(V), at `VOLUMES` of the structure's; eV/atom."""

    def scaled(factor: float) -> Atoms:
        other = atoms.copy()
        other.set_constraint()
        other.set_cell(factor * atoms.cell.array, scale_atoms=True)
        other.calc = atoms.calc
        return other

    worst = 0.0
    for volume in VOLUMES:
        factor = volume ** (1.0 / 3.0)
        here = scaled(factor)
        trace = float(from_voigt(here.get_stress()).trace()) * here.get_volume()
        above, below = (scaled(factor * (1.0 + sign * step)).get_potential_energy() for sign in (1, -1))
        worst = max(worst, abs((above - below) / (2.0 * step) - trace) / len(atoms))
    return CheckResult(
        f"ASE pressure = -dE/dV from {VOLUMES[0]:g} to {VOLUMES[-1]:g} V", worst, limits.derivative, "eV/atom"
    )


def _on_gpu(model: str | Path, atoms: Atoms, limits: Limits) -> list[CheckResult]:
    """Energy and forces of a calculator on the GPU against those of `atoms`."""
    there = atoms.copy()
    there.calc = RhopotCalculator(model, device="cuda")
    energy = abs(there.get_potential_energy() - atoms.get_potential_energy()) / len(atoms)
    difference = _largest(there.get_forces(), atoms.get_forces())
    return [
        CheckResult("ASE on the GPU: energy", energy, limits.energy, "eV/atom"),
        CheckResult("ASE on the GPU: forces", difference, limits.forces, "eV/A"),
    ]


def _moving(atoms: Atoms, steps: int, temperature: float) -> str:
    """Deck lines after the static ones: NVE with a thin skin, so that lists are rebuilt several times."""
    speed = float(np.sqrt(3.0 * units.kB * temperature / atoms.get_masses().min()))  # ASE units, of the lightest atoms
    travelled = speed * steps * TIMESTEP_FS * units.fs
    lines = [
        "undump result",
        f"neighbor {min(SKIN, travelled / 3.0):.6g} bin",
        "neigh_modify every 1 delay 0 check yes",
        f"timestep {TIMESTEP_FS / 1000:g}",
        f"velocity all create {2 * temperature:g} 4711 mom yes rot no dist gaussian loop geom",
        "fix integrate all nve",
        f"thermo {EVERY}",
        "thermo_style custom step pe etotal",
        "thermo_modify format float %.17g",
        f"dump last all custom {steps} moved.dump id type x y z fx fy fz",
        "dump_modify last sort id format float %.17g",
        f"run {steps}",
    ]
    return "\n".join(lines) + "\n"


def _static_findings(
    atoms: Atoms, data: DataFile, run: LammpsRun, folder: Path, count: int, limits: Limits, of_atoms: bool
) -> list[CheckResult]:
    """Energy, per-atom energies (`of_atoms`), forces and virial of the undisturbed structure against ASE."""
    where = f"LAMMPS, {count} rank(s)"
    energy, *pressure = run.printed("rhopot_static")
    forces = read_dump(folder / "static.dump", ["fx", "fy", "fz"]) @ data.rotation
    n_atoms = len(atoms)
    findings = [
        CheckResult(f"{where}: energy", abs(energy - atoms.get_potential_energy()) / n_atoms, limits.energy, "eV/atom"),
        CheckResult(f"{where}: forces", _largest(forces, atoms.get_forces()), limits.forces, "eV/A"),
    ]
    if of_atoms:
        energies = read_dump(folder / "static.dump", ["c_atom_energy"])[:, 0]
        difference = _largest(energies, atoms.get_potential_energies())
        findings.append(CheckResult(f"{where}: per-atom energies", difference, 10 * limits.energy, "eV"))
    if all(atoms.pbc):
        tensor = from_voigt(np.array(pressure), LAMMPS_VOIGT) / BAR_PER_EV_PER_CUBIC_ANGSTROM
        stress = -data.rotation.T @ tensor @ data.rotation
        difference = _largest(stress, from_voigt(atoms.get_stress())) * atoms.get_volume() / n_atoms
        findings.append(CheckResult(f"{where}: virial", difference, limits.virial, "eV/atom"))
    return findings


def _moving_findings(
    atoms: Atoms, data: DataFile, run: LammpsRun, folder: Path, count: int, limits: Limits
) -> list[CheckResult]:
    """Last step of the dynamics against ASE, the number of neighbor-list builds and the drift of the total energy."""
    where = f"LAMMPS, {count} rank(s), after NVE"
    table = read_dump(folder / "moved.dump", ["x", "y", "z", "fx", "fy", "fz"])
    thermo = run.thermo()
    moved = atoms.copy()
    moved.calc = atoms.calc
    moved.positions = table[:, :3] @ data.rotation
    forces = table[:, 3:] @ data.rotation
    energy = abs(thermo["PotEng"][-1] - moved.get_potential_energy()) / len(atoms)
    time = thermo["Step"] * TIMESTEP_FS / 1000
    drift = abs(energy_drift(time, thermo["TotEng"], len(atoms)))
    exchanged = MEV_PER_EV * np.ptp(thermo["PotEng"]) / len(atoms)
    oscillation = OSCILLATION * max(SILICON / float(atoms.get_masses().min()), 1.0)
    builds = [int(number) for number in re.findall(r"Neighbor list builds = (\d+)", run.text)]
    return [
        CheckResult(f"{where}: energy", energy, limits.energy, "eV/atom"),
        CheckResult(f"{where}: forces", _largest(forces, moved.get_forces()), limits.forces, "eV/A"),
        CheckResult(f"{where}: neighbor-list builds missing", float(max(0, 2 - builds[-1])), 0.0, "builds"),
        CheckResult(f"{where}: drift", drift, max(limits.drift, oscillation * exchanged / time[-1]), "meV/atom/ps"),
    ]


def _largest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())
