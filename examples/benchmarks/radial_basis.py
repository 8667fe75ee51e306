"""Optimal radial basis: the variance that a truncated basis loses, and the cost of a step, on the shipped Li-Si data.

    python examples/benchmarks/radial_basis.py [--sizes 2 4 6 8] [--every 5] [--cells 5] [--steps 50] [--repeats 5]

Residual variance of the density against the number of radial functions: primitive (GTO), optimal with a principal
component analysis for each species, and optimal with one for all species together. Then, in interleaved runs of LAMMPS
on one core, linear models with 4 primitive functions of each species and with 4 contracted from 16.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase
import ase.io
import numpy as np
from measure import LITHIUM_SILICON, arguments, interleaved, machine, md, median_cpu, rhopot_style, train, verdict
from rich.table import Table

from rhopot.potentials import operators
from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, residual_variances

SETTINGS = SoapSettings(
    cutoff=6.0, cutoff_width=2.0, n_max=16, l_max=8, density_width=0.3, symbols=("Li", "Si")
)  # of `soap_linear`, with more functions
Q_MAX = 4
COST = 1.05


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 6, 8], help="radial functions of each species")
    parser.add_argument("--every", type=int, default=5, help="of the frames of each path")
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(words)
    operators.load()
    files = sorted(LITHIUM_SILICON.glob("*.xyz"))
    frames = [frame for file in files for frame in ase.io.read(file, f"::{options.every}")]
    console = make_console()
    title = f"residual variance, {len(frames)} frames, against {SETTINGS.n_max} primitive functions of each species"
    columns = ("functions of both species", "primitive", "optimal, separate", "optimal, mixed")
    console.print(table(title, columns, lost_variance(frames, options.sizes)))
    with tempfile.TemporaryDirectory() as folder:
        console.print(cost(Path(folder), [str(file) for file in files[:3]], options))
    console.print(machine())


def lost_variance(frames: Sequence[ase.Atoms], sizes: Sequence[int]) -> list[list[str]]:
    """Rows of the first table."""
    covariance = density_covariance(SETTINGS, frames)
    everything = float(np.trace(covariance.values, axis1=1, axis2=2).sum())
    separate, mixed = (residual_variances(covariance, mixed=mode) for mode in (False, True))
    rows = []
    for n in sizes:
        kept = density_covariance(SETTINGS.model_copy(update={"n_max": n}), frames).values
        primitive = 1.0 - float(np.trace(kept, axis1=1, axis2=2).sum()) / everything
        numbers = (primitive, separate[n - 1], mixed[2 * n - 1])
        rows.append([f"{2 * n}", *(f"{number:.2g}" for number in numbers)])
    return rows


def cost(folder: Path, files: Sequence[str], options: argparse.Namespace) -> Table:
    """Table of the time of a step with bases of one size."""
    models = {
        f"{Q_MAX} primitive": [f"descriptor.n_max={Q_MAX}"],
        f"{Q_MAX} of {SETTINGS.n_max}": [
            f"descriptor.n_max={SETTINGS.n_max}",
            f"descriptor.optimal_basis={{q_max: {Q_MAX}}}",
        ],
    }
    cases = {}
    for name, words in models.items():
        words = ["report.stability=null", *words]
        made, _ = train("soap_linear", str(list(files)), folder, name.replace(" ", "_"), *words)
        style, cells = rhopot_style(made, "Si Li"), (options.cells,) * 3
        cases[name] = partial(md, style, folder, cells, options.steps, types=2, timestep=1e-6)
    times = interleaved(cases, options.repeats)
    scale = 1e6 / (8 * options.cells**3 * options.steps)
    cpu = {name: scale * median_cpu(found) for name, found in times.items()}
    first = next(iter(cpu.values()))
    rows = [[name, f"{t:.2f}", f"{t / first:.3f}", verdict(t / first, COST)] for name, t in cpu.items()]
    return table(
        f"{options.repeats} interleaved runs of LAMMPS",
        ("radial functions", "us/atom/step", "ratio", "must reach"),
        rows,
    )


if __name__ == "__main__":
    main()
