"""Time of a step compared with its lower bound (floor), by family and instruction set.

    python examples/benchmarks/floors.py [--data Si_train.xyz.gz] [--output FOLDER] [--sets v3 v4] [--repeats 5]

The floor is the larger of two times: arithmetic (`counts.py`) at the rate that one core reaches in a matrix product
with the instructions of the set, and memory traffic at the rate at which it copies, in the second-level cache and
beyond (blocks of 4 MiB). Products are those of NumPy's OpenBLAS, in a separate process that is told the processor
(OPENBLAS_CORETYPE): MKL, torch's library, does not take that order on every processor. Models are those of
`speed.py`, trained or found in the output folder, in LAMMPS, 1000 silicon atoms; wavelet scattering is that of
`scattering.py`, 64 atoms. `--repeats 0` measures no model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from counts import Work, of_model, of_scattering
from measure import arguments, machine, median_cpu, prepare
from scattering import SYMBOLS, by_set, features_of, random_structure
from speed import Case, add_size, measured, shipped

from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.scattering import ScatteringSettings, choose_grid

# The processors for which OpenBLAS has kernels of exactly these instructions.
CORES = {"baseline": "Prescott", "v3": "Haswell", "v4": "SkylakeX"}
DTYPES = ("float64", "float32")
MODELS = {"linear": "linear", "GAP": "gap", "GMP + network": "gmp"}
FEATURES, FORCES = "scattering: all features", "scattering: 150 with forces"
SCATTERING_ATOMS = 64


def main(words: Sequence[str] | None = None) -> None:
    """Measure peaks and models, count, print."""
    parser = arguments(__doc__)
    add_size(parser)
    parser.set_defaults(more=False)
    parser.add_argument("--peak", choices=DTYPES, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.peak:
        print(product_rate(options.peak))
        return
    peaks = {(kernels, dtype): peak(kernels, dtype) for kernels in options.sets for dtype in DTYPES}
    library = torch_rate()
    near, far = copy_rate(2**18), copy_rate(2**22)
    cases = shipped(options)
    work = {name: of_model(prepare(options) / MODELS[name] / "model.pt") for name in cases}
    for name, forces in ((FEATURES, False), (FORCES, True)):
        work[name] = scattering_work(forces)
    found = times(cases, options) if options.repeats > 0 else {}
    rows = []
    for name, each in work.items():
        for kernels in options.sets:
            arithmetic, memory = (1e6 * s for s in each.seconds(peaks[kernels, "float64"], library, near, far))
            row = [name, f"{(each.flops + each.products) / 1e3:.0f}", kernels, f"{arithmetic:.1f}", f"{memory:.1f}"]
            taken = found.get((name, kernels))
            row += ["", ""] if taken is None else [f"{taken:.1f}", f"{taken / max(arithmetic, memory):.2f}"]
            rows.append(row)
    heads = ("", "kFLOP", "set", "arithmetic", "memory", "measured", "over the floor")
    console = make_console()
    console.print(table("Floors and times of a step, float64, one core, us/atom", heads, rows))
    for kernels in options.sets:
        rates = ", ".join(f"{1e-9 * peaks[kernels, dtype]:.1f} ({dtype})" for dtype in DTYPES)
        console.print(f"matrix products, {kernels}: {rates} GFLOP/s")
    console.print(f"torch's matrix products, whatever the set: {1e-9 * library:.1f} GFLOP/s (float64)")
    console.print(f"copies: {1e-9 * near:.0f} GB/s in the second-level cache, {1e-9 * far:.0f} GB/s beyond")
    console.print(machine())


def scattering_work(forces: bool) -> Work:
    """Work of `scattering.py`."""
    settings = ScatteringSettings(symbols=SYMBOLS)
    grid = choose_grid(settings, random_structure(SCATTERING_ATOMS))
    return of_scattering(features_of(settings, forces), grid, SCATTERING_ATOMS, forces)


def times(cases: Mapping[str, Case], options: argparse.Namespace) -> dict[tuple[str, str], float]:
    """Measured times per atom and step in us."""
    scale = 1e6 / (8 * options.cells**3 * options.steps)
    found = {key: scale * median_cpu(each) for key, each in measured(cases, options).items()}
    whole = by_set([SCATTERING_ATOMS], options.sets, options.repeats)
    for (n_atoms, forces, kernels), each in whole.items():
        found[FORCES if forces else FEATURES, kernels] = 1e6 * median_cpu(each) / n_atoms
    return found


def peak(kernels: str, dtype: str) -> float:
    """FLOP/s of a matrix product with the instructions of a set."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": CORES[kernels], "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--peak", dtype]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def product_rate(dtype: str) -> float:
    """FLOP/s of the best matrix product."""
    size = 1024
    a = np.random.default_rng(0).random((size, size)).astype(dtype)
    out = np.empty_like(a)
    return 2.0 * size**3 / best(lambda: np.matmul(a, a, out=out), 9)


def torch_rate() -> float:
    """FLOP/s of torch's matrix product, float64."""
    torch.set_num_threads(1)
    size = 1024
    a = torch.rand(size, size, dtype=torch.float64)
    out = torch.empty_like(a)
    return 2.0 * size**3 / best(lambda: torch.mm(a, a, out=out), 9)


def copy_rate(n_bytes: int) -> float:
    """Bytes per second read while copying a block of that size."""
    source = np.ones(n_bytes // 8)
    target = np.empty_like(source)
    repeats = max(1, 2**27 // n_bytes)

    def copies() -> None:
        for _ in range(repeats):
            np.copyto(target, source)

    return repeats * n_bytes / best(copies, 5)


def best(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of several calls in s."""
    taken = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken[1:])


if __name__ == "__main__":
    main()
