"""Metadynamics of a double well whose free energy is known, by `fix rhopot/metad`: how the error falls with the length.

    python examples/metadynamics/double_well.py [--steps 1600000] [--runs 4] [--walkers 2] [--output runs/double_well]

Two atoms interact by U(r) = D (((r - 3) / 0.7)^2 - 1)^2, D = 0.2 eV, in a box, at 300 K. The free energy of their
distance is U(r) - 2 kT ln r. Well-tempered hills on a grid, bias factor 8. The error is the root mean square over the
wells and the barrier (2.0 to 4.0 A) without the mean of the difference, which is arbitrary; it is printed in
kT for growing parts of the run, as the mean over runs with different seeds. Then as many hills are shared by walkers
over partitions, each for a part of the steps; runs of that length at once that share nothing show what walkers wait for
each other. Runs that are there, complete and of the same input, are used again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_file import save_cv
from rhopot.potentials import plots
from rhopot.potentials.collective_variables import Distance
from rhopot.potentials.console import make_console, table
from rhopot.potentials.free_energy.grid import Grid, Variable, make_grid, thermal_energy
from rhopot.potentials.free_energy.run_files import load_hills
from rhopot.potentials.free_energy.surface import surfaces_in_time
from rhopot.potentials.lammps.process import run_lammps

ROOT = Path(__file__).resolve().parents[2]
DEPTH, CENTER, WIDTH, TEMPERATURE = 0.2, 3.0, 0.7, 300.0
LOW, HIGH = 2.0, 4.0  # A, wells and barrier
FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of a run

POINTS, SHORTEST, LONGEST = 4000, 0.5, 7.0  # of the table of the potential

INPUT = """\
units metal
atom_modify map yes
region box block -10 10 -10 10 -10 10
create_box 1 box
create_atoms 1 single 0 0 0
create_atoms 1 single 2.3 0 0
mass 1 40
pair_style table spline {points}
pair_coeff 1 1 {table} WELL
neighbor 2.0 nsq
timestep 0.004
{seed}
velocity all create {temperature} ${{seed}}
fix integrate all nve
fix bath all langevin {temperature} {temperature} 0.2 ${{seed}}
fix bias all rhopot/metad {variable} pace 100 height 0.01 sigma 0.1 biasfactor 8 temp {temperature} &
    grid 0.5 6.5 200 colvar COLVAR 100 {walkers}
thermo {steps}
run {steps}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run, compare and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=1600000, help="of a run, of 4 fs (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=4, help="with different seeds (default: %(default)s)")
    parser.add_argument("--walkers", type=int, default=2, help="over partitions (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/double_well")
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    variable = Distance([1, 2])
    save_cv(variable, CvCard.of(variable), options.output / "distance.pt")
    write_potential(options.output / "well.table")
    grid = make_grid([Variable("distance", "A")], [LOW], [HIGH], [201])
    console = make_console()
    alone, seconds = [], []
    for seed in range(1, options.runs + 1):
        files, wall = run(options, f"one_{seed}", seed, options.steps, 1)
        alone.append(energies(files, grid))
        seconds.append(wall)
    exact = free_energy(grid.axes[0])
    thermal = thermal_energy(TEMPERATURE)
    errors = np.array([[error(energy, exact) / thermal for energy in each] for each in alone])
    rows = [
        [f"{0.004 * options.steps * part:g}", f"{column.mean():.3f}", f"{column.min():.3f} to {column.max():.3f}"]
        for part, column in zip(FRACTIONS, errors.T, strict=True)
    ]
    title = f"error of the free energy in kT, {options.runs} runs"
    console.print(table(title, ("ps", "mean", "runs"), rows))
    mean = np.mean([each[-1] - each[-1].mean() for each in alone], axis=0)
    if options.walkers > 1:
        console.print(shared(options, grid, alone, seconds))
    picture = plots.lines(
        options.output / "free_energy.png",
        grid.axes[0],
        {"metadynamics, mean of runs": mean - mean.min(), "exact": exact - exact.min()},
        "distance (Å)",
        "free energy (eV)",
        f"double well, {TEMPERATURE:g} K, {0.004e-3 * options.steps:g} ns",
    )
    lengths = [0.004e-3 * options.steps * part for part in FRACTIONS]
    points = {f"mean of {len(errors)} runs": (lengths, errors.mean(axis=0).tolist())}
    points |= {f"run {k}": (lengths, each.tolist()) for k, each in enumerate(errors, 1)}
    falling = plots.curves(options.output / "error.png", points, "length (ns)", "error of the free energy (kT)")
    console.print(f"{picture}, {falling}")


