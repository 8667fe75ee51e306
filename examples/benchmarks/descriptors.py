"""SOAP power spectra of 1000 rattled silicon atoms, with and without gradients, compared with featomic; one core.

    python examples/benchmarks/descriptors.py [--repeats 5]

n = 8, l = 6, 5 A. Both make the spectrum of every atom and its derivative by the position of every neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import ase
import ase.build
import torch
from measure import Time, arguments, interleaved, machine, median_cpu, verdict

from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.graph.atomic_graph import graphs

CUTOFF, N_MAX, L_MAX, WIDTH = 5.0, 8, 6, 0.5
# Edges per call: their gradients stay in some 20 MB.
BATCH_EDGES = 4096


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    atoms = ase.build.bulk("Si", "diamond", 5.431, cubic=True).repeat(options.cells)
    atoms.rattle(0.05, seed=0)
    ours = SoapPowerSpectrum(
        SoapSettings(symbols=("Si",), cutoff=CUTOFF, n_max=N_MAX, l_max=L_MAX, density_width=WIDTH)
    )
    cases: dict[str, Callable[[], Time]] = {}
    for gradients in (False, True):
        name = "with gradients" if gradients else "spectrum"
        cases[f"rhopot, {name}"] = partial(timed, partial(compute, ours, atoms, gradients))
        cases[f"featomic, {name}"] = partial(timed, featomic(atoms, gradients))
    times = interleaved(cases, options.repeats)
    cpu = {name: 1e6 * median_cpu(found) / len(atoms) for name, found in times.items()}
    rows = []
    for name, limit in (("spectrum", None), ("with gradients", 0.25)):
        mine, theirs = cpu[f"rhopot, {name}"], cpu[f"featomic, {name}"]
        rows.append([name, f"{mine:.1f}", f"{theirs:.1f}", f"{mine / theirs:.2f}", verdict(mine / theirs, limit)])
    console = make_console()
    console.print(table("", (f"{len(atoms)} Si atoms, CPU us/atom", "rhopot", "featomic", "ratio", "must reach"), rows))
    console.print(machine())


def timed(work: Callable[[], None]) -> Time:
    """Times of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def compute(descriptor: SoapPowerSpectrum, atoms: ase.Atoms, gradients: bool) -> None:
    """Ours, neighbour search included, in batches of centres."""
    with torch.no_grad():
        for graph in graphs(atoms, ("Si",), CUTOFF, BATCH_EDGES):
            if gradients:
                descriptor.jacobian(graph)
            else:
                descriptor(graph)


def featomic(atoms: ase.Atoms, gradients: bool) -> Callable[[], None]:
    """Theirs, with the same settings."""
    from featomic import SoapPowerSpectrum as Theirs

    calculator = Theirs(
        cutoff={"radius": CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density={"type": "Gaussian", "width": WIDTH},
        basis={
            "type": "TensorProduct",
            "max_angular": L_MAX,
            "radial": {"type": "Gto", "max_radial": N_MAX - 1},
        },
    )
    wanted = ["positions"] if gradients else None
    return lambda: calculator.compute(atoms, gradients=wanted) and None


if __name__ == "__main__":
    main()
