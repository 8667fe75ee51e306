"""Barrier of lithium in silicon by metadynamics at several temperatures, against that of the nudged elastic band.

    python examples/metadynamics/lithium_in_silicon.py MODEL.PT [--temperatures 100 200 300] [--steps 400000]

A lithium atom hops between two tetrahedral sites of a silicon crystal, through the puckered ring of six silicon atoms
between them. The collective variable is its distance along [111] from the center of this ring; a second one, the
distance across, has a wall that keeps the atom in the channel. Both are modules of this file: what a variable of your
own takes.

The free-energy barrier at temperature T is read from the profile F(s) of the variable: its maximum at the ring above
the minima. In harmonic wells it is E - T S plus terms that vanish with T: a line through the barriers at several
temperatures, drawn to T = 0, must meet the barrier E of the band.

Writes `profiles.png`, `barriers.png` and `results.json`, and a folder of each run. Runs that are there are used again;
with more --steps they are continued.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import symmetric_profile
import torch
from ase import Atoms
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.export.cv_card import CvCard
from rhopot.export.cv_file import save_cv
from rhopot.potentials import plots
from rhopot.potentials.collective_variables import CollectiveVariable, Description
from rhopot.potentials.console import make_console, table
from rhopot.potentials.free_energy.grid import Variable
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.neb import MigrationPath, minimum_energy_path, relax_end_point
from rhopot.potentials.properties.relaxation import relax
from rhopot.potentials.structures.prototypes import interstitial_hop

ROOT = Path(__file__).resolve().parents[2]
RING = 6  # silicon atoms around the bottleneck
ACROSS, STIFFNESS = 0.9, 10.0  # A, eV/A^2: walls of the channel, also along it
HALF = 1.7  # A: walls along the channel, and half of the profile
AXIS = (1.0, 1.0, 1.0)


class Along(CollectiveVariable):
    """Distance of an atom along an axis from the center of a ring (first of the given atoms, and the others)."""

    def __init__(self, atoms: Sequence[int]) -> None:
        super().__init__(Description(names=("along",), units=("A",), atoms=tuple(atoms), settings={"axis": list(AXIS)}))
        self.register_buffer("axis", torch.tensor(AXIS, dtype=torch.float64) / 3.0**0.5)

    def finish(self, sums: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the distance (1,) in A."""
        return ((positions[0] - positions[1:].mean(dim=0)) * self.axis).sum().reshape(1)


