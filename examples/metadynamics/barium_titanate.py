"""Switching of the polarization of barium titanate by metadynamics, in cells of several sizes at several temperatures.

    python examples/metadynamics/barium_titanate.py MODEL.PT BaTiO3_train.xyz.gz [--cells 2 3] [--temperatures 600 900]

The data are molecular dynamics of one fixed tetragonal cell of 3 x 3 x 3 formula units (PBE). The variable is the mean
over titanium of the z component of the density of degree 1 of its oxygen neighbors (`rhopot cv polarization`): positive
where oxygen stands above. Each run is biased by well-tempered hills in a supercell of the same unit cell; the profile
is symmetric, and its barrier is the free energy of switching all of the cell.

Writes `profiles.png`, `barriers.png` and `results.json`, and a folder of each run. With more --steps, or other cells
and temperatures, runs that are there are continued or used again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import symmetric_profile
from ase import Atoms

from rhopot.export import RhopotCalculator
from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import evaluate_cv
from rhopot.export.cv_file import load_cv, save_cv
from rhopot.potentials import plots
from rhopot.potentials.collective_variables import Polarization
from rhopot.potentials.console import make_console, table
from rhopot.potentials.free_energy.grid import Variable
from rhopot.potentials.properties.neb import relax_end_point

ROOT = Path(__file__).resolve().parents[2]
IN_DATA = 3  # formula units along each edge of the data's cell
SIGMA, BIAS_FACTOR, HEIGHT = 0.03, 5.0, 0.0125  # width of hills; bias factor and height (eV) for each formula unit
GRADED = 20  # structures along the switching path whose extrapolation grade is printed


def main(words: Sequence[str] | None = None) -> None:
    """Biased runs of every size and temperature, barriers, figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="a model of Ba, Ti and O")
    parser.add_argument("data", type=Path, help="frames of the fixed cell")
    parser.add_argument("--cells", type=int, nargs="+", default=[2, 3], help="formula units along each edge")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[600.0, 900.0], help="K")
    parser.add_argument("--steps", type=int, default=200000, help="of 1 fs, of each run (default: %(default)s)")
    parser.add_argument("--ranks", type=int, default=1, help="of MPI (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/barium_titanate")
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    unit = unit_cell(ase.io.read(options.data, "0"))
    variable = Polarization(["Ti"], ["O"], 3.2, direction=[0.0, 0.0, 1.0])
    if not (options.output / "polarization.pt").is_file():  # hills of a run that goes on belong to its file
        save_cv(variable, CvCard.of(variable), options.output / "polarization.pt")
    cv = load_cv(options.output / "polarization.pt")
    in_data = [evaluate_cv(cv, frame, gradients=False).values[0] for frame in ase.io.read(options.data, ":")]
    console.print(f"{len(in_data)} frames of the data: {min(in_data):.3f} to {max(in_data):.3f}")
    rows, profiles = [], {}
    for size in options.cells:
        start = polar(unit, size, options.model)
        uniform, grade = switched_together(start, unit, size, options.model)
        console.print(
            f"{size} x {size} x {size}: all at once {uniform:.3f} eV for each formula unit, "
            f"extrapolation grade at most {grade:.2f}"
        )
        for temperature in options.temperatures:
            folder = options.output / f"{size}_{temperature:g}K"
            fixes = (
                f"fix bias all rhopot/metad {(options.output / 'polarization.pt').resolve()} KNOWN(Ti, O) pace 100 "
                f"height {HEIGHT * size**3:g} sigma {SIGMA:g} biasfactor {BIAS_FACTOR * size**3:g} "
                f"temp {temperature:g} grid -1 1 200 wall_lower polarization -0.6 200 "
                "wall_upper polarization 0.6 200 colvar COLVAR 20\n"
            )
            symmetric_profile.run(folder, start, options.model, fixes, temperature, options.steps, options.ranks)
            made = symmetric_profile.read(folder, Variable("polarization"), 0.6)
            profiles[f"{size}, {temperature:g} K"] = made.energy / size**3
            rows.append((size, temperature, made.well, made.barrier, made.error))
    title = "free energy of switching, by cell and temperature"
    columns = ("cell", "T K", "wells at", "barrier eV", "error", "eV per formula unit")
    cells = [[f"{n}", f"{t:g}", f"{w:.3f}", f"{b:.3f}", f"{e:.3f}", f"{b / n**3:.4f}"] for n, t, w, b, e in rows]
    console.print(table(title, columns, cells))
    plots.lines(
        options.output / "profiles.png",
        made.values,
        profiles,
        "polarization (z, density of degree 1)",
        "free energy (eV/f.u.)",
    )
    draw(options.output / "barriers.png", rows)
    results = [dict(zip(("cells", "temperature", "well", "barrier_ev", "error_ev"), row, strict=True)) for row in rows]
    (options.output / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print(f"{options.output}")


def unit_cell(frame: Atoms) -> Atoms:
    """Five atoms in the ideal places of the data's cell."""
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Atoms("BaTiO3", scaled_positions=places, cell=frame.cell.lengths() / IN_DATA, pbc=True)


def polar(unit: Atoms, size: int, model: Path) -> Atoms:
    """The polar state of a supercell, relaxed in its fixed cell."""
    atoms = unit.repeat(size)
    atoms.positions[atoms.symbols == "Ti", 2] += 0.15
    atoms.positions[atoms.symbols == "O", 2] -= 0.15
    relaxed = relax_end_point(atoms, RhopotCalculator(model), 0.005, 1000)
    relaxed.calc = None
    return relaxed


def switched_together(start: Atoms, unit: Atoms, size: int, model: Path) -> tuple[float, float]:
    """Energy (eV for each formula unit) of the centric above the polar state, and the largest grade between them."""
    calculator = RhopotCalculator(model)
    centric = unit.repeat(size)
    energies, grades = [], []
    for part in np.linspace(0.0, 1.0, GRADED):
        atoms = start.copy()
        atoms.positions += part * (centric.positions - start.positions)
        energies.append(calculator.get_property("energy", atoms))
        grades.append(float(calculator.get_property("extrapolation_grade", atoms).max()))
    return (energies[-1] - energies[0]) / size**3, max(grades)


def draw(path: Path, rows: Sequence[tuple[int, float, float, float, float]]) -> None:
    """Barriers for each formula unit against temperature, a curve for each cell."""
    figure, axes = plots.single_figure()
    for size in sorted({row[0] for row in rows}):
        own = np.array([row[1:] for row in rows if row[0] == size])
        axes.errorbar(own[:, 0], own[:, 2] / size**3, own[:, 3] / size**3, fmt="o-", label=f"{size} x {size} x {size}")
    axes.set(xlabel="temperature (K)", ylabel="barrier (eV/f.u.)")
    axes.legend(frameon=False)
    plots.save_figure(figure, path)


if __name__ == "__main__":
    main()
