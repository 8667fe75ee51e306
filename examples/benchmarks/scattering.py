"""Wavelet scattering: time and memory against the number of atoms, and discretization errors.

    python examples/benchmarks/scattering.py [--atoms 32,64,128] [--sets v3 v4] [--errors] [--data FOLDER]

Structures are random Li-Si at the density of the data; CPU times of one core. `all features`: the default 3741;
`150 + forces`: 150 paths drawn at random, with the derivatives of their sum by positions and cell; memory is the
largest growth of the process, each measured in a separate process. `growth` is the time over that of the first row,
divided by the ratio of N log N: 1 where the cost grows as that of a Fourier transform. `--sets` prints times with the
kernels of several instruction sets side by side: medians of interleaved runs, least of three in each; torch's own
operators choose theirs. `--errors` takes a structure of the data and prints, for several eps_alias, the largest and the
median error (relative, per feature) of coarse against full grids, of a translation by a fraction of a grid point, and
of a supercell (three cells along x, per atom); the last of the features that a fit to this cell may use: those of
wavelets wider than the cell are lost in rounding.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase
import ase.io
import numpy as np
import torch
from measure import Time, count, instruction_sets, interleaved, machine, median_cpu
from torch import Tensor

from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.scattering import (
    ScatteringGrid,
    ScatteringJacobian,
    ScatteringSettings,
    WaveletScattering,
    all_paths,
    choose_grid,
    finest_spacing,
)
from rhopot.potentials.families.scattering.candidate_features import size_limits
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings

SYMBOLS = ("Li", "Si")
DATA = Path(__file__).resolve().parents[1] / "data" / "lisi_gpaw"
VOLUME_PER_ATOM = 17.35  # A^3, Li16Si16 of the data
N_PATHS = 150  # of a model, for forces


def random_structure(n_atoms: int) -> ase.Atoms:
    """Return Li and Si in equal parts at random places of a cube."""
    edge = (VOLUME_PER_ATOM * n_atoms) ** (1 / 3)
    positions = np.random.default_rng(0).random((n_atoms, 3)) * edge
    return ase.Atoms(["Li", "Si"] * (n_atoms // 2), positions=positions, cell=[edge] * 3, pbc=True)


def inputs(atoms: ase.Atoms) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return positions, species, cell and pbc of a structure."""
    species = torch.tensor([SYMBOLS.index(symbol) for symbol in atoms.symbols])
    return torch.tensor(atoms.positions), species, torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)


def features_of(settings: ScatteringSettings, forces: bool) -> WaveletScattering:
    """Return what is measured: all features, or a model's number of them for forces."""
    paths = all_paths(settings)
    if forces:
        paths = [paths[k] for k in np.random.default_rng(0).choice(len(paths), N_PATHS, replace=False)]
    return WaveletScattering(settings, paths)


def measure(n_atoms: int, forces: bool) -> None:
    """Print the points of the finest grid, the least CPU time of three (s) and the growth of the process (MiB)."""
    torch.set_num_threads(1)
    settings = ScatteringSettings(symbols=SYMBOLS)
    scattering, atoms = features_of(settings, forces), random_structure(n_atoms)
    grid, arguments = choose_grid(settings, atoms), inputs(atoms)
    weights = torch.ones(scattering.n_features, dtype=torch.float64)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(3):
        start = time.process_time()
        if forces:
            ScatteringJacobian(scattering)(weights, *arguments, grid)
        else:
            with torch.no_grad():
                scattering(*arguments, grid)
        times.append(time.process_time() - start)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(grid.points[0][0], f"{min(times):.3f}", f"{growth:.0f}")


def child(n_atoms: int, forces: bool, kernels: str | None = None) -> list[str]:
    """Return what `measure` prints in a separate process, with the kernels of an instruction set (None: the best)."""
    words = [sys.executable, __file__, "--one", str(n_atoms), *(["--forces"] if forces else [])]
    environment = os.environ if kernels is None else {**os.environ, "RHOPOT_KERNELS": kernels}
    return subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout.split()


def by_set(sizes: Sequence[int], sets: Sequence[str], repeats: int) -> dict[tuple[int, bool, str], list[Time]]:
    """Return CPU times of all features and of forces with each instruction set, from interleaved runs."""

    def run(n_atoms: int, forces: bool, kernels: str) -> Time:
        seconds = float(child(n_atoms, forces, kernels)[1])
        return Time(seconds, seconds)

    cases = [(n, forces, kernels) for n in sizes for forces in (False, True) for kernels in sets]
    return interleaved({case: partial(run, *case) for case in cases}, repeats)


