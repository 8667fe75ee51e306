"""Stability at high temperature of the models of the README and the demonstration.

    python examples/md_stability/run.py runs/demo/*/model.pt run1/model.pt [--temperatures 300 500 800] [--ps 20]

Every model runs every alloy of `--alloys` (last frame of a shipped relaxation path, twice along each edge: 256 atoms)
in LAMMPS at each temperature: NVT, Nose-Hoover chain, time step 2 fs. The frames carry forces of 0.5 to 1 eV/A and heat
up as they relax, so temperatures are checked in the second half of a run. It fails when

    temperature      is off by more than 5 % in the mean, or exceeds 1.5 times the thermostat's
    energy           per atom, without the energies of the elements, leaves the range of the training data by more than
                     0.2 eV/atom (below) or that and 3 k T (above)
    closest approach a pair comes closer than 0.7 of its shortest distance in the training data
    silicon          has a mean squared displacement above 2 A^2 in the second half of a run at 300 K

Prints one line per run (and appends it to `--log`), and exits with 1 if one failed. At 800 K silicon diffuses in all
models; its displacement is printed, not checked.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units

from rhopot.export import ModelCard, read_card
from rhopot.potentials.lammps.input_decks import DataFile, header, write_data
from rhopot.potentials.lammps.process import LammpsError, run_lammps
from rhopot.potentials.pair import shortest_distances
from rhopot.potentials.structures import Frame

DATA = Path(__file__).resolve().parents[1] / "data" / "lisi_gpaw"
TIMESTEP = 0.002  # ps
EVERY = 100  # steps between looks
ENERGY_MARGIN = 0.2  # eV/atom
CLOSEST_SHARE = 0.7
HOTTEST, TOLERANCE = 1.5, 0.05  # of the thermostat's temperature: largest, and of the mean
SOLID = 300.0  # K: below, silicon has to stay where it is
DISPLACEMENT = 2.0  # A^2


@dataclass(frozen=True)
class Run:
    """Temperature (K), energy (eV/atom without elements), closest approach (share), squared displacements (A^2)."""

    temperature: np.ndarray
    energy: np.ndarray
    closest: float
    moved: dict[str, np.ndarray]

    def faults(self, card: ModelCard, target: float) -> list[str]:
        """What is wrong with the run, in words; empty where nothing is."""
        low, high = card.training_data.summary["energy_range"]
        half = len(self.temperature) // 2
        found = []
        if self.temperature[half:].max() > HOTTEST * target:
            found.append(f"temperature {self.temperature[half:].max():.0f} K")
        if abs(self.temperature[half:].mean() / target - 1.0) > TOLERANCE:
            found.append(f"mean temperature {self.temperature[half:].mean():.0f} K")
        if self.energy.min() < low - ENERGY_MARGIN:
            found.append(f"energy {self.energy.min():+.2f} eV/atom, the data end at {low:+.2f}")
        if self.energy.max() > high + ENERGY_MARGIN + 3.0 * units.kB * target:
            found.append(f"energy {self.energy.max():+.2f} eV/atom, the data end at {high:+.2f}")
        if self.closest < CLOSEST_SHARE:
            found.append(f"closest approach {self.closest:.2f}")
        if target <= SOLID and self.moved["Si"][-1] - self.moved["Si"][half] > DISPLACEMENT:
            found.append("silicon diffuses")
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every model, alloy and temperature; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--alloys", nargs="+", default=["Li4Si28_0", "Li8Si24_0", "Li16Si16_0", "Li24Si8_0"])
    parser.add_argument("--temperatures", type=float, nargs="+", default=[300.0, 500.0, 800.0], help="K")
    parser.add_argument("--ps", type=float, default=20.0, help="length of each run")
    parser.add_argument("--repeat", type=int, default=2, help="cells along each edge")
    parser.add_argument("--ranks", type=int, default=1, help="MPI ranks of each run")
    parser.add_argument("--log", type=Path, help="file that each line is appended to")
    options = parser.parse_args(arguments)
    failed = 0
    for model in options.models:
        card = read_card(model)
        for alloy in options.alloys:
            atoms = ase.io.read(DATA / f"{alloy}.xyz")
            atoms.calc = None
            for temperature in options.temperatures:
                line, passed = one_run(model, card, atoms.repeat(options.repeat), temperature, options)
                failed += not passed
                print(line, flush=True)
                if options.log is not None:
                    with options.log.open("a", encoding="utf-8") as log:
                        log.write(line + "\n")
    return 1 if failed else 0


def one_run(
    model: Path, card: ModelCard, atoms: Atoms, temperature: float, options: argparse.Namespace
) -> tuple[str, bool]:
    """One line on a run, and whether it held."""
    begin = time.perf_counter()
    what = f"{model.parent.name} ({card.family}), {atoms.get_chemical_formula()}, {temperature:g} K"
    with tempfile.TemporaryDirectory(prefix="rhopot-stability-") as folder:
        data = write_data(Path(folder) / "start.data", atoms)
        text = deck(data, model.resolve(), temperature, round(options.ps / TIMESTEP))
        try:
            output = run_lammps(text, folder, ranks=options.ranks, timeout=7200.0)
        except LammpsError as error:
            return f"{what}: FAILED: {error}", False
        thermo = output.thermo()
        closest = closest_approach(Path(folder) / "frames.xyz", atoms, card)
    elements = sum(card.baseline_energies[symbol] for symbol in atoms.symbols)
    moved = {symbol: thermo[f"c_{symbol}[4]"] for symbol in data.symbols}
    run = Run(thermo["Temp"], (thermo["PotEng"] - elements) / len(atoms), closest, moved)
    faults = run.faults(card, temperature)
    half = len(run.temperature) // 2
    displacements = ", ".join(f"{symbol} {values[-1]:.1f}" for symbol, values in moved.items())
    line = (
        f"{what}, {thermo['Step'][-1] * TIMESTEP:g} ps: {'FAILED: ' + '; '.join(faults) if faults else 'holds'}; "
        f"{run.temperature[half:].mean():.0f} K (at most {run.temperature.max():.0f}), energy {run.energy[0]:+.3f} -> "
        f"{run.energy[-1]:+.3f} ({run.energy.min():+.3f} to {run.energy.max():+.3f}) eV/atom, closest {closest:.2f}, "
        f"squared displacement {displacements} A^2; {time.perf_counter() - begin:.0f} s"
    )
    return line, not faults


def deck(data: DataFile, model: Path, temperature: float, steps: int) -> str:
    """LAMMPS input of one run; it ends early only where LAMMPS does."""
    lines = [f"group {symbol} type {kind}" for kind, symbol in enumerate(data.symbols, 1)]
    lines += [f"compute {symbol} {symbol} msd com yes" for symbol in data.symbols]
    lines += [
        f"velocity all create {temperature:g} 7 mom yes rot yes dist gaussian",
        f"timestep {TIMESTEP:g}",
        f"fix heat all nvt temp {temperature:g} {temperature:g} 0.1",
        f"thermo {EVERY}",
        f"thermo_style custom step temp pe {' '.join(f'c_{symbol}[4]' for symbol in data.symbols)}",
        f"dump frames all custom {EVERY} frames.xyz x y z id",
        "dump_modify frames sort id",
        f"run {steps}",
    ]
    return header(data, model) + "\n".join(lines) + "\n"


def closest_approach(dump: Path, atoms: Atoms, card: ModelCard) -> float:
    """Smallest distance of any frame of a dump, as a share of the shortest one of that pair in the training data."""
    known = card.training_data.summary["shortest_distances"]
    moved = atoms.copy()
    smallest = np.inf
    for block in dump.read_text(encoding="utf-8").split("ITEM: ATOMS x y z id")[1:]:
        rows = block.split("ITEM:")[0].split()
        moved.positions = np.array(rows, dtype=float).reshape(-1, 4)[:, :3]
        found = shortest_distances([Frame(moved)], card.symbols, max(known.values()))
        smallest = min([smallest, *(distance / known[pair] for pair, distance in found.items())])
    return float(min(smallest, 1.0))


if __name__ == "__main__":
    sys.exit(main())