def potential(distance: np.ndarray) -> np.ndarray:
    """U(r) in eV."""
    return DEPTH * (((distance - CENTER) / WIDTH) ** 2 - 1.0) ** 2


def write_potential(path: Path) -> None:
    """Table of U(r) for LAMMPS, whose `pair_style lepton` compiles its formula again in every step."""
    distance = np.linspace(SHORTEST, LONGEST, POINTS)
    reduced = (distance - CENTER) / WIDTH
    force = -4.0 * DEPTH / WIDTH * reduced * (reduced**2 - 1.0)
    rows = [
        f"{k} {r:.15g} {u:.15g} {f:.15g}"
        for k, (r, u, f) in enumerate(zip(distance, potential(distance), force, strict=True), 1)
    ]
    head = f"WELL\nN {POINTS} R {SHORTEST} {LONGEST}\n\n"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def run(options: argparse.Namespace, name: str, seed: int, steps: int, walkers: int) -> tuple[list[Path], float]:
    """Files of hills of a run in its own folder, and its wall time in s."""
    folder = options.output / name
    folder.mkdir(exist_ok=True)
    worlds = " ".join(str(1000 * seed + k) for k in range(walkers))
    deck = INPUT.format(
        points=POINTS,
        table=(options.output / "well.table").resolve(),
        temperature=TEMPERATURE,
        seed=f"variable seed world {worlds}" if walkers > 1 else f"variable seed index {worlds}",
        variable=(options.output / "distance.pt").resolve(),
        walkers="walkers partitions" if walkers > 1 else "",
        steps=steps,
    )
    done = folder / "complete.json"  # of the input in it
    kept = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else {}
    if kept.get("input") != deck:
        for old in [done, *folder.glob("*HILLS*")]:
            old.unlink(missing_ok=True)
        partitions = ["-partition", f"{walkers}x1"] if walkers > 1 else []
        begin = time.perf_counter()
        run_lammps(deck, folder, ranks=walkers, arguments=partitions, timeout=24 * 3600)
        kept = {"input": deck, "seconds": time.perf_counter() - begin}
        done.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return sorted(folder.glob("HILLS*")), float(kept["seconds"])


def energies(files: Sequence[Path], grid: Grid) -> list[np.ndarray]:
    """Free energies (eV) after each fraction of the hills."""
    _, surfaces = surfaces_in_time(load_hills(files), grid, FRACTIONS)
    return [surface.energy for surface in surfaces]


def free_energy(distance: np.ndarray) -> np.ndarray:
    """The exact free energy in eV, up to a constant."""
    return potential(distance) - 2.0 * thermal_energy(TEMPERATURE) * np.log(distance)


def error(energy: np.ndarray, exact: np.ndarray) -> float:
    """Root mean square difference without its mean, in eV."""
    return float(np.std(energy - exact))


def shared(options: argparse.Namespace, grid: Grid, alone: list[list[np.ndarray]], seconds: list[float]) -> str:
    """As many hills as a run alone, by several walkers."""
    steps = options.steps // options.walkers
    files, wall = run(options, "walkers", options.runs + 1, steps, options.walkers)
    first = options.runs + 2
    with ThreadPoolExecutor(options.walkers) as at_once:  # what cores that share memory and clock take from each other
        apart = at_once.map(
            lambda seed: run(options, f"apart_{seed}", seed, steps, 1), range(first, first + options.walkers)
        )
    alone_at_once = max(seconds for _, seconds in apart)
    together = energies(files, grid)[-1]
    last = np.array([each[-1] - each[-1].mean() for each in alone])
    difference = together - together.mean() - last.mean(axis=0)
    spread = last.std(axis=0, ddof=1) * np.sqrt(1.0 + 1.0 / len(last))
    thermal = thermal_energy(TEMPERATURE)
    return (
        f"{options.walkers} walkers: error {error(together, free_energy(grid.axes[0])) / thermal:.3f} kT in "
        f"{wall:.0f} s, one walker {np.mean(seconds):.0f} s, as many runs at once of the walkers' length that "
        f"share nothing {alone_at_once:.0f} s; difference from the mean of single runs "
        f"{np.std(difference) / thermal:.3f} kT, standard deviation between runs "
        f"{np.sqrt(np.mean(spread**2)) / thermal:.3f} kT"
    )


if __name__ == "__main__":
    main()