def show_sets(sizes: Sequence[int], sets: Sequence[str], repeats: int) -> None:
    """Print a row per number of atoms, with columns for each instruction set."""
    times = by_set(sizes, sets, repeats)
    rows = []
    for n in sizes:
        columns = [(forces, kernels) for forces in (False, True) for kernels in sets]
        rows.append([str(n), *(f"{median_cpu(times[n, forces, kernels]):.2f}" for forces, kernels in columns)])
    heads = [f"{what}, {kernels}" for what in ("all features s", f"{N_PATHS} + forces s") for kernels in sets]
    console = make_console()
    console.print(table(f"Wavelet scattering, one core, {repeats} interleaved runs", ("atoms", *heads), rows))
    console.print(machine())


def speed(sizes: list[int]) -> None:
    """Print a row per number of atoms."""
    print("atoms  points/axis  all features s   MiB  growth  150 + forces s   MiB  growth")
    first: list[float] = []
    for n_atoms in sizes:
        rows = []
        for forces in ("", "--forces"):
            rows.append(child(n_atoms, bool(forces)))
        (points, all_time, all_memory), (_, time_, memory) = rows
        costs = [float(seconds) / (n_atoms * np.log(n_atoms)) for seconds in (all_time, time_)]
        first = first or costs
        growth = [f"{cost / start:6.2f}" for cost, start in zip(costs, first, strict=True)]
        print(
            f"{n_atoms:5d}  {points:>11}  {all_time:>14}  {all_memory:>4}  {growth[0]}  {time_:>14}  {memory:>4}  "
            f"{growth[1]}",
            flush=True,
        )


def relative(found: Tensor, truth: Tensor) -> str:
    """Return the largest and the median relative error of the features, in words."""
    errors = (found - truth).abs() / truth.abs()
    return f"{errors.max():.1e} ({errors.median():.1e})"


def errors(data: Path) -> None:
    """Print errors against eps_alias."""
    torch.set_num_threads(1)
    atoms = ase.io.read(data / "Li16Si16_0.xyz", index=0)
    print(f"{atoms.get_chemical_formula()}, largest and median relative error of 3741 features")
    print("eps_alias  regularization  points     coarse against full  translation        supercell")

    def features(structure: ase.Atoms, grid: ScatteringGrid) -> Tensor:
        with torch.no_grad():
            return scattering(*inputs(structure), grid)

    for regularization in (0.0, ScatteringSettings().regularization):
        for alias in (1e-2, 1e-4, 1e-6, 1e-8):
            settings = ScatteringSettings(symbols=SYMBOLS, alias=alias, regularization=regularization)
            scattering = WaveletScattering(settings)
            coarse, full = (choose_grid(settings.model_copy(update={"grids": g}), atoms) for g in ("coarse", "full"))
            moved = atoms.copy()
            moved.positions += 0.4 * finest_spacing(coarse, atoms.cell.array)
            tripled = atoms * (3, 1, 1)
            supercell = features(tripled, choose_grid(settings, tripled))
            truth, found = features(atoms, full), features(atoms, coarse)
            usable = found >= torch.from_numpy(size_limits(settings, all_paths(settings), ScatteringFitSettings().size))
            points = f"{coarse.points[0][0]}/{coarse.points[1][0]}"
            print(
                f"{alias:9.0e}  {regularization:14g}  {points:9}  {relative(found, truth):>19}  "
                f"{relative(features(moved, coarse), found):>17}  "
                f"{relative(supercell[usable], found[usable]):>17} of {usable.sum()}",
                flush=True,
            )


def sizes(word: str) -> list[int]:
    """Argument that is numbers of atoms, 1 or more each, with commas between."""
    numbers = [count(part) for part in word.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more each, got {word}")
    return numbers


def main() -> None:
    """Read the words of the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", type=sizes, default="32,64,128", help="numbers of atoms, with commas between")
    parser.add_argument("--sets", nargs="+", choices=instruction_sets(), help="instruction sets, side by side")
    parser.add_argument("--repeats", type=count, default=5, help="runs of each instruction set (with --sets)")
    parser.add_argument("--errors", action="store_true", help="errors of the features against finer grids")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of lithium-silicon frames, for --errors")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--forces", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        measure(chosen.one, chosen.forces)
    elif chosen.errors:
        errors(chosen.data)
    elif chosen.sets:
        show_sets(chosen.atoms, chosen.sets, chosen.repeats)
    else:
        speed(chosen.atoms)


if __name__ == "__main__":
    main()
