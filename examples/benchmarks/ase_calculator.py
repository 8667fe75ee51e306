"""The ASE calculator compared with LAMMPS: energy, forces and stress of 1000 moving silicon atoms, interleaved.

    python examples/benchmarks/ase_calculator.py [MODEL.PT ...] [--data Si_train.xyz.gz] [--output FOLDER]

Without models, the linear and the sparse-kernel model of the shipped configs are trained. Each call moves the atoms a
little, as a step of dynamics does, and neighbors are searched again only when they have left the skin; in LAMMPS the
same crystal runs with the pressure computed at every step.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ase.build
import measure
import numpy as np
import torch

from rhopot.export import RhopotCalculator
from rhopot.potentials.console import make_console, table

# Root mean square displacement in A between two steps of 1 fs at 300 K.
STEP = 0.003


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("models", type=Path, nargs="*", help="models that know silicon; none: those of the configs")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    models = options.models
    if not models:
        folder = measure.prepare(options)
        models = [measure.train(f"soap_{name}", options.data, folder, name)[0] for name in ("linear", "gap")]
    rows = []
    for model in models:
        calculator = RhopotCalculator(model)
        with tempfile.TemporaryDirectory() as folder:
            every_step = "thermo_style custom step pe press\nfix p all ave/time 1 1 1 c_thermo_press"
            pressure = f"{measure.rhopot_style(model)}\n{every_step}"
            cases = {
                "ASE": lambda c=calculator: in_ase(c, options.steps),  # type: ignore[misc]
                "LAMMPS": lambda s=pressure, f=folder: measure.md(s, Path(f), steps=options.steps),  # type: ignore[misc]
            }
            times = measure.interleaved(cases, options.repeats)
        scale = 1e6 / (1000 * options.steps)
        cpu = {name: scale * measure.median_cpu(found) for name, found in times.items()}
        ratio = cpu["ASE"] / cpu["LAMMPS"]
        walls = f"{scale * measure.median_wall(times['ASE']):.1f}, {scale * measure.median_wall(times['LAMMPS']):.1f}"
        rows.append(
            [
                str(model),
                f"{cpu['ASE']:.2f}",
                f"{cpu['LAMMPS']:.2f}",
                f"{ratio:.2f}",
                measure.verdict(ratio, 1.3),
                walls,
            ]
        )
    console = make_console()
    columns = ("1000 Si atoms, us/atom/step", "ASE, CPU", "LAMMPS, CPU", "ratio", "must reach", "wall: ASE, LAMMPS")
    console.print(table("", columns, rows))
    console.print(measure.machine())


def in_ase(calculator: RhopotCalculator, steps: int) -> measure.Time:
    """Time of `steps` evaluations along a path."""
    atoms = ase.build.bulk("Si", "diamond", 5.431, cubic=True) * (5, 5, 5)
    atoms.calc = calculator
    random = np.random.default_rng(0)
    velocity = STEP * random.standard_normal(atoms.positions.shape)
    atoms.get_potential_energy()
    wall, cpu = time.perf_counter(), time.process_time()
    for k in range(steps):
        atoms.positions += velocity * np.cos(0.2 * k)
        atoms.get_forces()
        atoms.get_stress()
        atoms.get_potential_energy()
    return measure.Time(time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    main()
