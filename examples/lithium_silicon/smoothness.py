"""Smoothness of a global model: discretization errors of its energies and forces.

    python examples/lithium_silicon/smoothness.py MODEL.PT [--structure data.xyz] [--ranks 2] [--output FOLDER]

Prints, in meV per atom unless said otherwise

    translation    change of the energy when all atoms are shifted at random
    cells          change when the same crystal is given by another cell: doubled, and sheared by one vector
    net force      |sum of all forces| per atom, eV/A
    E(V)           edges from -9 % to +9 % in 73 steps: departure of each energy from the cubic through its four
                   neighbours; a jump shows as half of it
    constant pressure   the same along a run in LAMMPS with a changing box, and the range of the conserved quantity

and draws E(V) and the run. The structure is the last frame of the file (default: Li8Si24_0 of the data).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.build import make_supercell

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.console import make_console
from rhopot.potentials.lammps.input_decks import npt, write_data
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.units import MEV_PER_EV

ROOT = Path(__file__).resolve().parents[2]
STRUCTURE = ROOT / "examples/data/lisi_gpaw/Li8Si24_0.xyz"
EDGES = np.linspace(0.91, 1.09, 73)


def departures(values: np.ndarray) -> np.ndarray:
    """Each inner value minus the cubic through its two neighbours on either side."""
    return values[2:-2] - (4 * (values[1:-3] + values[3:-1]) - values[:-4] - values[4:]) / 6


def in_words(values: np.ndarray) -> str:
    """Root mean square and largest of numbers that should be zero."""
    return f"{np.sqrt(np.mean(values**2)):.2g}, largest {np.abs(values).max():.2g}"


def translations(atoms: ase.Atoms, calculator: RhopotCalculator, count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Changes of the energy (meV/atom) under random shifts, and net forces (eV/A per atom) there."""
    random = np.random.default_rng(0)
    reference = calculator.get_potential_energy(atoms)
    changes, net = [], []
    for _ in range(count):
        moved = atoms.copy()
        moved.positions += random.uniform(-1.0, 1.0, 3)
        changes.append(calculator.get_potential_energy(moved) - reference)
        net.append(np.linalg.norm(calculator.get_forces(moved).sum(axis=0)))
    return MEV_PER_EV * np.array(changes) / len(atoms), np.array(net) / len(atoms)


def other_cells(atoms: ase.Atoms, fresh: Callable[[], RhopotCalculator]) -> np.ndarray:
    """Changes of the energy (meV/atom) in a doubled and in a sheared cell, each with grids of its own."""
    cells = ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    made = [make_supercell(atoms, np.array(cell)) for cell in cells]
    energies = np.array([fresh().get_potential_energy(cell) / len(cell) for cell in made])
    return MEV_PER_EV * (energies[1:] - energies[0])


def energies_of_edges(atoms: ase.Atoms, calculator: RhopotCalculator) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (A^3) and energies (eV) per atom of scaled cells, prepared for the largest."""
    cells = [atoms.cell.array * edge for edge in EDGES]
    found = AseEngine(calculator).in_cells(atoms, cells, relax=False, fmax=0.0)
    return atoms.get_volume() * EDGES**3 / len(atoms), found.energies / len(atoms)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--structure", type=Path, default=STRUCTURE)
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--steps", type=int, default=300, help="of 0.5 fs in LAMMPS")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/smoothness")
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    atoms = ase.io.read(options.structure, -1)
    atoms = ase.Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    changes, net = translations(atoms, RhopotCalculator(options.model))
    console.print(f"translation: {in_words(changes)} meV/atom; net force: {in_words(net)} eV/A per atom")
    doubled, sheared = other_cells(atoms, lambda: RhopotCalculator(options.model))
    console.print(f"cells: doubled {doubled:+.2g}, sheared {sheared:+.2g} meV/atom")
    volumes, energies = energies_of_edges(atoms, RhopotCalculator(options.model))
    console.print(f"E(V), edges -9 % to +9 %: {in_words(MEV_PER_EV * departures(energies))} meV/atom from a cubic")
    above, figure = energies - energies.min(), options.output / "energy_volume.png"
    console.print(f"{plots.energy_path(figure, volumes, above, xlabel='volume (Å³/atom)')}")
    data = replace(write_data(options.output / "start.data", atoms), path=Path("start.data"))
    settings = {"temperature": options.temperature, "timestep_fs": 0.5, "steps": options.steps, "every": 1}
    deck = npt(data, options.model.resolve(), pressure_bar=0.0, **settings)
    thermo = run_lammps(deck, options.output, ranks=options.ranks, name="in.npt", timeout=24 * 3600).thermo()
    potential, volume = MEV_PER_EV * thermo["PotEng"] / len(atoms), thermo["Volume"]
    console.print(
        f"constant pressure, {options.steps} steps, volume changed by {100 * np.ptp(volume) / volume[0]:.1f} %: "
        f"{in_words(departures(potential))} meV/atom from a cubic; conserved within "
        f"{MEV_PER_EV * np.ptp(thermo['Econserve']) / len(atoms):.2g} meV/atom"
    )
    time = thermo["Step"] * 0.5e-3
    panels = {"potential energy (meV/atom)": {"E": potential - potential[0]}, "volume (A^3)": {"V": volume}}
    console.print(f"{plots.time_series(options.output / 'constant_pressure.png', time, panels, 'constant pressure')}")


if __name__ == "__main__":
    main()
