"""Models on a GPU compared with one core: energies and forces in ASE, and their differences.

    python examples/benchmarks/gpu.py MODEL.PT [...] [--atoms 1000,10000,100000] [--most-on-core 10000]

Structures are disordered crystals of the model's elements. `core` and `GPU`: wall time of an evaluation whose
neighbors are known, with the copies to the device and back, the least of three. Structures of more than
`--most-on-core` atoms are not evaluated on the core; of global models `--largest-whole` is the most.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ase
import numpy as np
import torch
from measure import machine

from rhopot.export import LoadedModel, evaluate, load_model
from rhopot.export.local_models import evaluate_edges
from rhopot.export.results import Evaluation
from rhopot.potentials.console import make_console, table
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.structures.prototypes import sample_structure

COLUMNS = ("atoms", "core us/atom", "GPU us/atom", "GPU atoms/s", "core / GPU", "forces eV/A", "GPU GiB")


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--atoms", default="1000,10000,100000")
    parser.add_argument("--most-on-core", type=int, default=10_000)
    parser.add_argument("--largest-whole", type=int, default=1000)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    console = make_console()
    for file in options.models:
        on_core, on_gpu = load_model(file), load_model(file, "cuda")
        rows = []
        for n_atoms in (int(word) for word in options.atoms.split(",")):
            if on_core.card.kind == "global" and n_atoms > options.largest_whole:
                continue
            atoms = sample_structure(on_core.card.symbols, min_atoms=n_atoms)
            rows.append(compare(on_core, on_gpu, atoms, len(atoms) <= options.most_on_core))
        console.print(table(f"{file}: {on_core.card.family}, {on_core.card.dtype}", COLUMNS, rows))
    console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {machine()}")


def compare(on_core: LoadedModel, on_gpu: LoadedModel, atoms: ase.Atoms, core_too: bool) -> list[str]:
    """Row of the table for one structure."""
    torch.cuda.reset_peak_memory_stats()
    gpu, found = least_time(evaluation(on_gpu, atoms))
    memory = torch.cuda.max_memory_allocated() / 2**30
    micro = 1e6 / len(atoms)
    row = [str(len(atoms)), "-", f"{micro * gpu:.3f}", f"{len(atoms) / gpu:.3g}", "-", "-", f"{memory:.2f}"]
    if core_too:
        core, expected = least_time(evaluation(on_core, atoms))
        row[1], row[4] = f"{micro * core:.2f}", f"{core / gpu:.1f}"
        row[5] = f"{np.abs(found.forces - expected.forces).max():.1e}"
    return row


def evaluation(model: LoadedModel, atoms: ase.Atoms) -> Callable[[], Evaluation]:
    """What is timed: energy, forces and virial, of local models with known neighbors."""
    if model.card.kind == "global":
        return lambda: evaluate(model, [atoms])[0]
    edges = find_edges(atoms, model.card.cutoff)
    return lambda: evaluate_edges(model, atoms, edges)


def least_time(work: Callable[[], Evaluation]) -> tuple[float, Evaluation]:
    """Wall time in s, the least of three after one to warm up, and the result."""
    result, times = work(), []
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


if __name__ == "__main__":
    main()
