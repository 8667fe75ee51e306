"""Optimal radial basis: the variance that a truncated basis loses, its functions, and the cost of a step.

    python examples/benchmarks/radial_basis.py [--data Si_train.xyz.gz] [--sizes 2 4 6 8] [--every 5] [--cells 5]
        [--steps 50] [--repeats 5] [--output runs/benchmarks]

As Figs. 2.1 and 2.2 of A. J. Goscinski, PhD thesis, EPFL (2023), for the silicon frames, where they are given, and the
shipped Li-Si data: residual variance of the density against the number of radial functions, primitive (GTO), optimal
with a principal component analysis for each species, and optimal with one for all species together (tables, plots);
and plots of the first optimal functions from 6 to 24 primitive GTO and DVR functions, which converge to the same. Then,
in interleaved runs of LAMMPS on one core, linear models with 4 primitive functions of each species and with 4
contracted from 16.
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

from rhopot.potentials import operators, plots
from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, learn_basis, residual_variances
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis
from rhopot.potentials.descriptors.soap.table import build_table

SETTINGS = SoapSettings(
    cutoff=6.0, cutoff_width=2.0, n_max=16, l_max=8, density_width=0.3
)  # of `soap_linear`, with more functions
KINDS = ("primitive", "optimal, separate", "optimal, mixed")
SHOWN = 3  # optimal functions of degree 0 that are drawn, each in a plot of its own
PRIMITIVE = {"GTO, 6": ("gto", 6), "GTO, 24": ("gto", 24), "DVR, 12": ("dvr", 12), "DVR, 24": ("dvr", 24)}
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
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    files = sorted(LITHIUM_SILICON.glob("*.xyz"))
    data = {"lithium_silicon": [frame for file in files for frame in ase.io.read(file, f"::{options.every}")]}
    if options.data:
        data["silicon"] = ase.io.read(options.data, f"::{options.every}")
    for name, frames in data.items():
        symbols = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
        settings = SETTINGS.with_symbols(symbols)
        lost = lost_variance(settings, frames, options.sizes)
        title = (
            f"{name}: residual variance, {len(frames)} frames, of {settings.n_max} primitive functions of each species"
        )
        rows = [[f"{size}", *(f"{number:.2g}" for number in numbers)] for size, numbers in lost.items()]
        console.print(table(title, ("functions of all species", *KINDS), rows))
        holds = all(mixed <= separate <= primitive for primitive, separate, mixed in lost.values())
        console.print(f"{name}: mixed <= separate <= primitive at every size: {'yes' if holds else 'NO'}")
        curves = {kind: (list(lost), [numbers[k] for numbers in lost.values()]) for k, kind in enumerate(KINDS)}
        plot = options.output / f"residual_variance_{name}.png"
        plots.curves(plot, curves, "radial functions of all species", "residual variance")
        for file in (plot, *draw_functions(options.output / f"optimal_functions_{name}", settings, frames)):
            console.print(f"plot: {file}")
    with tempfile.TemporaryDirectory() as folder:
        console.print(cost(Path(folder), [str(file) for file in files[:3]], options))
    console.print(machine())


def lost_variance(
    settings: SoapSettings, frames: Sequence[ase.Atoms], sizes: Sequence[int]
) -> dict[int, tuple[float, float, float]]:
    """Residual variances of each kind by the number of functions of all species together."""
    n_species = len(settings.symbols)
    covariance = density_covariance(settings, frames)
    everything = float(np.trace(covariance.values, axis1=1, axis2=2).sum())
    separate, mixed = (residual_variances(covariance, mixed=mode) for mode in (False, True))
    found = {}
    for n in sizes:
        kept = density_covariance(settings.model_copy(update={"n_max": n}), frames).values
        primitive = 1.0 - float(np.trace(kept, axis1=1, axis2=2).sum()) / everything
        found[n_species * n] = (primitive, float(separate[n - 1]), float(mixed[n_species * n - 1]))
    return found


def draw_functions(stem: Path, settings: SoapSettings, frames: Sequence[ase.Atoms]) -> list[Path]:
    """Draw the optimal functions of degree 0 of the last species, contracted from several primitive bases."""
    radius = np.linspace(0.0, settings.cutoff, 301)
    found: dict[int, dict[str, np.ndarray]] = {q: {} for q in range(SHOWN)}
    for name, (basis, n_max) in PRIMITIVE.items():
        primitive = settings.model_copy(update={"n_max": n_max, "radial_basis": basis})
        learned = learn_basis(primitive.model_copy(update={"optimal_basis": OptimalBasis(q_max=SHOWN)}), frames)
        values = build_table(learned, 0).table.values[-1, :, 0, 0]
        knots = np.linspace(0.0, settings.cutoff, len(values))
        for q, curves in found.items():
            function = np.interp(radius, knots, values[:, q])
            curves[name] = function * np.sign(function[np.abs(function).argmax()])
    return [
        plots.lines(
            Path(f"{stem}_{q + 1}.png"), radius, curves, "distance (A)", f"optimal function {q + 1} of degree 0"
        )
        for q, curves in found.items()
    ]


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