class Across(CollectiveVariable):
    """Distance from the axis, with the same atoms; rounded off at zero, where a distance has no derivative."""

    def __init__(self, atoms: Sequence[int]) -> None:
        settings = {"axis": list(AXIS)}
        super().__init__(Description(names=("across",), units=("A",), atoms=tuple(atoms), settings=settings))
        self.register_buffer("axis", torch.tensor(AXIS, dtype=torch.float64) / 3.0**0.5)

    def finish(self, sums: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the distance (1,) in A."""
        vector = positions[0] - positions[1:].mean(dim=0)
        rest = vector - (vector * self.axis).sum() * self.axis
        return torch.sqrt((rest * rest).sum() + 1e-6).reshape(1)


def main(words: Sequence[str] | None = None) -> None:
    """Band, biased runs, barriers, figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="a model of Li and Si that holds the crystal together")
    parser.add_argument("--cells", type=int, default=2, help="cubic cells along each direction (default: %(default)s)")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[100.0, 200.0, 300.0], help="K")
    parser.add_argument("--steps", type=int, default=400000, help="of 1 fs, of each run (default: %(default)s)")
    parser.add_argument(
        "--hottest", type=float, default=3600.0, help="K, bias factor times temperature (default: %(default)s)"
    )
    parser.add_argument("--ranks", type=int, default=1, help="of MPI (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/lithium_in_silicon")
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    path, start, ring = band(options.model, options.cells)
    barrier = None if path.unresolved else path.forward_barrier
    console.print(f"nudged elastic band: {path.unresolved or f'{barrier:.4f} eV'}, {len(start)} atoms")
    save_variables(options.output, start, ring)
    profiles, rows = {}, []
    for temperature in options.temperatures:
        folder = options.output / f"{temperature:g}K"
        biased(folder, options, start, temperature)
        made = symmetric_profile.read(folder, Variable("along", "A"), HALF)
        profiles[f"{temperature:g} K"] = made.energy
        rows.append((temperature, made.barrier, made.error))
    fit = extrapolated(rows)
    console.print(
        table("barriers", ("T K", "free energy eV", "error"), [[f"{t:g}", f"{b:.4f}", f"{e:.4f}"] for t, b, e in rows])
    )
    if fit is not None:
        compared = "" if barrier is None else f"; the band's barrier differs by {barrier - fit[0]:+.4f} eV"
        console.print(f"at 0 K, by a line: {fit[0]:.4f} +- {fit[1]:.4f} eV{compared}")
    draw(options.output, made.values, profiles, rows, barrier, fit)
    results = {"neb_barrier_ev": barrier, "free_energy_barriers": [list(row) for row in rows], "at_zero_ev": fit}
    (options.output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print(f"{options.output}")


def band(model: Path, cells: int) -> tuple[MigrationPath, Atoms, np.ndarray]:
    """Path of the hop, its first end with the bottleneck in the middle of the cell, and the rows of the ring."""
    calculator = RhopotCalculator(model)
    engine = AseEngine(calculator)
    unit = relax(bulk("Si", "diamond", a=5.47, cubic=True), engine, cell="isotropic", fmax=1e-4).atoms
    lattice = float(unit.cell.lengths()[0])
    first, last = interstitial_hop(unit.repeat(cells), lattice, "Li")
    middle = 0.5 * (first.positions[-1] + last.positions[-1])
    for end in (first, last):
        end.positions += end.cell.array.sum(axis=0) / 2 - middle
        end.wrap()
    first, last = (relax_end_point(end, calculator, 0.002, 1000) for end in (first, last))
    path = minimum_energy_path(first, last, engine)
    saddle = path.images(first)[path.saddle]
    ring = np.argsort(saddle.get_distances(len(saddle) - 1, range(len(saddle) - 1), mic=True))[:RING]
    return path, first, around(saddle, ring)


def around(atoms: Atoms, ring: np.ndarray) -> np.ndarray:
    """The rows of the ring in an order in which neighbors in the list are bonded.

    A variable gets of each atom the image nearest to the one before it: atoms on opposite sides of the ring come apart
    by more than half of the cell where lithium pushes them.
    """
    order, left = [int(ring[0])], [int(row) for row in ring[1:]]
    while left:
        nearest = left[int(np.argmin(atoms.get_distances(order[-1], left, mic=True)))]
        order.append(nearest)
        left.remove(nearest)
    return np.array(order)


def save_variables(folder: Path, start: Atoms, ring: np.ndarray) -> None:
    """along.pt and across.pt: the lithium atom and the ring, by their numbers."""
    atoms = [len(start), *(int(row) + 1 for row in ring)]
    for name, variable in {"along": Along(atoms), "across": Across(atoms)}.items():
        path = folder / f"{name}.pt"
        if not path.is_file():  # hills of a run that goes on belong to its file
            save_cv(variable, CvCard.of(variable), path)


def biased(folder: Path, options: argparse.Namespace, start: Atoms, temperature: float) -> None:
    """A run to the given number of steps, from its last restart file where there is one."""
    walls = f"wall_lower along -{HALF:g} {STIFFNESS:g} wall_upper along {HALF:g} {STIFFNESS:g}"
    fixes = f"""\
fix bias all rhopot/metad {(options.output / "along.pt").resolve()} pace 200 height 0.01 sigma 0.08 &
    biasfactor {max(2.0, options.hottest / temperature):g} temp {temperature:g} grid -3 3 300 {walls} colvar COLVAR 50
fix channel all rhopot/metad {(options.output / "across.pt").resolve()} wall_upper across {ACROSS:g} {STIFFNESS:g} &
    colvar COLVAR.across 50
"""
    symmetric_profile.run(folder, start, options.model, fixes, temperature, options.steps, options.ranks)


def extrapolated(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float] | None:
    """Barrier at 0 K and its standard deviation, of a weighted line; nothing for fewer than two temperatures."""
    if len(rows) < 2:
        return None
    temperature, barrier, error = np.array(rows).T
    matrix = np.stack([np.ones_like(temperature), temperature], axis=1) / error[:, None]
    covariance = np.linalg.inv(matrix.T @ matrix)
    return float((covariance @ matrix.T @ (barrier / error))[0]), float(np.sqrt(covariance[0, 0]))


def draw(
    folder: Path,
    distance: np.ndarray,
    profiles: dict[str, np.ndarray],
    rows: Sequence[tuple[float, float, float]],
    barrier: float | None,
    fit: tuple[float, float] | None,
) -> None:
    """Profiles of all temperatures; barriers against temperature with the band's."""
    plots.lines(folder / "profiles.png", distance, profiles, "Li along [111] from the ring (Å)", "free energy (eV)")
    figure, axes = plots.single_figure()
    temperature, barriers, errors = np.array(rows).T
    axes.errorbar(temperature, barriers, errors, fmt="o", color=plots.ACCENT, label="metadynamics")
    if barrier is not None:
        axes.plot([0.0], [barrier], "s", color=plots.INK, label="nudged elastic band")
    if fit is not None:
        slope = np.polyfit(temperature, barriers, 1, w=1.0 / errors)[0]
        ends = np.array([0.0, temperature.max()])
        axes.plot(ends, fit[0] + slope * ends, "-", color=plots.FAINT)
    axes.set(xlabel="temperature (K)", ylabel="barrier (eV)")
    axes.legend(frameon=False)
    plots.save_figure(figure, folder / "barriers.png")


if __name__ == "__main__":
    main()
