"""GMP features and their network: time of one aspirin frame, and cost against the number of atoms.

    python examples/benchmarks/gmp.py [--aspirin aspirin_train.xyz.gz] [--repeats 5] [--largest 10000]

The networks are not trained: what a model costs does not depend on its weights. Models are exported, read again and run
through ASE's side on one thread. A frame is one call with its neighbour search, energy only, cutoff 10 A (Lei and
Medford, SI Table 4: 7.8 and 28.2 ms on their machine). The growing system is their Figure 5b: supercells of C2O on
Sn3Ca, 35 atoms in the smallest, and the first of their models; energy and forces, each size in a separate process for
its peak memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase
import numpy as np
import torch
from ase.build import bulk
from measure import ROOT, Time, arguments, child, interleaved, machine, median_cpu, verdict
from untrained import untrained

from rhopot.export import evaluate, load_model
from rhopot.potentials.console import make_console, table
from rhopot.potentials.structures import FrameSet, read_frames

ASPIRIN = ROOT.parent / "shared" / "data" / "public" / "rmd17" / "aspirin_train.xyz.gz"
# (probes, highest order) and what one aspirin frame must not exceed, in ms
FRAME = {"GMP(10,3)+SNN(50,50,50)": (3, 1.5), "GMP(10,6)+SNN(50,50,50)": (6, 4.0)}
# Repetitions of the 35-atom cell along two directions
SIZES = ((1, 1), (2, 2), (4, 4), (8, 8), (12, 12), (17, 17))
SLOPE = 0.1

ONE_SIZE = """
import json, resource, sys, time
import ase.io
from rhopot.export import evaluate, load_model
model, atoms = load_model(sys.argv[1]), ase.io.read(sys.argv[2])
evaluate(model, [atoms[:35]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for _ in range(max(int(sys.argv[3]), 20000 // len(atoms))):
    begin = time.process_time()
    evaluate(model, [atoms])
    times.append(time.process_time() - begin)
print(json.dumps([sorted(times)[len(times) // 2], before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--aspirin", type=Path, default=ASPIRIN, help="aspirin frames")
    parser.add_argument("--largest", type=int, default=10_200, help="atoms of the largest supercell")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        frames(options.aspirin, Path(folder), options.repeats)
        growth(Path(folder), options.largest, options.repeats)
    make_console().print(machine())


def frames(data: Path, folder: Path, repeats: int) -> None:
    """Energies of single aspirin frames."""
    given: FrameSet = read_frames([str(data)])[:50]
    symbols = given.symbols
    cases = {}
    for name, (order, _) in FRAME.items():
        file = untrained(symbols, 10.0, order, given[0].atoms, folder / f"aspirin{order}.pt")
        cases[name] = partial(_energies, load_model(file), [frame.atoms for frame in given])
    times = interleaved(cases, repeats)
    rows = []
    for name, found in times.items():
        each = 1e3 * median_cpu(found) / len(given)
        rows.append([name, f"{each:.3f}", verdict(each, FRAME[name][1])])
    title = f"one frame of {len(given[0])} atoms, energy only, cutoff 10 A, one core"
    make_console().print(table(title, ("", "CPU ms", "must reach"), rows))


def _energies(model: object, structures: Sequence[ase.Atoms]) -> Time:
    """Time of one call after another."""
    wall, cpu = time.perf_counter(), time.process_time()
    for atoms in structures:
        evaluate(model, [atoms], gradients=False)  # type: ignore[arg-type]
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def adsorbed() -> ase.Atoms:
    """C2O on a slab of Sn3Ca (L1_2, 2 x 2 x 2 cells), periodic along the surface: 35 atoms."""
    metal = bulk("Sn", "sc", a=4.73)
    cell = ase.Atoms(
        "CaSn3", cell=metal.cell, pbc=True, scaled_positions=[(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    )
    slab = cell * (2, 2, 2)
    top = slab.positions[:, 2].max()
    slab += ase.Atoms("CCO", [(2.4, 2.4, top + 2.0), (2.4, 2.4, top + 3.3), (2.4, 2.4, top + 4.5)])
    slab.cell[2, 2] += 12.0
    slab.pbc = (True, True, False)
    slab.rattle(0.05, seed=1)
    return slab


def growth(folder: Path, largest: int, repeats: int) -> None:
    """CPU time and memory of supercells; the exponent of the time beyond the smallest."""
    unit = adsorbed()
    model = untrained(sorted(set(unit.symbols)), 6.0, 2, unit, folder / "alloy.pt", 30, (128, 64, 64))
    counts, seconds, rows = [], [], []
    for a, b in SIZES:
        atoms = unit * (a, b, 1)
        if len(atoms) > largest:
            continue
        atoms.write(folder / "atoms.traj")
        command = [sys.executable, "-c", ONE_SIZE, str(model), "atoms.traj", str(repeats)]
        each, before, after = json.loads(child(command, folder).output.splitlines()[-1])
        counts.append(len(atoms))
        seconds.append(each)
        rows.append(
            [str(len(atoms)), f"{1e3 * each:.2f}", f"{1e6 * each / len(atoms):.1f}", f"{(after - before) / 1024:.0f}"]
        )
    slope = float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
    columns = ("atoms", "CPU ms", "us/atom", "peak memory beyond a small cell, MiB")
    make_console().print(table("C2O on Sn3Ca, energy and forces, GMP(30,2)+SNN(128,64,64), 6 A", columns, rows))
    make_console().print(f"exponent of time against number of atoms: {slope:.3f} (must lie within {SLOPE:g} of 1)")


if __name__ == "__main__":
    main()
